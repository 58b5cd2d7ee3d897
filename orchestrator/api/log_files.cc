#include "orchestrator/api/log_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace sluice::orchestrator::api {

std::string LogFiles::path(uint64_t number) const {
  return fmt::format("{}/{}.{}", folder_, base_, number);
}

Result<std::vector<LogFiles::File>> LogFiles::list() const {
  std::vector<File> files;
  DIR* folder = opendir(folder_.c_str());
  if (folder == nullptr) {
    if (errno == ENOENT) return files;
    return fail_errno(errno, "open " + folder_);
  }
  while (const dirent* entry = readdir(folder)) {
    std::string_view name = entry->d_name;
    if (!name.starts_with(base_) || name.size() <= base_.size() + 1 || name[base_.size()] != '.') {
      continue;
    }
    name.remove_prefix(base_.size() + 1);
    File file{};
    const auto [end, trouble] =
        std::from_chars(name.data(), name.data() + name.size(), file.number);
    struct stat info{};
    if (trouble != std::errc() || end != name.data() + name.size() ||
        stat(path(file.number).c_str(), &info) != 0) {
      continue;
    }
    file.size = static_cast<uint64_t>(info.st_size);
    files.push_back(file);
  }
  closedir(folder);
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.number < b.number; });
  return files;
}

Result<void> LogFiles::seek_from_start(uint64_t offset) {
  Result<std::vector<File>> files = list();
  if (!files) return pass(files);
  number_ = files->empty() ? 0 : files->front().number;
  offset_ = 0;
  for (const File& file : *files) {
    number_ = file.number;
    offset_ = std::min(offset, file.size);
    if (offset <= file.size) break;
    offset -= file.size;
  }
  return {};
}

Result<void> LogFiles::seek_from_end(uint64_t offset) {
  Result<std::vector<File>> files = list();
  if (!files) return pass(files);
  uint64_t total = 0;
  for (const File& file : *files) total += file.size;
  return seek_from_start(total - std::min(offset, total));
}

Result<LogFiles::Piece> LogFiles::read(size_t limit) {
  Result<std::vector<File>> files = list();
  if (!files) return pass(files);
  for (const File& file : *files) {
    if (file.number < number_) continue;
    if (file.number > number_) {
      // The file before is read to its end, or was removed by the rotation.
      number_ = file.number;
      offset_ = 0;
    }
    if (offset_ >= file.size) continue;
    const int fd = open(path(number_).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      if (errno == ENOENT) continue;
      return fail_errno(errno, "open " + path(number_));
    }
    Piece piece;
    piece.bytes.resize(limit);
    const ssize_t got = pread(fd, piece.bytes.data(), limit, static_cast<off_t>(offset_));
    const int error = errno;
    close(fd);
    if (got < 0) return fail_errno(error, "read " + path(number_));
    piece.bytes.resize(static_cast<size_t>(got));
    if (got == 0) continue;
    offset_ += static_cast<uint64_t>(got);
    piece.file = fmt::format("{}.{}", base_, number_);
    piece.offset = offset_;
    return piece;
  }
  return Piece{};
}

}  // namespace sluice::orchestrator::api
