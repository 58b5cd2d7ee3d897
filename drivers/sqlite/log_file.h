// LogFile: the SQLite database that a SqliteStore keeps, as a log of texts with checkpoints beside
// it. Knows nothing of what the texts mean.
//
// Owner: shared by the SqliteStore and its work on the pool. Thread: any; a lock inside lets an
// append in between two parts of a checkpoint.
//
// The file is ours alone (locking_mode EXCLUSIVE, so there is no -shm file), in WAL mode with full
// synchronisation: a commit that returned is on the disk. Each row carries the SHA-256 of its
// number and text, because SQLite does not look at the content of its pages; a log with a gap is
// refused.
//
// Nothing is changed before a whole load went well: the -wal is neither written back nor removed.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "drivers/sqlite/database.h"

namespace sluice::drivers::sqlite {

struct LogFileOptions {
  // Of the texts: PRAGMA user_version. A newer one is refused, an older one becomes this one with
  // the first append.
  int64_t format = 1;
  int64_t max_pages = 0;       // of 4 KiB; 0: SQLite's own limit. The file does not grow beyond it
  int64_t busy_wait_ms = 500;  // for another program to let the file go
};

struct LogEntry {
  uint64_t index = 0;
  std::string text;
};

class LogFile {
 public:
  LogFile(std::string path, LogFileOptions options);

  /// Hands over the parts of the newest checkpoint (with its index), then the entries after it,
  /// oldest first. A file that is not there is made. kInvalid: damaged; kUnsupported: of a newer
  /// format; the text names the file and what to do.
  using Visit = std::function<Result<void>(uint64_t index, std::string_view text)>;
  Result<void> load(const Visit& visit);

  /// All in one transaction. kInternal: whether they are there is not known, and none is taken
  /// after that.
  Result<void> append(const std::vector<LogEntry>& entries);

  /// `write` hands each part to the function it is given. Then what the checkpoint stands for is
  /// removed.
  using Sink = std::function<Result<void>(std::string)>;
  Result<void> checkpoint(uint64_t index, const std::function<Result<void>(const Sink&)>& write);

  /// Bytes of text after, and in, the newest checkpoint.
  struct Sizes {
    uint64_t log = 0;
    uint64_t checkpoint = 0;
  };
  [[nodiscard]] Sizes sizes();

 private:
  Result<void> open();
  Result<void> make();
  Result<void> use_wal();
  Result<void> check_format();
  Result<void> read(const Visit& visit);
  Result<void> read_checkpoint(const Visit& visit);
  Result<void> read_log(const Visit& visit);
  std::unexpected<Error> damaged(std::string_view what) const;
  Result<void> begin();
  Result<void> raise_format();
  void roll_back();
  Result<void> put_part(uint64_t index, uint64_t part, std::string_view text);
  Result<void> finish_checkpoint(uint64_t index, uint64_t parts);
  Result<void> remove_some(const char* sql, uint64_t index);

  /// Who waits longest comes next: std::mutex alone lets a checkpoint take it again before an
  /// append that waits has woken.
  std::unique_lock<std::mutex> lock();

  const std::string path_;
  const LogFileOptions options_;
  std::mutex turn_;
  std::mutex mutex_;
  std::optional<Database> database_;
  int64_t stored_format_ = 0;
  uint64_t checkpoint_index_ = 0;
  uint64_t last_index_ = 0;
  Sizes sizes_;
  bool outcome_unknown_ = false;
};

}  // namespace sluice::drivers::sqlite
