// Http1Upstream: a connection to an endpoint that speaks HTTP/1.1: one exchange at a time, idle in
// the pool between two.
//
// Owner: Worker's slab. Thread: the reactor's. Freed at the end of the turn in which it closed.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/http1.h"
#include "core/intrusive_list.h"
#include "proxy/endpoint.h"
#include "proxy/http1_io.h"
#include "proxy/stream.h"

namespace sluice::proxy {

class Forward;
class Worker;

class Http1Upstream final : public Http1Io, public UpstreamStream {
 public:
  Http1Upstream(Worker& worker, const Endpoint& endpoint);

  /// How long a connection may be idle after this response: `most_ms`, or less where the server
  /// says how long it waits (RFC 2068 19.7.1.1). It is left before that is over: what is sent just
  /// as it closes is lost, and only an idempotent request may be sent again.
  static int32_t pooled_ms(const http1::Head& response, int64_t most_ms);

  /// Starts to connect on behalf of `forward`. False if the system refused at once. If ready() then
  /// says so, it is connected; else Forward is told, never from inside this call.
  bool connect(Forward& forward);
  bool ready() const { return state_ == State::kActive; }
  /// Takes it out of the pool for an exchange.
  void assign(Forward& forward);
  const Endpoint& endpoint() const { return *endpoint_; }
  /// Closes it when the pool has let go of it.
  void close_unpooled();

  // UpstreamStream
  bool build_head(const http1::Head& head, const RequestEdit& edit,
                  const ClientFacts& client) override;
  bool move_to(Tunnel& tunnel) override;
  bool blocked() const override { return Http1Io::blocked(); }
  void await_response() override;
  void release() override;
  void close() override;
  Source pull() override;
  std::string_view peek() const override { return source_.run(in_.view()); }
  void pass(size_t n) override;
  std::string_view trailers() const override { return source_.reader().trailers(); }
  size_t write_body(std::string_view run) override;
  void end_body(std::string_view trailers) override { Http1Io::end_body(trailers); }
  void flush() override;
  Splice splice_from(uint64_t least, Channel*& channel, uint64_t& left) override {
    return Http1Io::splice_from(least, channel, left);
  }
  void spliced(uint64_t n, bool end) override;
  Splice splice_to(Channel*& channel) override { return Http1Io::splice_to(channel); }
  void splice_blocked() override;
  void splice_failed() override { fail_write(); }

  // Http1Io
  void on_ready(Ready ready) override;
  void on_timer() override;
  void on_resume() override;
  void destroy() override;

  ListNode pool_node;

 private:
  enum class State : uint8_t { kConnecting, kHandshake, kActive, kIdle, kClosed };

  void read_head();
  void settle_connect();
  void start_tls();
  void settle_handshake();
  void start_serving();
  void gone();
  void arm(int64_t delay_ms);

  Worker& worker_;
  // Held by what is under way (begin/end) or by the pool's entry, never by the connection itself.
  const Endpoint* endpoint_;
  Forward* forward_ = nullptr;
  http1::HeadReader reader_;
  State state_ = State::kConnecting;
  http1::Method method_ = http1::Method::kGet;
  bool in_body_ = false;     // the final head was read
  bool keep_alive_ = false;  // the response allows another exchange
  bool upgrade_asked_ = false;
  int32_t pooled_ms_ = 0;  // how long it may be idle; 0 until a response has come
};

}  // namespace sluice::proxy
