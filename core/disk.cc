#include "core/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "core/fd.h"

namespace sluice {

namespace {

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "write " + path);
    content.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<void> sync_folder(const std::string& folder) {
  const Fd dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir.get() < 0) return fail_errno(errno, "open " + folder);
  if (::fsync(dir.get()) != 0) return fail_errno(errno, "fsync " + folder);
  return {};
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::string> PosixDisk::read_file(const std::string& path, size_t limit_bytes) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return fail_errno(errno, "open " + path);
  std::string content;
  char chunk[16 * 1024];
  for (;;) {
    const ssize_t n = ::read(file.get(), chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, "read " + path);
    if (n == 0) return content;
    content.append(chunk, static_cast<size_t>(n));
    if (content.size() > limit_bytes) {
      return fail(Code::kLimit, "read {}: more than {} bytes", path, limit_bytes);
    }
  }
}

Result<void> PosixDisk::write_file(const std::string& path, std::string_view content,
                                   uint32_t mode) {
  std::string temporary = path + ".XXXXXX";
  Fd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) return fail_errno(errno, "create " + temporary);
  Result<void> written = write_all(file.get(), content, temporary);
  if (written && ::fchmod(file.get(), mode) != 0) written = fail_errno(errno, "chmod " + temporary);
  if (written && ::fsync(file.get()) != 0) written = fail_errno(errno, "fsync " + temporary);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) {
    written = fail_errno(errno, "rename " + temporary + " to " + path);
  }
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_folder(folder_of(path));
}

Result<void> PosixDisk::make_folders(const std::string& path, uint32_t mode) {
  for (size_t slash = 0; slash != std::string::npos;) {
    slash = path.find('/', slash + 1);
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      return fail_errno(errno, "mkdir " + part);
    }
  }
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return fail_errno(errno, "stat " + path);
  if (!S_ISDIR(status.st_mode)) return fail(Code::kConflict, "mkdir {}: is not a folder", path);
  return {};
}

Result<void> PosixDisk::remove_tree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return fail_errno(error.value(), "remove " + path);
  return {};
}

Result<std::vector<std::string>> PosixDisk::list(const std::string& path) {
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return fail_errno(errno, "open " + path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

bool PosixDisk::exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Result<DiskSpace> PosixDisk::space(const std::string& folder) {
  struct statvfs found{};
  if (::statvfs(folder.c_str(), &found) != 0) return fail_errno(errno, "statvfs " + folder);
  const auto percent = [](uint64_t part, uint64_t rest) {
    return part == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(part + rest) * 100;
  };
  // What is kept back for root is neither used nor free.
  return DiskSpace{.size_bytes = static_cast<uint64_t>(found.f_blocks) * found.f_frsize,
                   .available_bytes = static_cast<uint64_t>(found.f_bavail) * found.f_frsize,
                   .used_percent = percent(found.f_blocks - found.f_bfree, found.f_bavail),
                   .inodes_used_percent = percent(found.f_files - found.f_ffree, found.f_favail)};
}

}  // namespace sluice
