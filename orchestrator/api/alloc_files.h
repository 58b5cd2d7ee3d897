// Files of an allocation, as `alloc fs` reads them: below its folder only, and never its secrets.
//
// A path is resolved by opening it, and judged by what was opened: neither `..` nor a symbolic link
// that a task makes leads out, also if it changes meanwhile. Blocks on the disk: use it on the
// pool. Thread: any; one AllocFile belongs to one user.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace sluice::orchestrator::api {

struct FileInfo {
  std::string name;
  bool is_folder = false;
  uint64_t size = 0;
  std::string mode;  // "-rw-r--r--"
  int64_t modified_ns = 0;
};

/// An open file or folder below `root`.
class AllocFile {
 public:
  static Result<AllocFile> open(const std::string& root, const std::string& path);
  AllocFile(AllocFile&& other) noexcept;
  AllocFile& operator=(AllocFile&&) = delete;
  ~AllocFile();

  [[nodiscard]] Result<FileInfo> info() const;
  /// Sorted by name; at most kMaxEntries of them.
  [[nodiscard]] Result<std::vector<FileInfo>> list() const;
  /// At most `limit` bytes; fewer only at the end.
  [[nodiscard]] Result<std::string> read(uint64_t offset, size_t limit) const;

  static constexpr size_t kMaxEntries = 10'000;

 private:
  AllocFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  int fd_;
  std::string name_;
};

}  // namespace sluice::orchestrator::api
