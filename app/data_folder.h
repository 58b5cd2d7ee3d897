// DataFolder: where an agent keeps its state, and the lock that keeps a second agent out.
//
// Owner: the Agent. The lock is flock(2) on <folder>/lock: the kernel drops it when the process
// ends, however it ends.
//
// Thread: the control loop, which open() may hold for 5 s, until a killed agent has let go.
#pragma once

#include <string>

#include "core/result.h"

namespace sluice {

class DataFolder {
 public:
  /// Makes and locks the folder. kConflict, naming it, where another agent has it and keeps it for
  /// 5 seconds more; the thread waits for that long.
  static Result<DataFolder> open(const std::string& path);
  /// A fresh one that is removed with this object: for -dev.
  static Result<DataFolder> make_temporary();

  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&&) = delete;
  ~DataFolder();

  const std::string& path() const { return path_; }

 private:
  DataFolder(std::string path, int lock_fd, bool temporary)
      : path_(std::move(path)), lock_fd_(lock_fd), temporary_(temporary) {}

  std::string path_;
  int lock_fd_ = -1;
  bool temporary_ = false;
};

}  // namespace sluice
