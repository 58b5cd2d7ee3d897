// Disk: small files of the control loop (client state, configuration, task folders). Log files and
// the SQLite database are not read or written through it.
//
// The calls block; each is a few system calls on small files. Large or many: wrap in on_pool.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice {

/// Of a file system, as `df` and `df -i` count.
struct DiskSpace {
  uint64_t size_bytes = 0;
  uint64_t available_bytes = 0;  // to whom is not root
  double used_percent = 0;
  double inodes_used_percent = 0;  // 0 where the file system has no fixed number of them
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::string> read_file(const std::string& path, size_t limit_bytes) = 0;
  /// Old content or new, never a part, also after a power cut: temporary file in the same folder,
  /// fsync, rename, fsync of the folder.
  virtual Result<void> write_file(const std::string& path, std::string_view content,
                                  uint32_t mode) = 0;
  /// Makes the parents too. Existing folders are left as they are.
  virtual Result<void> make_folders(const std::string& path, uint32_t mode) = 0;
  /// Missing is success. Does not follow symbolic links.
  virtual Result<void> remove_tree(const std::string& path) = 0;
  /// Names without their folder, sorted.
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  /// Of the file system that the folder is on.
  virtual Result<DiskSpace> space(const std::string& folder) = 0;
};

/// The real one.
class PosixDisk final : public Disk {
 public:
  Result<std::string> read_file(const std::string& path, size_t limit_bytes) override;
  Result<void> write_file(const std::string& path, std::string_view content,
                          uint32_t mode) override;
  Result<void> make_folders(const std::string& path, uint32_t mode) override;
  Result<void> remove_tree(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  bool exists(const std::string& path) override;
  Result<DiskSpace> space(const std::string& folder) override;
};

}  // namespace sluice
