// Moving bytes from one socket to another inside the kernel, through pooled pipes: the one door to
// splice(2).
//
// A pipe is held only while bytes are in it. One that is given back is empty; one that is not is
// closed, because its bytes belong to nobody else. An unprivileged user gets few pipes of full size
// (pipe-user-pages-soft); then take() fails and the caller copies.
//
// Owner: Worker owns the pool. Thread: the reactor's. Limits: PipePool's.
#pragma once

#include <cstdint>
#include <vector>

#include "core/channel.h"

namespace sluice::proxy {

struct Pipe {
  int read_fd = -1;
  int write_fd = -1;
  bool open() const { return read_fd >= 0; }
};

class PipePool {
 public:
  static constexpr uint32_t kPipeBytes = 256 * 1024;  // more gains nothing

  PipePool(uint32_t max, uint32_t kept) : max_(max), kept_(kept) {}
  ~PipePool();
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  /// Not open if there is none.
  Pipe take();
  void give(Pipe pipe, bool empty);

 private:
  const uint32_t max_;
  const uint32_t kept_;
  uint32_t used_ = 0;
  int64_t failures_ = 0;
  std::vector<Pipe> free_;
};

/// One direction's bytes in the kernel.
class Splicer {
 public:
  enum class Outcome : uint8_t {
    kMoved,     // something went on
    kWaitFrom,  // nothing to read
    kWaitTo,    // bytes are in the pipe and the sink takes no more
    kEnd,       // the source ended; the pipe is empty
    kFromFailed,
    kToFailed,
    kNoPipe,  // copy instead
  };
  struct Result {
    Outcome outcome;
    uint64_t read;     // taken from the source
    uint64_t written;  // given to the sink
  };

  Splicer() = default;
  Splicer(const Splicer&) = delete;
  Splicer& operator=(const Splicer&) = delete;
  ~Splicer() { CHECK(!pipe_.open()); }

  /// What is in the pipe goes first; then at most `max` bytes from the source (nullptr: none).
  Result move(PipePool& pool, Channel* from, Channel& to, uint64_t max);
  uint32_t held() const { return held_; }
  /// Bytes still held are lost.
  void drop(PipePool& pool);

 private:
  Result drain(PipePool& pool, Channel& to);

  Pipe pipe_;
  uint32_t held_ = 0;
};

}  // namespace sluice::proxy
