// Copies what Docker keeps of a container's output into the task's log files, each line once, also
// when the agent dies at any moment in between.
//
// How: each message comes with its time. A checkpoint on disk says, for each stream, the last
// message that was written (its time, and how many had that same time) and where in the files its
// end is. After a restart the messages up to that one are passed over, and those behind it are
// compared with the bytes that the files hold behind that place: what is there already is not
// written again, a message that is there in part is completed. So a checkpoint may be old (it only
// costs reading), and never lies.
//
// Owner: the pump of one container. Blocking system calls: use it on the pool. A lock file keeps
// two copiers of the same task apart (an agent that is being replaced, a cancelled pump that still
// writes).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/result.h"
#include "drivers/docker/frames.h"
#include "drivers/docker/log_files.h"

namespace sluice::drivers {

struct LogCopyOptions {
  std::string folder;
  std::string task;
  int64_t max_files = 10;
  int64_t max_file_bytes = 10 * 1024 * 1024;
  std::string container_id;
  bool tty = false;  // the stream has no frames then, and all of it is standard output
};

/// One stream. Separate for its tests.
class LogStreamCopy {
 public:
  struct Position {
    int64_t time_ns = 0;  // of the last message written; 0: none yet
    int64_t same = 0;     // how many messages of exactly that time were written
    LogFiles::Place place;
  };

  explicit LogStreamCopy(LogFilesOptions options) : files_(std::move(options)) {}

  Result<void> open() { return files_.open(); }
  /// What comes next is a replay of the container's messages from `since` or earlier on.
  void replay_from(const Position& position);
  /// Again from where we are: Docker's stream broke and is opened anew.
  void replay() { replay_from(position_); }
  /// Writes the message if it is not in the files yet. One that is older than the last, or is the
  /// last line once more, begins a replay: Docker 20.10 may start over with its file when it has
  /// rotated. Not where the last is of later than `now_ns`: then somebody has set the clock back.
  /// After an error call again with the same message.
  Result<void> message(int64_t time_ns, std::string_view text, int64_t now_ns = INT64_MAX);

  const Position& position() const { return position_; }
  LogFiles::Place end() const { return files_.end(); }
  /// How often what Docker replayed was not what the files hold.
  int64_t mismatches() const { return mismatches_; }
  /// Whether the last message ended a replay that did not have the message before it any more.
  bool skipped() const { return skipped_; }

 private:
  Result<size_t> match(std::string_view text);
  bool is_last_line(int64_t time_ns, std::string_view text) const;

  LogFiles files_;
  Position position_;
  bool skipped_ = false;
  bool aligning_ = false;  // still before the last message written
  int64_t seen_same_ = 0;
  LogFiles::Place matched_;  // what the files hold up to here came by in the replay
  size_t done_ = 0;          // bytes of the current message that are in the files
  int64_t mismatches_ = 0;
  size_t last_hash_ = 0;  // of the last message's text
};

class LogCopy {
 public:
  /// Takes the lock and finds the place. kConflict: another copier is at work.
  static Result<std::unique_ptr<LogCopy>> open(LogCopyOptions options);
  ~LogCopy();

  /// The value of the query parameter `since` from which Docker is to replay; "" from the start.
  /// Call it before each stream, and feed that stream from its start.
  std::string begin_stream();
  /// Bytes of the stream in any split, that came at `now_ns`. An error of the disk keeps what was
  /// not written: call retry().
  Result<void> feed(std::string_view bytes, int64_t now_ns = INT64_MAX);
  Result<void> retry() { return feed({}); }
  /// Saves the positions if they have changed.
  Result<void> checkpoint();

  /// What Docker rotated away before it was copied: between these two times, once.
  struct Gap {
    int64_t from_ns = 0, to_ns = 0;
  };
  std::optional<Gap> take_gap() { return std::exchange(gap_, std::nullopt); }
  /// The time of the newest message; 0: none has come.
  int64_t newest_ns() const { return newest_ns_; }
  int64_t mismatches() const { return streams_[0].mismatches() + streams_[1].mismatches(); }

 private:
  explicit LogCopy(LogCopyOptions options);
  Result<void> load();
  std::string state_text() const;
  Result<void> frame(LogStream stream, std::string_view payload, int64_t now_ns);

  LogCopyOptions options_;
  std::string state_path_;
  std::string saved_state_;
  int lock_fd_ = -1;
  std::array<LogStreamCopy, 2> streams_;
  int64_t newest_ns_ = 0;  // of both streams
  int64_t since_ns_ = 0;   // where the stream's replay begins
  std::optional<Gap> gap_;
  std::string pending_;  // not taken apart yet
};

}  // namespace sluice::drivers
