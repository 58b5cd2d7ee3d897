// Http1Client: a client's connection: reads requests one after another, answers in order, keeps
// alive.
//
// Owner: Worker's slab. Thread: the reactor's. Freed at the end of the turn in which it closed.
// Memory: an idle connection holds this object and no block. On x86-64, at most 512 bytes with what
// the reactor keeps of it (kIdleClientBytes, checked where Worker makes it):
//   watching and waiting    104   five virtual tables, the nodes of timer, resume and reap
//   socket and buffers       80   descriptor, slot, readiness, two buffers without a block
//   the body's framing       56
//   peer and connection     120   address, lists, worker, head reader, request flags
//   the reactor's slot       24
// An exchange that is under way adds a Forward, and two blocks while bytes are in them.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/gzip.h"
#include "core/http1.h"
#include "core/intrusive_list.h"
#include "proxy/forward.h"
#include "proxy/http1_io.h"
#include "proxy/stream.h"

namespace sluice::proxy {

class Worker;
struct ListenerInfo;
struct Timeouts;

inline constexpr size_t kIdleClientBytes = 512;
inline constexpr size_t kReactorSlotBytes = 24;

class Http1Client final : public Http1Io, public ClientStream {
 public:
  Http1Client(Worker& worker, const SocketAddress& peer, const ListenerInfo& listener);

  /// False if the system refused; nothing was watched then. `tls` is nullptr for a plain listener.
  bool start(Socket socket, std::unique_ptr<tls::Session> tls);
  /// Takes over the socket and the bytes that came already.
  bool start(Channel& channel, std::string_view bytes, std::unique_ptr<tls::Session> tls);
  /// Closes now if no request is under way, else after it.
  void drain();
  void close();
  /// The socket is a tunnel's now.
  bool moved() const { return moved_; }

  // ClientStream
  const http1::Head& request_head() override;
  const ClientFacts& facts() const override { return facts_; }
  void rewind() override;
  void send_interim(const http1::Head& head) override;
  void send_head(const http1::Head& head, std::string_view cookie, uint64_t cookie_id) override;
  uint64_t answer(const Answer& answer) override;
  bool move_to(Tunnel& tunnel) override;
  void cut() override;
  void abort() override;
  void finish() override;
  Source pull() override;
  std::string_view peek() const override { return source_.run(in_.view()); }
  void pass(size_t n) override;
  std::string_view trailers() const override { return source_.reader().trailers(); }
  size_t write_body(std::string_view run) override {
    return gzip_ ? write_compressed(run) : Http1Io::write_body(run);
  }
  void end_body(std::string_view trailers) override {
    if (gzip_) {
      gzip_ends_ = true;
    } else {
      Http1Io::end_body(trailers);
    }
  }
  void flush() override;
  Splice splice_from(uint64_t least, Channel*& channel, uint64_t& left) override {
    return Http1Io::splice_from(least, channel, left);
  }
  void spliced(uint64_t n, bool end) override;
  Splice splice_to(Channel*& channel) override {
    return gzip_ ? Splice::kNo : Http1Io::splice_to(channel);
  }
  void splice_blocked() override;
  bool blocked() const override { return Http1Io::blocked(); }

  // Http1Io
  void on_ready(Ready ready) override;
  void on_timer() override;
  void on_resume() override;
  void destroy() override;

  ListNode all_node;

 private:
  enum class State : uint8_t {
    kHead,  // between requests, or within a head
    kExchange,
    kFlushing,   // the exchange is over; its answer is not all sent
    kLingering,  // the last answer is sent; the client may still be sending
    kClosed,
  };

  void read_head();
  void begin(const http1::Head& head);
  void refuse(uint16_t status, const http1::Head* head);
  bool too_large(uint64_t more) const;
  bool begin_compressed(const http1::Head& head, ResponseEdit& edit);
  bool compress(std::string_view& run, GzipEncoder::Until until, bool& more);
  size_t write_compressed(std::string_view run);
  bool push_compressed();
  /// Sends what is built, and what an encoder holds. True if nothing is left.
  bool push() { return (!gzip_ || push_compressed()) && Http1Io::flush(); }
  void next_or_close();
  void linger();
  void answer_plain_http();
  void watch_half_closed();
  void on_half_closed_timer();
  uint64_t write_answer(const Answer& answer, bool with_body);
  void arm(int64_t delay_ms) { reactor_.timers().arm(*this, reactor_.now_ms() + delay_ms); }

  Worker& worker_;
  const Timeouts& timeouts_;  // the listener's
  ClientFacts facts_;
  Forward* forward_ = nullptr;  // in State::kExchange
  http1::HeadReader reader_;
  uint64_t body_bytes_ = 0;            // of the request, that were passed on
  uint64_t sent_before_ = 0;           // of the response, when half_closed_ was last looked at
  std::unique_ptr<GzipEncoder> gzip_;  // of a response that is sent compressed
  uint32_t head_size_ = 0;
  State state_ = State::kHead;
  http1::Framing framing_ = http1::Framing::kNone;
  uint8_t minor_version_ = 1;
  bool head_only_ = false;     // the request's method is HEAD
  bool keep_alive_ = false;    // after this exchange
  bool served_ = false;        // a request came on this connection
  bool last_ = false;          // the client said that no request follows this one
  bool upload_ended_ = false;  // of the last request
  bool until_close_ = false;   // the response ends with the connection
  bool half_closed_ = false;   // it ended its direction, and the exchange is watched for that
  bool moved_ = false;
  bool accepts_gzip_ = false;
  bool gzip_ends_ = false;     // all of the response was put in
  bool head_dropped_ = false;  // the request's bytes are not all kept any more
};

}  // namespace sluice::proxy
