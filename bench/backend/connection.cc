#include "bench/backend/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "bench/backend/answer.h"
#include "bench/backend/request.h"

namespace backend {

namespace {

uint32_t next_generation = 1;

// Bytes written, 0 when the socket is full, -1 when the connection is gone.
ssize_t put(Conn& c, const char* data, size_t size) {
  if (!c.ssl) {
    ssize_t n = send(c.fd, data, size, MSG_NOSIGNAL);
    return n >= 0 ? n : errno == EAGAIN ? 0 : -1;
  }
  ERR_clear_error();
  int n = SSL_write(c.ssl, data, static_cast<int>(std::min<size_t>(size, 1 << 20)));
  if (n > 0) return n;
  int e = SSL_get_error(c.ssl, n);
  return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

// True when nothing is owed any more.
bool flush(Conn& c, bool& gone) {
  while (c.out_at < c.out.size() || c.pattern_left) {
    ssize_t n;
    size_t text = c.out.size() - c.out_at;
    if (!c.ssl && text && c.pattern_left) {
      iovec parts[2] = {{c.out.data() + c.out_at, text},
                        {pattern.data(), std::min<uint64_t>(c.pattern_left, pattern.size())}};
      n = writev(c.fd, parts, 2);
      if (n < 0) n = errno == EAGAIN ? 0 : -1;
    } else if (text) {
      n = put(c, c.out.data() + c.out_at, text);
    } else {
      n = put(c, pattern.data(), std::min<uint64_t>(c.pattern_left, pattern.size()));
    }
    if (n < 0) gone = true;
    if (n <= 0) return false;
    size_t of_text = std::min(static_cast<size_t>(n), text);
    c.out_at += of_text;
    c.pattern_left -= static_cast<size_t>(n) - of_text;
  }
  c.out.clear();
  c.out_at = 0;
  return true;
}

// Handles every complete request that is buffered, as long as the answers go out.
bool advance(Conn& c) {
  bool gone = false;
  for (;;) {
    bool can_pipeline = c.out.size() < kReadBytes && !c.pattern_left && !c.closing;
    if (c.phase == Phase::kHead && can_pipeline && take_head(c)) continue;
    if (c.phase == Phase::kBody && take_body(c)) {
      respond(c);
      continue;
    }
    bool clear = flush(c, gone);
    if (gone) return false;
    if (!clear) break;
    if (c.closing && c.phase == Phase::kHead) return false;
    if (c.phase != Phase::kHead || c.in_at >= c.in.size()) break;
    std::string_view rest(c.in.data() + c.in_at, c.in.size() - c.in_at);
    if (rest.find("\r\n\r\n") == rest.npos) break;
  }
  c.in.erase(0, c.in_at);
  c.in_at = 0;
  bool owes = c.out_at < c.out.size() || c.pattern_left;
  if (c.eof && !owes && c.phase != Phase::kWaiting) return false;
  if (stopping && !owes && c.phase == Phase::kHead && c.in.empty()) return false;
  uint32_t want = owes ? EPOLLOUT : c.phase == Phase::kWaiting || c.eof ? 0 : EPOLLIN;
  if (want != c.interest) {
    c.interest = want;
    epoll_event e{};
    e.events = want;
    e.data.u64 = uint64_t{c.generation} << 32 | static_cast<uint32_t>(c.fd);
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c.fd, &e);
  }
  return true;
}

// Reads what is there. False: the connection is over.
bool take_input(Conn& c) {
  static char buffer[kReadBytes];
  for (;;) {
    ssize_t n;
    if (c.ssl) {
      ERR_clear_error();
      n = SSL_read(c.ssl, buffer, sizeof buffer);
      if (n <= 0) {
        int e = SSL_get_error(c.ssl, static_cast<int>(n));
        if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) return true;
        if (e != SSL_ERROR_ZERO_RETURN) return false;
        n = 0;
      }
    } else {
      n = recv(c.fd, buffer, sizeof buffer, 0);
      if (n < 0) return errno == EAGAIN;
    }
    if (n == 0) {
      c.eof = true;
      return true;
    }
    c.in.append(buffer, static_cast<size_t>(n));
    if (!c.ssl && static_cast<size_t>(n) < sizeof buffer) return true;
    if (c.in.size() > 16 * kReadBytes) return true;
  }
}

void drop(int fd) {
  conns[static_cast<size_t>(fd)].reset();
  live--;
}

}  // namespace

void on_event(int fd, uint32_t generation, uint32_t events) {
  Conn* c = conns[static_cast<size_t>(fd)].get();
  if (!c || c->generation != generation) return;
  if (events & EPOLLERR) return drop(fd);
  if ((events & EPOLLHUP) && c->interest == 0) return drop(fd);
  if (!c->handshaken) {
    ERR_clear_error();
    int n = SSL_accept(c->ssl);
    if (n <= 0) {
      int e = SSL_get_error(c->ssl, n);
      if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) drop(fd);
      return;
    }
    c->handshaken = true;
  }
  if (c->interest & EPOLLIN && !take_input(*c)) return drop(fd);
  if (!advance(*c)) drop(fd);
}

void on_wait_over(const Timer& timer) {
  Conn* c = conns[static_cast<size_t>(timer.fd)].get();
  if (!c || c->generation != timer.generation || c->phase != Phase::kWaiting) return;
  answer_after_wait(*c);
  if (!advance(*c)) drop(timer.fd);
}

void on_accept(const Listener& listener) {
  for (;;) {
    int fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE) usleep(1000);  // level-triggered: do not spin
      return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (conns.size() <= static_cast<size_t>(fd)) conns.resize(static_cast<size_t>(fd) * 2 + 1);
    auto c = std::make_unique<Conn>();
    c->fd = fd;
    c->generation = next_generation++;
    c->tls = listener.tls;
    if (listener.tls) {
      c->ssl = SSL_new(tls_context);
      SSL_set_fd(c->ssl, fd);
      c->handshaken = false;
    }
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.u64 = uint64_t{c->generation} << 32 | static_cast<uint32_t>(fd);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    conns[static_cast<size_t>(fd)] = std::move(c);
    accepted++;
    live++;
  }
}

void begin_stop() {
  if (stopping) return;
  stopping = true;
  for (const Listener& l : listeners) on_accept(l), close(l.fd);
  for (size_t fd = 0; fd < conns.size(); fd++) {
    Conn* c = conns[fd].get();
    if (!c || c->phase != Phase::kHead || c->interest != EPOLLIN || !c->handshaken) continue;
    if (!take_input(*c) || !advance(*c)) drop(static_cast<int>(fd));
  }
}

}  // namespace backend
