#include "orchestrator/node/task_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>
#include <vector>

#include "core/fd.h"

namespace sluice::orchestrator {

namespace {

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    parts.emplace_back(part);
  }
  return parts;
}

std::unexpected<Error> wrong(int error, const std::string& path) {
  if (error == ELOOP || error == ENOTDIR) {
    return fail(Code::kDenied, "{}: a symbolic link or a file stands in the way", path);
  }
  return fail_errno(error, path);
}

/// The folder of all parts but the last `leave`, made where it is missing and `mode` is given.
Result<Fd> open_folder(const TaskPath& path, size_t leave, std::optional<uint32_t> mode) {
  Fd at(::open(path.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (at.get() < 0) return fail_errno(errno, path.root);
  const std::vector<std::string> parts = parts_of(path.below);
  for (size_t i = 0; i + leave < parts.size(); ++i) {
    const char* name = parts[i].c_str();
    if (mode && ::mkdirat(at.get(), name, *mode) != 0 && errno != EEXIST) {
      return wrong(errno, path.whole());
    }
    Fd next(::openat(at.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next.get() < 0) return wrong(errno, path.whole());
    at = std::move(next);
  }
  return at;
}

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t put = ::write(fd, content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(errno, path);
    content.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

}  // namespace

Result<TaskPath> task_path(const std::string& task_folder, const std::string& alloc_folder,
                           std::string_view path) {
  TaskPath made{.root = task_folder, .below = {}};
  for (const std::string* root : {&alloc_folder, &task_folder}) {
    if (path == *root || path.starts_with(*root + "/")) {
      made.root = *root;
      path.remove_prefix(root->size());
    }
  }
  int depth = 0;
  for (const std::string& part : parts_of(path)) {
    depth += part == ".." ? -1 : 1;
    // `a/../b` stays inside, but through `a` being a link it would not: no `..` at all.
    if (part == ".." || depth < 0) {
      return fail(Code::kInvalid, "{}: leaves the task's folder", path);
    }
    made.below += (made.below.empty() ? "" : "/") + part;
  }
  return made;
}

Result<void> write_inside(const TaskPath& path, std::string_view content, uint32_t mode) {
  constexpr uint32_t kFolderMode = 0755;
  const std::vector<std::string> parts = parts_of(path.below);
  if (parts.empty()) return fail(Code::kInvalid, "{}: is a folder", path.root);
  Result<Fd> folder = open_folder(path, 1, kFolderMode);
  if (!folder) return pass(folder);
  const std::string temporary = "." + parts.back() + ".new";
  ::unlinkat(folder->get(), temporary.c_str(), 0);
  Fd file(::openat(folder->get(), temporary.c_str(),
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (file.get() < 0) return wrong(errno, path.whole());
  Result<void> written = write_all(file.get(), content, path.whole());
  // The mode as asked for, whatever the umask.
  if (written && ::fchmod(file.get(), mode) != 0) written = fail_errno(errno, path.whole());
  if (written &&
      ::renameat(folder->get(), temporary.c_str(), folder->get(), parts.back().c_str()) != 0) {
    written = wrong(errno, path.whole());
  }
  if (!written) ::unlinkat(folder->get(), temporary.c_str(), 0);
  return written;
}

Result<std::string> read_inside(const TaskPath& path, size_t limit_bytes) {
  const std::vector<std::string> parts = parts_of(path.below);
  if (parts.empty()) return fail(Code::kInvalid, "{}: is a folder", path.root);
  Result<Fd> folder = open_folder(path, 1, std::nullopt);
  if (!folder) return pass(folder);
  const Fd file(::openat(folder->get(), parts.back().c_str(),
                         O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) return wrong(errno, path.whole());
  std::string content;
  char buffer[16 * 1024];
  while (true) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, path.whole());
    if (got == 0) return content;
    content.append(buffer, static_cast<size_t>(got));
    if (content.size() > limit_bytes) {
      return fail(Code::kLimit, "{}: longer than {} bytes", path.whole(), limit_bytes);
    }
  }
}

Result<void> make_folder_inside(const TaskPath& path, uint32_t mode) {
  Result<Fd> made = open_folder(path, 0, mode);
  if (!made) return pass(made);
  return {};
}

std::optional<uint32_t> parse_mode(std::string_view text) {
  uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 07777) return std::nullopt;
  return mode;
}

}  // namespace sluice::orchestrator
