#include "core/line_writer.h"

#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sluice {

namespace {
// A pipe that polls writable takes this many bytes without blocking (POSIX PIPE_BUF).
constexpr size_t kPipeBytes = 4096;
constexpr int kPollMs = 100;

int64_t steady_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}
}  // namespace

LineWriter::LineWriter(int fd, LineWriterOptions options) : fd_(fd), options_(options) {
  // Address space alone until it is used: so a reactor that writes never waits for the allocator.
  pending_.reserve(options.queued_bytes);
  thread_ = std::thread([this] { run(); });
}

LineWriter::~LineWriter() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    deadline_ns_.store(steady_ns() + options_.close_ms * int64_t{1'000'000});
  }
  work_.notify_one();
  thread_.join();
}

bool LineWriter::write(std::string_view lines, uint64_t count) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (pending_.size() + lines.size() > options_.queued_bytes) {
      dropped_.fetch_add(count, std::memory_order_relaxed);
      return false;
    }
    wake = pending_.empty();
    pending_.append(lines);
  }
  if (wake) work_.notify_one();
  return true;
}

void LineWriter::flush() {
  std::unique_lock lock(mutex_);
  written_.wait(lock, [this] { return pending_.empty() && !busy_; });
}

void LineWriter::run() {
  std::string writing;
  writing.reserve(options_.queued_bytes);
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return closing_ || !pending_.empty(); });
    if (pending_.empty()) return;  // closing
    writing.clear();
    writing.swap(pending_);
    busy_ = true;
    lock.unlock();
    write_out(writing);
    lock.lock();
    busy_ = false;
    if (pending_.empty()) written_.notify_all();
  }
}

void LineWriter::write_out(std::string_view bytes) {
  // A regular file never blocks for long and takes large writes. Anything else may belong to others
  // too (a terminal), so its flags stay as they are: wait until it takes a little, then write a
  // little.
  struct stat info{};
  const bool regular = fstat(fd_, &info) == 0 && S_ISREG(info.st_mode);
  while (!bytes.empty()) {
    const int64_t deadline = deadline_ns_.load();
    if (deadline != 0 && steady_ns() > deadline) break;
    if (!regular) {
      pollfd poller{fd_, POLLOUT, 0};
      const int ready = poll(&poller, 1, kPollMs);
      if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    }
    const size_t size = regular ? bytes.size() : std::min(bytes.size(), kPipeBytes);
    const ssize_t written = ::write(fd_, bytes.data(), size);
    if (written < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      break;  // the reader is gone or the disk is full: what is lost is counted
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (!bytes.empty()) {
    dropped_.fetch_add(static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n')),
                       std::memory_order_relaxed);
  }
}

}  // namespace sluice
