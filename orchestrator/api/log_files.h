// LogFiles: the log of one task as one run of bytes, over its rotated files <task>.<stream>.<n>.
//
// Owner: whoever reads. It blocks on the disk, for a few system calls each: use it on the pool. The
// writer may add and remove files meanwhile; bytes that were removed before they were read are
// skipped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice::orchestrator::api {

class LogFiles {
 public:
  /// `base`: "web.stdout".
  LogFiles(std::string folder, std::string base)
      : folder_(std::move(folder)), base_(std::move(base)) {}

  /// Places the reader `offset` bytes behind the start of what is there.
  Result<void> seek_from_start(uint64_t offset);
  /// Places it `offset` bytes before the end.
  Result<void> seek_from_end(uint64_t offset);

  struct Piece {
    std::string bytes;    // empty: nothing new for now
    std::string file;     // its name
    uint64_t offset = 0;  // in the file, behind the bytes
  };
  /// The next bytes, at most `limit`, all of one file.
  Result<Piece> read(size_t limit);

 private:
  struct File {
    uint64_t number;
    uint64_t size;
  };
  /// In the order of their numbers. A folder that is not there yet has none.
  Result<std::vector<File>> list() const;
  std::string path(uint64_t number) const;

  std::string folder_;
  std::string base_;
  uint64_t number_ = 0;
  uint64_t offset_ = 0;
};

}  // namespace sluice::orchestrator::api
