#include "drivers/exec/log_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <vector>

#include "core/check.h"

namespace sluice::drivers::exec {
namespace {

constexpr mode_t kLogMode = 0644;

/// The numbers N of the files PREFIX.N, sorted.
std::vector<int64_t> numbers_of(const std::string& prefix) {
  std::vector<int64_t> numbers;
  size_t slash = prefix.rfind('/');
  CHECK(slash != std::string::npos);
  std::string name = prefix.substr(slash + 1) + ".";
  DIR* folder = opendir(prefix.substr(0, slash + 1).c_str());
  if (folder == nullptr) return numbers;
  while (dirent* entry = readdir(folder)) {
    std::string_view file(entry->d_name);
    if (!file.starts_with(name)) continue;
    file.remove_prefix(name.size());
    int64_t number = 0;
    auto [end, error] = std::from_chars(file.data(), file.data() + file.size(), number);
    if (error == std::errc() && end == file.data() + file.size() && number >= 0) {
      numbers.push_back(number);
    }
  }
  closedir(folder);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace

int64_t unread_bytes(int pipe_fd) {
  int count = 0;
  if (ioctl(pipe_fd, FIONREAD, &count) != 0) return 0;
  return count;
}

PeekPipe::PeekPipe() {
  int fds[2];
  CHECK(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
  read_ = Fd(fds[0]);
  write_ = Fd(fds[1]);
  // Lacking the right to it, the default size serves: then a look shows less at once.
  fcntl(write_.get(), F_SETPIPE_SZ, static_cast<int>(kPeekBytes));
}

std::string_view PeekPipe::look(int pipe_fd) {
  ssize_t count = tee(pipe_fd, write_.get(), kPeekBytes, SPLICE_F_NONBLOCK);
  if (count <= 0) return {};
  bytes_.resize(static_cast<size_t>(count));
  size_t got = 0;
  while (got < bytes_.size()) {
    ssize_t part = read(read_.get(), bytes_.data() + got, bytes_.size() - got);
    if (part < 0 && errno == EINTR) continue;
    CHECK(part > 0);
    got += static_cast<size_t>(part);
  }
  return bytes_;
}

LogStep next_log_step(int64_t size, bool at_line_start, int64_t max_file_bytes,
                      std::string_view waiting) {
  auto waiting_bytes = static_cast<int64_t>(waiting.size());
  int64_t room = std::max<int64_t>(0, max_file_bytes - size);
  if (waiting_bytes <= room) return {waiting_bytes, false};
  if (room == 0 && (at_line_start || size >= max_file_bytes + kLineOverrunBytes)) return {0, true};
  // As many whole lines as fit.
  size_t last =
      room == 0 ? std::string_view::npos : waiting.substr(0, static_cast<size_t>(room)).rfind('\n');
  if (last != std::string_view::npos) return {static_cast<int64_t>(last) + 1, true};
  // None ends in time. A line that has not begun in this file goes into the next one, unless this
  // one is empty, too; one that has begun may go past the limit.
  if (at_line_start && size > 0) return {0, true};
  int64_t most = max_file_bytes + kLineOverrunBytes - size;
  size_t first = waiting.find('\n', static_cast<size_t>(room));
  if (first != std::string_view::npos && static_cast<int64_t>(first) + 1 <= most) {
    return {static_cast<int64_t>(first) + 1, true};
  }
  return {std::min(waiting_bytes, most), waiting_bytes >= most};
}

LogFiles::LogFiles(std::string prefix, int64_t max_files, int64_t max_file_bytes)
    : prefix_(std::move(prefix)),
      max_files_(std::max<int64_t>(1, max_files)),
      max_file_bytes_(std::max<int64_t>(1, max_file_bytes)) {}

bool LogFiles::open() {
  struct stat info;
  if (fd_ && fstat(fd_.get(), &info) == 0 && info.st_nlink > 0) return true;
  std::vector<int64_t> numbers = numbers_of(prefix_);
  // A file that somebody removed does not come back under a lower number.
  number_ = std::max(numbers.empty() ? 0 : numbers.back(), std::max<int64_t>(0, number_));
  fd_ = Fd(::open(file(number_).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kLogMode));
  return static_cast<bool>(fd_);
}

void LogFiles::rotate() {
  ++number_;
  fd_ = Fd(::open(file(number_).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kLogMode));
  for (int64_t number : numbers_of(prefix_)) {
    if (number <= number_ - max_files_) unlink(file(number).c_str());
  }
}

bool LogFiles::at_line_start(int64_t size) const {
  char last = 0;
  return size == 0 || (pread(fd_.get(), &last, 1, size - 1) == 1 && last == '\n');
}

int64_t LogFiles::move(int pipe_fd, int64_t count) {
  int64_t moved = 0;
  while (moved < count) {
    ssize_t part = splice(pipe_fd, nullptr, fd_.get(), nullptr, static_cast<size_t>(count - moved),
                          SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (part < 0 && errno == EINTR) continue;
    if (part < 0 && errno != EAGAIN) drop(pipe_fd, count - moved, errno);
    if (part <= 0) break;
    moved += part;
  }
  return moved;
}

void LogFiles::drop(int pipe_fd, int64_t count, int error_number) {
  trouble_ = prefix_ + ": " + strerror(error_number);
  char buffer[16 * 1024];
  while (count > 0) {
    ssize_t part = read(pipe_fd, buffer, std::min(static_cast<size_t>(count), sizeof buffer));
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) return;
    count -= part;
    dropped_bytes_ += part;
  }
}

bool LogFiles::take(int pipe_fd, PeekPipe& peek, int64_t budget_bytes) {
  while (budget_bytes > 0) {
    int64_t waiting = unread_bytes(pipe_fd);
    if (waiting == 0) return false;
    if (!open()) {
      drop(pipe_fd, waiting, errno);
      continue;
    }
    // The file's size is the truth, also where another run of the task wrote meanwhile.
    int64_t size = lseek(fd_.get(), 0, SEEK_END);
    LogStep step{waiting, false};
    if (size + waiting > max_file_bytes_) {
      step = next_log_step(size, at_line_start(size), max_file_bytes_, peek.look(pipe_fd));
    }
    if (step.take_bytes == 0 && !step.rotate_after) return false;
    int64_t dropped_before = dropped_bytes_;
    int64_t moved = step.take_bytes == 0 ? 0 : move(pipe_fd, step.take_bytes);
    if (moved < step.take_bytes && dropped_before == dropped_bytes_) return false;
    budget_bytes -= std::max<int64_t>(moved, 1);
    if (step.rotate_after) rotate();
  }
  return true;
}

}  // namespace sluice::drivers::exec
