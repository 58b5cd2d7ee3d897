#include "app/data_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "core/disk.h"

namespace sluice {

namespace {

constexpr std::chrono::seconds kPatience(5);
constexpr std::chrono::milliseconds kPause(20);

/// 0 once it is ours, else the errno. A killed agent is a zombie before the last of its threads has
/// let go of the lock: who starts the next one then is not refused.
int lock(int fd) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK || std::chrono::steady_clock::now() > end) return errno;
    std::this_thread::sleep_for(kPause);
  }
  return 0;
}

}  // namespace

Result<DataFolder> DataFolder::open(const std::string& path) {
  PosixDisk disk;
  Result<void> made = disk.make_folders(path, 0755);
  if (!made) return pass(made);
  const std::string lock_path = path + "/lock";
  const int fd = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail_errno(errno, "open " + lock_path);
  if (const int error = lock(fd); error != 0) {
    ::close(fd);
    if (error == EWOULDBLOCK) {
      return fail(Code::kConflict, "data_dir {} is in use by another agent; give each its own",
                  path);
    }
    return fail_errno(error, "lock " + lock_path);
  }
  return DataFolder(path, fd, false);
}

Result<DataFolder> DataFolder::make_temporary() {
  const char* parent = ::getenv("TMPDIR");
  std::string path =
      std::string(parent != nullptr && *parent != '\0' ? parent : "/tmp") + "/sluice-dev-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail_errno(errno, "make " + path);
  // mkdtemp's 0700 would keep tasks that run as other users from their folders.
  if (::chmod(path.c_str(), 0755) != 0) return fail_errno(errno, "chmod " + path);
  return DataFolder(std::move(path), -1, true);
}

DataFolder::DataFolder(DataFolder&& other) noexcept
    : path_(std::move(other.path_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)),
      temporary_(std::exchange(other.temporary_, false)) {}

DataFolder::~DataFolder() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
  std::error_code ignored;
  if (temporary_) std::filesystem::remove_all(path_, ignored);
}

}  // namespace sluice
