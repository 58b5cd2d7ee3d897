#include "proxy/tunnel.h"

#include <algorithm>

#include "core/check.h"
#include "proxy/client_hello.h"
#include "proxy/endpoint.h"
#include "proxy/proxy_protocol.h"
#include "proxy/worker.h"

namespace sluice::proxy {

namespace {

constexpr int kMovesATurn = 4;
constexpr size_t kBulkBytes = 32 * 1024;  // a read of this much says that more is coming

}  // namespace

Tunnel::Tunnel(Worker& worker)
    : worker_(worker),
      client_(*this),
      upstream_(*this),
      up_(worker.reactor().buffers()),
      down_(worker.reactor().buffers()) {}

bool Tunnel::start(Socket client, std::unique_ptr<tls::Session> tls, const SocketAddress& peer,
                   const ListenerInfo& listener) {
  if (!client_.channel.open(worker_.reactor(), std::move(client), client_,
                            Channel::Start::kConnected)) {
    return false;
  }
  client_.channel.start_tls(std::move(tls));
  listener_ = &listener;
  peer_ = peer;
  record_ = worker_.access().open();
  if (connect_next()) return true;
  log();
  client_.channel.reset(worker_.reactor());
  return false;
}

Tunnel::Started Tunnel::start(Channel& client, std::string_view bytes,
                              std::unique_ptr<tls::Session> tls, const SocketAddress& peer,
                              const ListenerInfo& listener) {
  if (tls ? !tls->feed(bytes) : !up_.buffer.append(bytes)) return Started::kNo;
  listener_ = &listener;
  peer_ = peer;
  RouteDecision first;
  const bool either = listener.protocol == ListenProtocol::kHttpsTcpSni;
  if (either) {
    first = find_endpoint();
    if (first.no_route) {
      up_.buffer.release();
      return Started::kNotTcp;
    }
  }
  client_.channel.take(worker_.reactor(), client, client_);
  client_.channel.start_tls(std::move(tls));
  record_ = worker_.access().open();
  if (connect_next(either ? &first : nullptr)) return Started::kYes;
  log();
  up_.buffer.release();
  client_.channel.close(worker_.reactor());
  return Started::kNo;
}

RouteDecision Tunnel::find_endpoint() {
  using By = StreamQuery::By;
  StreamQuery query{.peer = peer_,
                    .listener_port = listener_->port,
                    .address = {},
                    .server_name = {},
                    .tried = {tried_.data(), tried_count_}};
  char address[SocketAddress::kMaxText + 2];
  ClientHelloReader hello;
  if (listener_->reads_hello()) {
    query.by = listener_->protocol == ListenProtocol::kTcpSni ? By::kServerName : By::kTcpOnly;
    // Nothing was sent yet, so it is still here.
    const auto state = hello.read(up_.buffer.view(), worker_.hello_scratch());
    CHECK(state == ClientHelloReader::State::kDone);
    query.server_name = hello.server_name();
  } else if (listener_->protocol == ListenProtocol::kTcpDynamic) {
    query.by = By::kAddress;
    const size_t size = client_.channel.socket().local_address().write_ip(address + 1);
    const bool v6 = std::string_view(address + 1, size).find(':') != std::string_view::npos;
    address[0] = '[';
    address[size + 1] = ']';
    query.address = v6 ? std::string_view(address, size + 2) : std::string_view(address + 1, size);
  }
  return worker_.route_stream(query);
}

bool Tunnel::connect_next(const RouteDecision* first) {
  for (;;) {
    const RouteDecision decision = first != nullptr ? *first : find_endpoint();
    first = nullptr;
    if (decision.endpoint == nullptr) {
      if (tried_count_ == 0) status_ = decision.refuse;
      return false;
    }
    endpoint_ = decision.endpoint;
    service_ = worker_.services().slot(decision);
    if (record_ != nullptr) {
      worker_.note_route(record_, nullptr, decision);
      worker_.access().keep_without_pin(record_);
    }
    const bool known = tried_count_ == tried_.size();
    if (!known) tried_[tried_count_++] = endpoint_;
    const SocketAddress address = address_of(*endpoint_);
    if (address.valid()) {
      ConnectStart begun = start_connect(address);
      const auto how = begun.done ? Channel::Start::kConnected : Channel::Start::kConnecting;
      if (begun.socket.open() &&
          upstream_.channel.open(worker_.reactor(), std::move(begun.socket), upstream_, how)) {
        state_ = State::kConnecting;
        if (begun.done) worker_.reactor().resume_later(*this);
        worker_.reactor().timers().arm(
            *this, worker_.reactor().now_ms() + worker_.options().timeouts.connect_ms);
        return true;
      }
    }
    leave_endpoint();
    if (known) return false;
  }
}

void Tunnel::leave_endpoint() {
  if (endpoint_ != nullptr) endpoint_->end();
  endpoint_ = nullptr;
}

void Tunnel::adopt(Way from, Channel& channel) {
  Side& side = source(from);
  side.channel.take(worker_.reactor(), channel, side);
}

bool Tunnel::add(Way way, std::string_view bytes) {
  return direction(way).buffer.append(bytes);
}

bool Tunnel::add_head(std::string_view head) {
  head_bytes_ += head.size();
  return add(kDown, head);
}

void Tunnel::begin(const Endpoint& endpoint, AccessRecord* record, ServiceStats::Slot service,
                   const SocketAddress& peer, Ref<RouteLimits> entered, uint64_t address_hash) {
  peer_ = peer;
  entered_ = std::move(entered);
  address_hash_ = address_hash;
  record_ = record;
  service_ = service;
  status_ = 101;
  endpoint_ = &endpoint;
  state_ = State::kOpen;
  arm();
  // What is readable already was said by events that are past.
  client_.channel.assume_ready();
  upstream_.channel.assume_ready();
  worker_.reactor().resume_later(*this);
}

void Tunnel::Side::on_ready(Ready ready) {
  ready = channel.note(ready);
  if (tunnel.state_ == State::kClosed) return;
  if (tunnel.state_ == State::kConnecting) {
    if (this == &tunnel.upstream_) {
      tunnel.on_connecting(ready);
    } else if (ready.error) {
      tunnel.close(true);
    }
    return;
  }
  const Way from_here = this == &tunnel.client_ ? kUp : kDown;
  if (ready.readable || ready.closed) tunnel.pump(from_here);
  if (tunnel.state_ == State::kOpen && ready.writable) tunnel.pump(from_here == kUp ? kDown : kUp);
  tunnel.settle();
}

void Tunnel::on_connecting(EventHandler::Ready ready) {
  if (!ready.writable && !ready.error) return;
  if (upstream_.channel.socket().take_error() != 0) {
    worker_.note_failure(*endpoint_);
    upstream_.channel.close(worker_.reactor());
    leave_endpoint();
    if (!connect_next()) close(true);
    return;
  }
  join();
}

void Tunnel::join() {
  if (endpoint_->proxy_protocol() && !send_proxy_header()) return close(true);
  state_ = State::kOpen;
  status_ = 200;
  endpoint_->note_success(worker_.reactor().now_ms());
  worker_.counters().upstream_connections += 1;
  read_at_ms_ = write_at_ms_ = worker_.reactor().now_ms();
  arm();
  pump(kUp);
  if (state_ == State::kOpen) pump(kDown);
  settle();
}

/// Fits the buffer of a new connection; if it does not, the connection is of no use.
bool Tunnel::send_proxy_header() {
  char text[kProxyV1Bytes];
  const size_t size = write_proxy_header(peer_, client_.channel.socket().local_address(), text);
  const IoResult put = upstream_.channel.write(text, size);
  return put.state == IoState::kOk && put.bytes == size;
}

void Tunnel::note_moved(Way way) {
  (way == kUp ? read_at_ms_ : write_at_ms_) = worker_.reactor().now_ms();
  arm();
}

/// The nearest of what may not last: silence, a client that sends nothing (rt), one that takes
/// nothing (wt).
void Tunnel::arm() {
  const Timeouts& limits = listener_ != nullptr ? listener_->timeouts : worker_.options().timeouts;
  const bool half = up_.done || down_.done;
  int64_t deadline = worker_.reactor().now_ms() + (half ? limits.half_closed_ms : limits.tunnel_ms);
  const tls::Session* tls = client_.channel.tls();
  if (listener_ != nullptr && tls != nullptr && !tls->established()) {
    deadline = std::min(deadline, read_at_ms_ + limits.handshake_ms);
  }
  if (listener_ != nullptr && listener_->read_ms > 0 && !up_.ended) {
    deadline = std::min(deadline, read_at_ms_ + listener_->read_ms);
  }
  const bool waits = !down_.buffer.empty() || down_.splicer.held() > 0;
  if (listener_ != nullptr && listener_->write_ms > 0 && waits) {
    deadline = std::min(deadline, write_at_ms_ + listener_->write_ms);
  }
  worker_.reactor().timers().arm(*this, deadline);
}

bool Tunnel::pending() const {
  return !up_.buffer.empty() || !down_.buffer.empty() || up_.splicer.held() > 0 ||
         down_.splicer.held() > 0;
}

void Tunnel::pump(Way way) {
  for (int i = 0; i < kMovesATurn; ++i) {
    Direction& d = direction(way);
    if (d.done) return;
    const bool splice = d.buffer.empty() && (d.bulk || d.splicer.held() > 0);
    if (!(splice ? splice_step(way) : copy_step(way))) return;
    if (state_ != State::kOpen) return;
  }
  worker_.reactor().resume_later(*this);
}

bool Tunnel::copy_step(Way way) {
  Direction& d = direction(way);
  Channel& from = source(way).channel;
  Channel& to = sink(way).channel;
  if (d.buffer.empty() && !d.ended) {
    if (!from.readable()) return false;
    const size_t room = d.buffer.make_room(BufferPool::kLargeBytes);
    if (room == 0) return false;
    const IoResult got = from.read(d.buffer.room(), room);
    switch (got.state) {
      case IoState::kOk:
        d.buffer.commit(got.bytes);
        note_moved(way);
        d.bulk = got.bytes >= kBulkBytes && d.large && from.tls() == nullptr && to.tls() == nullptr;
        d.large = got.bytes >= kBulkBytes;
        break;
      case IoState::kBlocked: d.buffer.release(); return false;
      case IoState::kEnd: d.ended = true; break;
      case IoState::kError: close(true); return false;
    }
  }
  if (!d.buffer.empty()) {
    const IoResult put = to.write(d.buffer.data(), d.buffer.size());
    if (put.state == IoState::kError) {
      close(true);
      return false;
    }
    if (put.state == IoState::kOk) {
      d.buffer.consume(put.bytes);
      d.bytes += put.bytes;
    }
    if (put.state == IoState::kOk && put.bytes > 0) note_moved(way);
    if (!d.buffer.empty()) return false;
  }
  d.buffer.release_if_empty();
  if (d.ended) {
    // The second end of two is told by closing, which is next.
    const bool closes_next = up_.done != down_.done && to.tls() == nullptr && from.tls() == nullptr;
    if (!closes_next) to.shutdown_write();
    d.done = true;
    arm();
    return false;
  }
  return from.readable();
}

bool Tunnel::splice_step(Way way) {
  Direction& d = direction(way);
  const Splicer::Result moved = d.splicer.move(
      worker_.pipes(), d.ended ? nullptr : &source(way).channel, sink(way).channel, UINT64_MAX);
  d.bytes += moved.written;
  if (moved.written > 0 || moved.read > 0) note_moved(way);
  switch (moved.outcome) {
    case Splicer::Outcome::kMoved:
      if (moved.read < kBulkBytes) d.bulk = false;
      return true;
    case Splicer::Outcome::kWaitFrom: d.bulk = false; return false;
    case Splicer::Outcome::kWaitTo: return false;
    case Splicer::Outcome::kNoPipe: d.bulk = false; return true;
    case Splicer::Outcome::kEnd:
      d.bulk = false;
      d.ended = true;
      return true;
    case Splicer::Outcome::kFromFailed:
    case Splicer::Outcome::kToFailed: close(true); return false;
  }
  return false;
}

void Tunnel::settle() {
  if (state_ != State::kOpen || !up_.done || !down_.done) return;
  // A close_notify that is not out yet would be lost, and the end look like a truncation.
  if (client_.channel.drained() && upstream_.channel.drained()) close(false);
}

void Tunnel::on_resume() {
  if (state_ == State::kConnecting && upstream_.channel.writable()) return join();
  if (state_ != State::kOpen) return;
  pump(kUp);
  if (state_ == State::kOpen) pump(kDown);
  settle();
}

void Tunnel::on_timer() {
  if (state_ == State::kConnecting && upstream_.channel.is_open()) {
    worker_.note_failure(*endpoint_);
    upstream_.channel.close(worker_.reactor());
    leave_endpoint();
    if (connect_next()) return;
    return close(true);
  }
  // Bytes that are lost must not look like an end.
  close(pending());
}

void Tunnel::log() {
  if (status_ == 200 || status_ == 101) {
    worker_.services().count_tunnel(service_, up_.bytes, body_bytes());
  } else {
    worker_.services().count_failed_tunnel(service_);
  }
  if (record_ == nullptr) return;
  ClientFacts facts;
  facts.peer = peer_;
  record_->upstream = endpoint_;
  worker_.access().close(record_, facts, status_, body_bytes());
  record_ = nullptr;
}

void Tunnel::close(bool reset) {
  if (state_ == State::kClosed) return;
  log();
  state_ = State::kClosed;
  Reactor& reactor = worker_.reactor();
  reactor.cancel_resume(*this);
  reactor.timers().remove(*this);
  all_node.unlink();
  for (const Way way : {kUp, kDown}) {
    direction(way).buffer.release();
    direction(way).splicer.drop(worker_.pipes());
    Channel& channel = source(way).channel;
    if (reset) {
      channel.reset(reactor);
    } else {
      channel.close(reactor);
    }
  }
  leave_endpoint();
  if (entered_) {
    entered_->leave(address_hash_);
    entered_ = {};
    worker_.waiters().wake();
  }
  reactor.reap(*this);
}

void Tunnel::destroy() {
  worker_.free(*this);
}

}  // namespace sluice::proxy
