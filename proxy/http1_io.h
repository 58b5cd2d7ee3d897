// Http1Io: what both ends of an HTTP/1 connection share: bytes received and not used up, the body's
// runs of payload in them, bytes built and not sent, and the socket under it.
//
// Owner: Http1Client and Http1Upstream derive from it. Thread: the reactor's.
// Limits: one block in, one block out, kReadsATurn reads before others have their turn.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/channel.h"
#include "core/http1_body.h"
#include "proxy/stream.h"

namespace sluice::proxy {

/// Where the payload of a body lies in the bytes received. Offsets count from the front of the
/// buffer, so that bytes can be kept for a second try after they were passed on.
class BodySource {
 public:
  void start(http1::Framing framing, uint64_t length, uint32_t at) {
    reader_.start(framing, length);
    scanned_ = run_at_ = at;
    run_size_ = 0;
    bad_ = closed_ = false;
  }
  /// The run of payload that is next, or "" if more bytes are wanted, or the body has ended, or is
  /// bad.
  std::string_view peek(std::string_view bytes);
  void pass(size_t n) {
    run_at_ += static_cast<uint32_t>(n);
    run_size_ -= static_cast<uint32_t>(n);
  }
  /// The buffer's first n bytes were dropped.
  void dropped(size_t n) {
    scanned_ -= static_cast<uint32_t>(n);
    run_at_ -= static_cast<uint32_t>(n);
  }
  /// What peek() found and pass() has left of it.
  std::string_view run(std::string_view bytes) const { return bytes.substr(run_at_, run_size_); }
  bool ended() const { return run_size_ == 0 && (reader_.done() || closed_); }
  bool has_run() const { return run_size_ != 0; }
  uint32_t scanned() const { return scanned_; }
  /// The peer's end of stream is the body's.
  void end_at_close() { closed_ = true; }
  bool bad() const { return bad_; }
  /// Everything before this was passed on or is framing.
  uint32_t used() const { return run_size_ != 0 ? run_at_ : scanned_; }
  http1::BodyReader& reader() { return reader_; }
  const http1::BodyReader& reader() const { return reader_; }

 private:
  http1::BodyReader reader_;
  uint32_t scanned_ = 0;
  uint32_t run_at_ = 0;
  uint32_t run_size_ = 0;
  bool bad_ = false;
  bool closed_ = false;
};

class Http1Io : public EventHandler, public Timer, public Resumable, public Reapable {
 public:
  static constexpr uint32_t kReadsATurn = 4;
  static constexpr uint32_t kCopyBytes = 4096;  // payload up to this joins the head in one buffer
  static constexpr uint32_t kGatherBytes = 16 * 1024;  // built bytes are sent from here on
  // Behind a body that was worth splicing a head is read with few bytes of what follows it, so that
  // they need not be copied if that is another such body.
  static constexpr size_t kHeadReadBytes = 2048;

  enum class Fill : uint8_t {
    kGot,
    kWait,    // nothing now; an event or a resume follows
    kEnd,     // the peer ended its direction
    kFailed,  // reset or another error
    kFull,    // no room: the bytes in the buffer must be used first
  };

  explicit Http1Io(Reactor& reactor)
      : reactor_(reactor), in_(reactor.buffers()), out_(reactor.buffers()) {}
  virtual ~Http1Io() = default;

  Channel& channel() { return channel_; }
  BodySource& source() { return source_; }
  Buffer& in() { return in_; }

  /// Payload of the message that is being sent: how much of it was taken. What was taken is sent or
  /// kept.
  size_t write_body(std::string_view run);
  /// Ends the message that is being sent; trailers only where it is chunked.
  void end_body(std::string_view trailers);
  /// Sends what was built. True if nothing is left.
  bool flush();
  bool blocked() const { return blocked_; }

  BodyStream::Splice splice_from(uint64_t least, Channel*& channel, uint64_t& left);
  void spliced(uint64_t n, bool end);
  BodyStream::Splice splice_to(Channel*& channel);
  void splice_blocked() { blocked_ = true; }

 protected:
  /// Reads at most `most` bytes into room for `want` at least.
  Fill fill(size_t want, size_t most = SIZE_MAX);
  Fill fill_head() {
    const size_t want = in_.size() < BufferPool::kSmallBytes / 2 ? 1 : BufferPool::kLargeBytes;
    return fill(want, after_large_ && in_.empty() ? kHeadReadBytes : SIZE_MAX);
  }
  void start_body(http1::Framing framing, uint64_t length, uint32_t at) {
    source_.start(framing, length, at);
    after_large_ = framing == http1::Framing::kLength && length >= BodyStream::kSpliceBytes;
  }
  void start_turn() { reads_ = 0; }
  void note(Ready ready) {
    if (channel_.note(ready).writable) blocked_ = false;
  }
  void close_channel(bool reset);
  void fail_write();

  Reactor& reactor_;
  Channel channel_;
  Buffer in_;
  Buffer out_;
  BodySource source_;
  uint8_t reads_ = 0;
  bool chunked_out_ = false;  // the message that is being sent
  bool blocked_ = false;      // the socket takes no more for now
  bool write_failed_ = false;
  bool after_large_ = false;  // the last message's body was worth splicing
  bool sent_ = false;         // bytes of this message have left

 private:
  size_t write_raw(std::string_view run);
  size_t write_chunk(std::string_view run);
};

}  // namespace sluice::proxy
