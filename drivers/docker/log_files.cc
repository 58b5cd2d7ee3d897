#include "drivers/docker/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

namespace sluice::drivers {

LogFiles::~LogFiles() {
  if (fd_ >= 0) ::close(fd_);
}

std::string LogFiles::path(int64_t file) const {
  return fmt::format("{}/{}.{}", options_.folder, options_.base, file);
}

Result<void> LogFiles::open() {
  int64_t lowest = INT64_MAX, highest = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(options_.folder, error), none; it != none;
       it.increment(error)) {
    if (error) break;
    std::string name = it->path().filename().string();
    std::string_view rest = name;
    if (!rest.starts_with(options_.base) || rest.size() <= options_.base.size() + 1) continue;
    rest.remove_prefix(options_.base.size());
    if (rest.front() != '.') continue;
    rest.remove_prefix(1);
    int64_t number = 0;
    auto [end, bad] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (bad != std::errc() || end != rest.data() + rest.size() || number < 0) continue;
    lowest = std::min(lowest, number);
    highest = std::max(highest, number);
  }
  if (error) return fail_errno(error.value(), "list " + options_.folder);
  lowest_ = std::min(lowest, highest);
  return open_file(highest);
}

Result<void> LogFiles::open_file(int64_t file) {
  std::string name = path(file);
  int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return fail_errno(errno, "open " + name);
  struct stat status{};
  if (::fstat(fd, &status) != 0) {
    int error = errno;
    ::close(fd);
    return fail_errno(error, "stat " + name);
  }
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  file_ = file;
  size_ = status.st_size;
  return {};
}

void LogFiles::remove_old() const {
  for (int64_t file = lowest_; file <= file_ - options_.max_files; ++file) {
    ::unlink(path(file).c_str());
  }
}

Result<void> LogFiles::append(std::string_view& bytes) {
  while (!bytes.empty()) {
    int64_t room = options_.max_file_bytes - size_;
    if (room <= 0) {
      if (auto opened = open_file(file_ + 1); !opened) return pass(opened);
      remove_old();
      lowest_ = std::max(lowest_, file_ - options_.max_files + 1);
      continue;
    }
    size_t count = std::min(bytes.size(), static_cast<size_t>(room));
    ssize_t written = ::write(fd_, bytes.data(), count);
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, "write " + path(file_));
    }
    size_ += written;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Result<std::string> LogFiles::read(Place& at, size_t count) const {
  std::string result;
  while (result.size() < count && at < end()) {
    int fd = fd_;
    if (at.file != file_) {
      fd = ::open(path(at.file).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
      if (fd < 0 && errno == ENOENT) {  // rotated away
        at = {at.file + 1, 0};
        continue;
      }
      if (fd < 0) return fail_errno(errno, "open " + path(at.file));
    }
    size_t before = result.size();
    result.resize(count);
    ssize_t got = ::pread(fd, result.data() + before, count - before, at.offset);
    int error = errno;
    if (at.file != file_) ::close(fd);
    result.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && error != EINTR) return fail_errno(error, "read " + path(at.file));
    if (got > 0) at.offset += got;
    if (got == 0) {
      if (at.file == file_) break;
      at = {at.file + 1, 0};
    }
  }
  return result;
}

}  // namespace sluice::drivers
