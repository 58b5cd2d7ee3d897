#include "proxy/splice.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::proxy {

namespace {

constexpr uint32_t kLeastPipeBytes = 64 * 1024;  // a smaller one costs more than it saves

void close_pipe(Pipe pipe) {
  ::close(pipe.read_fd);
  ::close(pipe.write_fd);
}

}  // namespace

PipePool::~PipePool() {
  CHECK(used_ == 0);
  for (const Pipe pipe : free_) close_pipe(pipe);
}

Pipe PipePool::take() {
  if (!free_.empty()) {
    const Pipe pipe = free_.back();
    free_.pop_back();
    ++used_;
    return pipe;
  }
  if (used_ >= max_) return {};
  // Where the system refuses, ask again only now and then.
  constexpr int64_t kSkip = 1024;
  if (failures_ > 0 && failures_++ % kSkip != 0) return {};
  int fds[2];
  if (::pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) {
    ++failures_;
    return {};
  }
  const Pipe pipe{fds[0], fds[1]};
  int size = ::fcntl(pipe.write_fd, F_SETPIPE_SZ, kPipeBytes);
  if (size < 0) size = ::fcntl(pipe.write_fd, F_GETPIPE_SZ);
  if (size < static_cast<int>(kLeastPipeBytes)) {
    close_pipe(pipe);
    ++failures_;
    return {};
  }
  failures_ = 0;
  ++used_;
  return pipe;
}

void PipePool::give(Pipe pipe, bool empty) {
  CHECK(used_ > 0);
  --used_;
  if (empty && free_.size() < kept_) {
    free_.push_back(pipe);
  } else {
    close_pipe(pipe);
  }
}

void Splicer::drop(PipePool& pool) {
  if (!pipe_.open()) return;
  pool.give(pipe_, held_ == 0);
  pipe_ = Pipe();
  held_ = 0;
}

Splicer::Result Splicer::drain(PipePool& pool, Channel& to) {
  Result result{Outcome::kMoved, 0, 0};
  while (held_ > 0) {
    const ssize_t n = ::splice(pipe_.read_fd, nullptr, to.socket().fd(), nullptr, held_,
                               SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0) {
      held_ -= static_cast<uint32_t>(n);
      result.written += static_cast<uint64_t>(n);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      to.set_unwritable();
      result.outcome = Outcome::kWaitTo;
      return result;
    }
    result.outcome = Outcome::kToFailed;
    return result;
  }
  drop(pool);
  return result;
}

Splicer::Result Splicer::move(PipePool& pool, Channel* from, Channel& to, uint64_t max) {
  Result total{Outcome::kMoved, 0, 0};
  if (held_ > 0) {
    total = drain(pool, to);
    if (total.outcome != Outcome::kMoved) return total;
  }
  if (from == nullptr) return total;
  if (!from->readable()) {
    total.outcome = Outcome::kWaitFrom;
    return total;
  }
  pipe_ = pool.take();
  if (!pipe_.open()) {
    total.outcome = Outcome::kNoPipe;
    return total;
  }
  const size_t want = max < PipePool::kPipeBytes ? static_cast<size_t>(max) : PipePool::kPipeBytes;
  ssize_t n;
  do {
    n = ::splice(from->socket().fd(), nullptr, pipe_.write_fd, nullptr, want,
                 SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  } while (n < 0 && errno == EINTR);
  if (n <= 0) {
    const int error = errno;
    drop(pool);
    if (n == 0) {
      total.outcome = Outcome::kEnd;
    } else if (error == EAGAIN) {
      // The pipe is empty, so it is the source that has nothing.
      from->set_unreadable();
      total.outcome = Outcome::kWaitFrom;
    } else {
      total.outcome = Outcome::kFromFailed;
    }
    return total;
  }
  held_ = static_cast<uint32_t>(n);
  total.read = static_cast<uint64_t>(n);
  const Result drained = drain(pool, to);
  total.written += drained.written;
  total.outcome = drained.outcome;
  return total;
}

}  // namespace sluice::proxy
