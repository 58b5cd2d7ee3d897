// LogFiles: one output stream of a task as rotated files PREFIX.0, PREFIX.1, ...
//
// What for: bytes move from the FIFO to the file inside one splice(2), which takes from the pipe
// exactly what it wrote; so a supervisor that is killed at any moment neither loses nor doubles a
// byte, and the file's size is all the state there is. Near a file's end the pipe is looked into
// with tee(2), which takes nothing out, so that a line does not straddle two files.
//
// Limits: max_files files of max_file_bytes, a file exceeds that by at most kLineOverrunBytes (a
// longer line is cut). A disk that takes no more costs bytes, which are counted, and never stops
// the task. Owner: the supervisor; single-threaded.
#pragma once

#include <cstdint>
#include <string>

#include "drivers/exec/proc.h"

namespace sluice::drivers::exec {

constexpr int64_t kLineOverrunBytes = 64 * 1024;
constexpr size_t kPeekBytes = 64 * 1024;

/// The pipe that tee fills, shared by all LogFiles of a supervisor; empty between calls.
class PeekPipe {
 public:
  PeekPipe();
  /// Up to kPeekBytes of what `pipe_fd` holds, which stays there. Valid until the next call.
  std::string_view look(int pipe_fd);

 private:
  Fd read_;
  Fd write_;
  std::string bytes_;
};

class LogFiles {
 public:
  LogFiles(std::string prefix, int64_t max_files, int64_t max_file_bytes);

  /// Moves what the pipe (non-blocking) holds, about `budget_bytes` at most. True: more may be
  /// there.
  bool take(int pipe_fd, PeekPipe& peek, int64_t budget_bytes);

  [[nodiscard]] int64_t dropped_bytes() const { return dropped_bytes_; }
  /// Why the last bytes were dropped; empty if none were.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  bool open();
  void rotate();
  bool at_line_start(int64_t size) const;
  int64_t move(int pipe_fd, int64_t count);
  void drop(int pipe_fd, int64_t count, int error_number);
  std::string file(int64_t number) const { return prefix_ + "." + std::to_string(number); }

  std::string prefix_;
  int64_t max_files_;
  int64_t max_file_bytes_;
  int64_t number_ = -1;  // of the open file
  Fd fd_;
  int64_t dropped_bytes_ = 0;
  std::string trouble_;
};

/// The bytes that a pipe holds.
int64_t unread_bytes(int pipe_fd);

/// Decides how many of the bytes in the pipe go into the current file and whether the next ones go
/// into a new one. Pure, so that the rule is tested without pipes.
struct LogStep {
  int64_t take_bytes = 0;
  bool rotate_after = false;
  bool operator==(const LogStep&) const = default;
};
LogStep next_log_step(int64_t size, bool at_line_start, int64_t max_file_bytes,
                      std::string_view waiting);

}  // namespace sluice::drivers::exec
