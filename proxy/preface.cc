#include "proxy/preface.h"

#include "proxy/proxy_protocol.h"
#include "proxy/worker.h"

namespace sluice::proxy {

Preface::Preface(Worker& worker, const SocketAddress& peer, const ListenerInfo& listener)
    : worker_(worker), listener_(listener), peer_(peer), in_(worker.reactor().buffers()) {}

bool Preface::start(Socket socket) {
  if (!channel_.open(worker_.reactor(), std::move(socket), *this, Channel::Start::kConnected))
    return false;
  state_ = listener_.proxy_protocol ? State::kProxyHeader : State::kHello;
  const int64_t limit_ms =
      listener_.proxy_protocol ? listener_.proxy_timeout_ms : listener_.timeouts.head_ms;
  worker_.reactor().timers().arm(*this, worker_.reactor().now_ms() + limit_ms);
  return true;
}

void Preface::on_ready(Ready ready) {
  channel_.note(ready);
  go_on();
}

void Preface::go_on() {
  while (state_ != State::kClosed) {
    if (!channel_.readable()) return;
    const size_t room = in_.make_room(
        in_.size() < BufferPool::kSmallBytes / 2 ? 1 : BufferPool::kLargeBytes - in_.size());
    if (room == 0) return refuse(400);  // the limit of the block, or of the pool
    const IoResult got = channel_.read(in_.room(), room);
    if (got.state == IoState::kBlocked) return;
    if (got.state != IoState::kOk) return close();
    in_.commit(got.bytes);
    if (state_ == State::kProxyHeader && !read_header()) continue;
    if (state_ == State::kHello) read_hello();
  }
}

bool Preface::read_header() {
  const ProxyHeader header = read_proxy_header(in_.view());
  switch (header.state) {
    case ProxyHeader::State::kMore: return false;
    case ProxyHeader::State::kBad: refuse(400); return false;
    case ProxyHeader::State::kDone: break;
  }
  in_.consume(header.size);
  if (header.source.valid()) peer_ = header.source;
  if (!listener_.reads_hello()) {
    hand_over();
    return false;
  }
  state_ = State::kHello;
  worker_.reactor().timers().arm(*this, worker_.reactor().now_ms() + listener_.timeouts.head_ms);
  return !in_.empty();
}

void Preface::read_hello() {
  switch (hello_.read(in_.view(), worker_.hello_scratch())) {
    case ClientHelloReader::State::kMore: return;
    case ClientHelloReader::State::kDone: return hand_over();
    case ClientHelloReader::State::kNotTls:
    case ClientHelloReader::State::kMalformed:
    case ClientHelloReader::State::kTooLarge: return refuse(400);
  }
}

void Preface::hand_over() {
  worker_.begin(channel_, in_.view(), peer_, listener_);
  leave();
}

void Preface::refuse(uint16_t status) {
  ClientFacts facts;
  facts.peer = peer_;
  worker_.access().refused(facts, nullptr, status, 0);
  close();
}

void Preface::on_timer() {
  refuse(408);
}

/// An end, not a reset: bytes that were not read would make it one.
void Preface::close() {
  if (state_ == State::kClosed) return;
  in_.clear();
  for (int i = 0; i < 4 && channel_.is_open(); ++i) {
    const size_t room = in_.make_room(1);
    if (room == 0 || channel_.read(in_.room(), room).state != IoState::kOk) break;
  }
  leave();
}

void Preface::leave() {
  state_ = State::kClosed;
  Reactor& reactor = worker_.reactor();
  reactor.cancel_resume(*this);
  reactor.timers().remove(*this);
  all_node.unlink();
  in_.release();
  channel_.close(reactor);
  reactor.reap(*this);
}

void Preface::destroy() {
  worker_.free(*this);
}

}  // namespace sluice::proxy
