#include "bench/load/connection.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string_view>
#include <vector>

#include "bench/load/flags.h"
#include "bench/load/response.h"
#include "bench/load/transfer.h"

namespace load {

namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kPatternBytes = 256 << 10;

const std::string pattern(kPatternBytes, 'x');
uint64_t random_state = 88172645463325252;
std::vector<char> read_room(kReadBytes);

void close_conn(Conn& c) {
  if (c.ssl != nullptr) {
    // A session is kept for the next connection only if this one was not simply cut off.
    SSL_set_shutdown(c.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(c.ssl);
    c.ssl = nullptr;
  }
  if (c.fd >= 0) close(c.fd);
  c.fd = -1;
  c.state = State::kClosed;
}

void next(Conn& c) {
  const int64_t now = now_ns();
  if (now >= last_due) return;
  if (flags.rate == 0) return start(c, now);
  if (due_later.empty()) {
    free_conns.push_back(&c);
    return;
  }
  const int64_t due = due_later.front();
  due_later.pop_front();
  start(c, due);
}

bool send_request(Conn& c) {
  const std::string_view first = flags.message > 0 ? message : request_heads[c.head_index];
  if (!transmit(c, first, c.sent)) return false;
  while (c.sent == first.size() && c.upload_left > 0 && !c.full) {
    const size_t n = c.upload_left < pattern.size() ? c.upload_left : pattern.size();
    size_t sent = 0;
    if (!transmit(c, {pattern.data(), n}, sent)) return false;
    c.upload_left -= sent;
  }
  return true;
}

void read_all(Conn& c) {
  for (;;) {
    const ssize_t n = receive(c, read_room.data(), read_room.size());
    if (n == -1) return;
    if (n == -2) return failed(c, std::string("read: ") + strerror(errno));
    if (n == 0) return failed(c, "closed before the answer was whole");
    if (c.state != State::kBusy && c.state != State::kUpgrade) {
      return failed(c, "bytes that nobody asked for");
    }
    if (!take(c, {read_room.data(), static_cast<size_t>(n)})) return;
  }
}

void open_conn(Conn& c) {
  ++totals.opened;
  c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c.fd < 0) die(std::string("socket: ") + strerror(errno));
  const int on = 1;
  setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const int got = connect(c.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  if (got != 0 && errno != EINPROGRESS) {
    c.state = State::kConnecting;
    return failed(c, std::string("connect: ") + strerror(errno));
  }
  c.state = State::kConnecting;
  c.full = true;
  c.out_of_data = false;
  c.head.clear();
  c.in_body = c.close_after = false;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u32 = c.index;
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c.fd, &event);
  if (!flags.tls) return;
  c.ssl = SSL_new(tls_context);
  SSL_set_fd(c.ssl, c.fd);
  SSL_set_connect_state(c.ssl);
  if (!flags.sni.empty()) SSL_set_tlsext_host_name(c.ssl, flags.sni.c_str());
  if (flags.resume && session != nullptr) SSL_set_session(c.ssl, session);
}

}  // namespace

void failed(Conn& c, const std::string& why) {
  const bool was_busy = c.state != State::kReady && c.state != State::kClosed;
  close_conn(c);
  if (!was_busy) {
    // An idle connection may be closed by the other side; it is opened again when it is needed.
    return;
  }
  ++totals.errors;
  if (totals.first_error.empty()) totals.first_error = why;
  if (!flags.errors) die(why);
  --busy;
  next(c);
}

void done(Conn& c) {
  const int64_t now = now_ns();
  ++totals.requests;
  if (c.due >= count_from) {
    ++totals.counted;
    latencies.add(now - c.due);
  }
  if (c.ssl != nullptr && SSL_session_reused(c.ssl) == 1 && flags.fresh) ++totals.resumed;
  --busy;
  c.state = State::kReady;
  c.head.clear();
  c.in_body = false;
  if (c.close_after || flags.fresh) close_conn(c);
  next(c);
}

void drive(Conn& c) {
  if (c.state == State::kConnecting) {
    if (c.full) return;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return failed(c, std::string("connect: ") + strerror(error));
    c.state = flags.tls ? State::kHandshake : State::kBusy;
    if (flags.message > 0) c.state = State::kUpgrade;
  }
  if (c.state == State::kHandshake) {
    const int n = SSL_do_handshake(c.ssl);
    if (n != 1) {
      const int error = SSL_get_error(c.ssl, n);
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return;
      char text[120];
      ERR_error_string_n(ERR_get_error(), text, sizeof text);
      ERR_clear_error();
      return failed(c, std::string("TLS handshake: ") + text);
    }
    c.state = State::kBusy;
  }
  if (c.state == State::kUpgrade && !transmit(c, upgrade_head, c.sent)) {
    return failed(c, std::string("write: ") + strerror(errno));
  }
  if (c.state == State::kBusy && !send_request(c)) {
    return failed(c, std::string("write: ") + strerror(errno));
  }
  read_all(c);
}

void start(Conn& c, int64_t due) {
  c.due = due;
  c.sent = 0;
  c.upload_left = flags.upload;
  c.body_left = flags.message > 0 ? 2 + flags.message : 0;
  if (flags.hosts > 0) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    c.head_index = static_cast<uint32_t>(random_state % flags.hosts);
  }
  ++busy;
  if (c.state == State::kClosed) return open_conn(c);
  c.state = State::kBusy;
  drive(c);
}

}  // namespace load
