// One log stream of a task as numbered files: <base>.0, <base>.1, ... The highest number is being
// written; a full file is followed by the next, and the lowest go when there are more than
// max_files.
//
// Owner: who writes the stream; one at a time. Blocking system calls: use it on the pool. Files are
// cut at exactly max_file_bytes, so a reader puts them together as they are. Nothing is synced: the
// page cache survives the agent, and a power cut takes the task with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice::drivers {

struct LogFilesOptions {
  std::string folder;
  std::string base;  // "web.stdout"
  int64_t max_files = 10;
  int64_t max_file_bytes = 10 * 1024 * 1024;
};

class LogFiles {
 public:
  /// A place in the stream: byte `offset` of file `file`.
  struct Place {
    int64_t file = 0;
    int64_t offset = 0;
    auto operator<=>(const Place&) const = default;
  };

  explicit LogFiles(LogFilesOptions options) : options_(std::move(options)) {}
  LogFiles(const LogFiles&) = delete;
  ~LogFiles();

  /// Goes on behind what is there.
  Result<void> open();
  /// Writes, and shortens `bytes` by what is out; after an error call again with the rest.
  Result<void> append(std::string_view& bytes);
  Place end() const { return {file_, size_}; }
  /// Reads from `at`, over the seams of files, and moves `at` on; less than asked for only at the
  /// end.
  Result<std::string> read(Place& at, size_t count) const;

 private:
  std::string path(int64_t file) const;
  Result<void> open_file(int64_t file);
  void remove_old() const;

  LogFilesOptions options_;
  int fd_ = -1;
  int64_t file_ = 0;
  int64_t size_ = 0;
  int64_t lowest_ = 0;
};

}  // namespace sluice::drivers
