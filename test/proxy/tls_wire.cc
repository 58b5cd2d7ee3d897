#include "test/proxy/tls_wire.h"

#include <fcntl.h>
#include <poll.h>

#include <vector>

#include "core/check.h"
#include "test/core/tls/material.h"

namespace sluice::proxy::test {

namespace {

constexpr int kWaitMs = 10'000;  // a test that waits this long has failed

bool wait_for(tls::Session& session, Socket& socket, short events) {
  pollfd p{socket.fd(), events, 0};
  if (::poll(&p, 1, kWaitMs) <= 0) return false;
  const bool closed = (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  session.note(socket, (p.revents & POLLIN) != 0 || closed, (p.revents & POLLOUT) != 0, closed);
  return true;
}

}  // namespace

std::shared_ptr<const tls::ServerContext> any_server_context() {
  static tls::Keyring keyring(0);
  static const auto context = [] {
    const std::vector<std::shared_ptr<const tls::Certificate>> all{tls::test::any_pair().load()};
    auto made = tls::ServerContext::make(
        {.alpn = {"http/1.1"}}, std::make_shared<const tls::CertificateSet>(all), nullptr, keyring);
    CHECK(made.has_value());
    return *made;
  }();
  return context;
}

std::shared_ptr<const tls::ClientContext> any_client_context() {
  static const auto context = tls::ClientContext::make(tls::test::any_authority().load());
  return context;
}

TlsWire::TlsWire(Wire wire, std::unique_ptr<BufferPool> pool, std::unique_ptr<tls::Session> session)
    : wire_(std::move(wire)), pool_(std::move(pool)), session_(std::move(session)) {
  const int fd = wire_.socket().fd();
  CHECK(::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) == 0);
}

TlsWire TlsWire::connect(Wire wire, std::string_view name, const tls::Ticket* ticket) {
  auto pool = std::make_unique<BufferPool>();
  auto session =
      tls::Session::connect(any_client_context(), *pool, {.server_name = name, .ticket = ticket});
  return TlsWire(std::move(wire), std::move(pool), std::move(session));
}

TlsWire TlsWire::accept(Wire wire) {
  return accept(std::move(wire), any_server_context());
}

TlsWire TlsWire::accept(Wire wire, std::shared_ptr<const tls::ServerContext> context) {
  auto pool = std::make_unique<BufferPool>();
  auto session = tls::Session::accept(std::move(context), *pool);
  return TlsWire(std::move(wire), std::move(pool), std::move(session));
}

bool TlsWire::shake() {
  for (;;) {
    switch (session_->handshake(wire_.socket())) {
      case tls::Session::Handshake::kDone: return true;
      case tls::Session::Handshake::kFailed: return false;
      case tls::Session::Handshake::kWait:
        if (!wait_for(*session_, wire_.socket(), POLLIN)) return false;
    }
  }
}

void TlsWire::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    const IoResult put = session_->write(wire_.socket(), &part, 1);
    if (put.state == IoState::kError) return;  // what the other side said is what counts
    if (put.state == IoState::kOk) bytes.remove_prefix(put.bytes);
    const bool blocked = put.state == IoState::kBlocked || !session_->drained();
    const short events = session_->drained() ? POLLIN : POLLOUT;
    if (blocked && !wait_for(*session_, wire_.socket(), events)) return;
  }
}

IoState TlsWire::wait_and_read(std::string& into, size_t most) {
  for (;;) {
    char room[16'384];
    const IoResult in = session_->read(wire_.socket(), room, std::min(most, sizeof room));
    if (in.state == IoState::kOk) into.append(room, in.bytes);
    if (in.state != IoState::kBlocked) return in.state;
    if (!wait_for(*session_, wire_.socket(), POLLIN)) return IoState::kBlocked;
  }
}

std::string TlsWire::read(size_t size) {
  std::string got;
  while (got.size() < size) {
    if (wait_and_read(got, size - got.size()) != IoState::kOk) break;
  }
  return got;
}

std::string TlsWire::read_head() {
  std::string got;
  while (!got.ends_with("\r\n\r\n")) {
    if (wait_and_read(got, 1) != IoState::kOk) break;
  }
  return got;
}

std::string TlsWire::read_to_end(bool* clean) {
  std::string got;
  IoState state = IoState::kOk;
  while (state == IoState::kOk) state = wait_and_read(got, SIZE_MAX);
  if (clean != nullptr) *clean = state == IoState::kEnd;
  return state == IoState::kBlocked ? got + "(no end)" : got;
}

void TlsWire::close() {
  session_->end(wire_.socket());
  wire_.close();
}

}  // namespace sluice::proxy::test
