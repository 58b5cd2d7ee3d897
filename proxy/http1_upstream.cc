#include "proxy/http1_upstream.h"

#include <algorithm>

#include "core/check.h"
#include "core/http1_text.h"
#include "proxy/forward.h"
#include "proxy/worker.h"

namespace sluice::proxy {

int32_t Http1Upstream::pooled_ms(const http1::Head& response, int64_t most_ms) {
  constexpr int64_t kMarginMs = 500;
  constexpr std::string_view kTimeout = "timeout=";
  const http1::Header* said = response.find(http1::Name::kKeepAlive);
  if (said != nullptr) {
    http1::for_each_element(said->value, [&](std::string_view each) {
      uint64_t seconds = 0;
      if (each.size() <= kTimeout.size() ||
          !http1::iequals(each.substr(0, kTimeout.size()), kTimeout))
        return;
      if (!http1::parse_length(each.substr(kTimeout.size()), seconds) || seconds == 0) return;
      const int64_t ms = static_cast<int64_t>(seconds < 86'400 ? seconds : 86'400) * 1000;
      if (ms - kMarginMs < most_ms) most_ms = ms - kMarginMs;
    });
  }
  return static_cast<int32_t>(std::min<int64_t>(most_ms, INT32_MAX));
}

Http1Upstream::Http1Upstream(Worker& worker, const Endpoint& endpoint)
    : Http1Io(worker.reactor()), worker_(worker), endpoint_(&endpoint) {}

void Http1Upstream::arm(int64_t delay_ms) {
  reactor_.timers().arm(*this, reactor_.now_ms() + delay_ms);
}

bool Http1Upstream::connect(Forward& forward) {
  const SocketAddress address = address_of(*endpoint_);
  if (!address.valid()) return false;
  ConnectStart start = start_connect(address);
  if (!start.socket.open()) return false;
  // A TLS handshake may fail, and that is told by an event, so its connect is, too.
  const bool done = start.done && !endpoint_->tls();
  const auto how = done ? Channel::Start::kConnected : Channel::Start::kConnecting;
  if (!channel_.open(reactor_, std::move(start.socket), *this, how)) return false;
  forward_ = &forward;
  if (done) {
    worker_.counters().upstream_connections += 1;
    start_serving();
  } else {
    state_ = State::kConnecting;
    arm(worker_.options().timeouts.connect_ms);
  }
  return true;
}

void Http1Upstream::assign(Forward& forward) {
  CHECK(state_ == State::kIdle);
  state_ = State::kActive;
  forward_ = &forward;
  arm(worker_.options().timeouts.response_ms);
}

bool Http1Upstream::build_head(const http1::Head& head, const RequestEdit& edit,
                               const ClientFacts& client) {
  const HeaderPolicy& policy = worker_.options().headers;
  const size_t want = head.size + edit.path.size() + edit.host.size() +
                      edit.stripped_prefix.size() + SocketAddress::kMaxText * 4 +
                      head.authority.size() + kAddedHeadBytes + room_for(policy);
  const size_t room = out_.make_room(want);
  HeadWriter writer(out_.room(), room);
  if (!write_request_head(writer, head, edit, client, policy)) return false;
  out_.commit(writer.size());
  chunked_out_ = head.framing == http1::Framing::kChunked;
  method_ = head.method;
  upgrade_asked_ = head.upgrade;
  in_body_ = false;
  sent_ = false;
  reader_.reset();
  return true;
}

size_t Http1Upstream::write_body(std::string_view run) {
  arm(worker_.options().timeouts.response_ms);
  return Http1Io::write_body(run);
}

void Http1Upstream::await_response() {
  arm(worker_.options().timeouts.response_ms);
}

void Http1Upstream::flush() {
  if (state_ == State::kConnecting || state_ == State::kHandshake) return;
  Http1Io::flush();
}

void Http1Upstream::settle_connect() {
  const int error = channel_.socket().take_error();
  if (error != 0) {
    forward_->on_upstream_failed(error == ETIMEDOUT ? 504 : 502);
    return;
  }
  worker_.counters().upstream_connections += 1;
  if (endpoint_->tls()) return start_tls();
  start_serving();
  forward_->on_upstream_ready(true);
}

void Http1Upstream::start_serving() {
  state_ = State::kActive;
  arm(worker_.options().timeouts.response_ms);
}

void Http1Upstream::start_tls() {
  const tls::ConnectOptions options{.server_name = endpoint_->server_name(),
                                    .skip_verify = endpoint_->tls_skip_verify(),
                                    .ticket = worker_.pool().ticket(*endpoint_)};
  auto session = tls::Session::connect(worker_.options().upstream_tls, reactor_.buffers(), options);
  if (!session) return forward_->on_upstream_failed(502);
  channel_.start_tls(std::move(session));
  state_ = State::kHandshake;
  arm(worker_.options().timeouts.handshake_ms);
  settle_handshake();
}

void Http1Upstream::settle_handshake() {
  switch (channel_.handshake()) {
    case tls::Session::Handshake::kWait: return;
    case tls::Session::Handshake::kDone:
      start_serving();
      forward_->on_upstream_ready(true);
      return;
    case tls::Session::Handshake::kFailed:
      worker_.note_tls_failure(*endpoint_, channel_.tls()->error());
      forward_->on_upstream_failed(502);
      return;
  }
}

void Http1Upstream::on_ready(Ready ready) {
  start_turn();
  const bool was_blocked = blocked_;
  note(ready);
  switch (state_) {
    case State::kConnecting:
      if (ready.writable || ready.error) settle_connect();
      return;
    case State::kHandshake: return settle_handshake();
    case State::kIdle:
      // Whatever comes here ends it: an end, a reset, or bytes that nobody asked for.
      if ((ready.readable && !channel_.quiet()) || ready.closed) {
        worker_.pool().remove(*this);
        close();
      }
      return;
    case State::kActive: break;
    case State::kClosed: return;
  }
  if (was_blocked && !blocked_ && Http1Io::flush()) {
    forward_->on_upstream_credit();
    if (state_ != State::kActive) return;
  }
  if (!channel_.readable()) return;
  if (in_body_) {
    forward_->on_response_data();
  } else {
    read_head();
  }
}

void Http1Upstream::on_resume() {
  if (state_ == State::kIdle || state_ == State::kClosed) return;
  on_ready({.readable = channel_.readable(), .writable = false, .closed = false, .error = false});
}

void Http1Upstream::gone() {
  forward_->on_upstream_gone(502, !sent_);
}

void Http1Upstream::read_head() {
  while (state_ == State::kActive && !in_body_) {
    http1::Head& head = worker_.scratch_head();
    if (!in_.empty()) {
      const http1::ReadResult result =
          reader_.read_response(in_.view(), worker_.options().head, method_, head);
      if (result.state == http1::ReadState::kBad) return forward_->on_response_bad();
      if (result.state == http1::ReadState::kDone) {
        reader_.reset();
        if (head.status < 200 && head.status != 101) {
          forward_->on_interim(head);
          in_.consume(head.size);
          continue;
        }
        if (head.status == 101 && !upgrade_asked_) return forward_->on_response_bad();
        in_body_ = true;
        keep_alive_ =
            head.keep_alive && head.framing != http1::Framing::kUntilClose && head.status != 101;
        start_body(head.framing, head.content_length, head.size);
        // The same in every response of a server, so the first one is asked.
        if (pooled_ms_ == 0) pooled_ms_ = pooled_ms(head, worker_.options().timeouts.pooled_ms);
        arm(worker_.options().timeouts.response_ms);
        if (head.status == 101) {
          forward_->on_upgraded(head);
        } else {
          forward_->on_response_head(head, head.framing == http1::Framing::kNone);
        }
        return;
      }
    }
    switch (fill_head()) {
      case Fill::kGot: break;
      case Fill::kWait: return;
      case Fill::kEnd:
      case Fill::kFailed:
      case Fill::kFull: return gone();
    }
  }
}

BodyStream::Source Http1Upstream::pull() {
  for (;;) {
    const std::string_view run = source_.peek(in_.view());
    if (!run.empty()) return Source::kData;
    if (source_.ended()) return Source::kEnded;
    if (source_.bad()) return Source::kBad;
    // Framing that was read is done with.
    const uint32_t used = source_.used();
    in_.consume(used);
    source_.dropped(used);
    const uint64_t left = source_.reader().payload_left();
    switch (fill(left > BufferPool::kSmallBytes ? BufferPool::kLargeBytes : 1)) {
      case Fill::kGot: arm(worker_.options().timeouts.response_ms); break;
      case Fill::kWait: return Source::kWait;
      case Fill::kEnd: return source_.reader().ends_at_close() ? Source::kEnded : Source::kLost;
      case Fill::kFailed:
      case Fill::kFull: return Source::kLost;
    }
  }
}

void Http1Upstream::spliced(uint64_t n, bool end) {
  arm(worker_.options().timeouts.response_ms);
  Http1Io::spliced(n, end);
}

void Http1Upstream::splice_blocked() {
  Http1Io::splice_blocked();
  arm(worker_.options().timeouts.response_ms);
}

void Http1Upstream::pass(size_t n) {
  source_.pass(n);
}

bool Http1Upstream::move_to(Tunnel& tunnel) {
  // Behind the 101 head the bytes are not HTTP any more; the head itself was rewritten for the
  // client.
  if (!tunnel.add(Tunnel::kDown, in_.view().substr(source_.used()))) return false;
  tunnel.adopt(Tunnel::kDown, channel_);
  close();
  return true;
}

void Http1Upstream::release() {
  in_.consume(source_.used());
  // Bytes beyond the response belong to nothing: such a connection is not trusted with another
  // request.
  bool clean = in_.empty() && out_.empty() && !blocked_ && !write_failed_ && !channel_.closed();
  if (channel_.tls() != nullptr) {
    // What was received and not opened yet would not announce itself again.
    clean = clean && channel_.quiet() && channel_.drained();
    worker_.pool().keep_ticket(*endpoint_, channel_.tls()->take_ticket());
  }
  if (!clean || !keep_alive_ || worker_.draining()) return close();
  in_.release();
  reactor_.cancel_resume(*this);
  forward_ = nullptr;
  state_ = State::kIdle;
  if (!worker_.pool().give(*this)) return close();
  arm(pooled_ms_);
}

void Http1Upstream::close_unpooled() {
  close();
}

void Http1Upstream::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  forward_ = nullptr;
  close_channel(false);
  reactor_.reap(*this);
}

void Http1Upstream::on_timer() {
  switch (state_) {
    case State::kConnecting:
    case State::kHandshake: forward_->on_upstream_failed(504); return;
    case State::kActive:
      // An upload may take its time, and so may who reads the answer.
      if (forward_->waits_for_client()) return arm(worker_.options().timeouts.response_ms);
      forward_->on_timeout(504);
      return;
    case State::kIdle:
      worker_.pool().remove(*this);
      close();
      return;
    case State::kClosed: return;
  }
}

void Http1Upstream::destroy() {
  worker_.free(*this);
}

}  // namespace sluice::proxy
