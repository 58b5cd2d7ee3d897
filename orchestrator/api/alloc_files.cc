#include "orchestrator/api/alloc_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace sluice::orchestrator::api {
namespace {

constexpr std::string_view kSecretsFolder = "secrets";

std::string resolved(int fd) {
  char path[PATH_MAX];
  const std::string link = fmt::format("/proc/self/fd/{}", fd);
  const ssize_t size = readlink(link.c_str(), path, sizeof path);
  return size < 0 ? std::string() : std::string(path, static_cast<size_t>(size));
}

/// "<task>/secrets" and what is below it.
bool is_secret(std::string_view below_root) {
  const size_t slash = below_root.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view rest = below_root.substr(slash + 1);
  return rest == kSecretsFolder || rest.starts_with(std::string(kSecretsFolder) + "/");
}

FileInfo info_of(std::string name, const struct stat& stat) {
  FileInfo info;
  info.name = std::move(name);
  info.is_folder = S_ISDIR(stat.st_mode);
  info.size = static_cast<uint64_t>(stat.st_size);
  info.mode = S_ISDIR(stat.st_mode)    ? "d"
              : S_ISLNK(stat.st_mode)  ? "L"
              : S_ISFIFO(stat.st_mode) ? "p"
                                       : "-";
  static constexpr char kBits[] = "rwxrwxrwx";
  for (unsigned i = 0; i < 9; ++i) info.mode += (stat.st_mode >> (8 - i) & 1) != 0 ? kBits[i] : '-';
  info.modified_ns = stat.st_mtim.tv_sec * int64_t{1'000'000'000} + stat.st_mtim.tv_nsec;
  return info;
}

}  // namespace

Result<AllocFile> AllocFile::open(const std::string& root, const std::string& path) {
  char real_root[PATH_MAX];
  if (realpath(root.c_str(), real_root) == nullptr) {
    return fail(Code::kNotFound, "the allocation's folder is not there (any more)");
  }
  const std::string base = real_root;
  const int place = ::open((base + "/" + path).c_str(), O_PATH | O_CLOEXEC);
  if (place < 0) return fail_errno(errno, path);
  const std::string found = resolved(place);
  const bool below = found == base || found.starts_with(base + "/");
  const std::string rest = found.size() > base.size() ? found.substr(base.size() + 1) : "";
  std::unexpected<Error> wrong = fail(Code::kInvalid, "Path escapes the alloc directory");
  if (!below || is_secret(rest)) {
    close(place);
    if (below) wrong = fail(Code::kDenied, "Reading secret file prohibited: {}", path);
    return wrong;
  }
  // Opens what was judged, whatever the path leads to by now. A FIFO must not block us.
  const int fd =
      ::open(fmt::format("/proc/self/fd/{}", place).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const int error = errno;
  close(place);
  if (fd < 0) return fail_errno(error, path);
  return AllocFile(fd, rest.substr(rest.rfind('/') + 1));
}

AllocFile::AllocFile(AllocFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), name_(std::move(other.name_)) {}

AllocFile::~AllocFile() {
  if (fd_ >= 0) close(fd_);
}

Result<FileInfo> AllocFile::info() const {
  struct stat stat{};
  if (fstat(fd_, &stat) != 0) return fail_errno(errno, name_);
  return info_of(name_, stat);
}

Result<std::vector<FileInfo>> AllocFile::list() const {
  const int copy = openat(fd_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* folder = copy < 0 ? nullptr : fdopendir(copy);
  if (folder == nullptr) {
    const int error = errno;
    if (copy >= 0) close(copy);
    if (error == ENOTDIR) return fail(Code::kInvalid, "{} is a file, not a folder", name_);
    return fail_errno(error, name_);
  }
  std::vector<FileInfo> files;
  while (const dirent* entry = readdir(folder)) {
    const std::string_view name = entry->d_name;
    struct stat stat{};
    if (name == "." || name == ".." || files.size() == kMaxEntries ||
        fstatat(fd_, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    files.push_back(info_of(std::string(name), stat));
  }
  closedir(folder);
  std::sort(files.begin(), files.end(),
            [](const FileInfo& a, const FileInfo& b) { return a.name < b.name; });
  return files;
}

Result<std::string> AllocFile::read(uint64_t offset, size_t limit) const {
  std::string bytes(limit, '\0');
  size_t have = 0;
  while (have < limit) {
    const ssize_t got =
        pread(fd_, bytes.data() + have, limit - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EISDIR) return fail(Code::kInvalid, "{} is a folder", name_);
    if (got < 0) return fail_errno(errno, name_);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace sluice::orchestrator::api
