// The demo backend: the upstream of the demo job, of the tests' images and of the comparison.
// It stands for the users' own services, so it shares nothing with sluice: standard library, POSIX
// and OpenSSL (the one program that uses it), linked statically so that it runs `FROM scratch`.
// One thread, one epoll set. Limits: kMaxHead, kMaxEcho, kReadBytes; a connection that owes more
// output than the socket takes is not read until that is gone.
//
//   GET /            this is NAME, version: VERSION        (any path not below)
//   GET /size/N      N bytes (Content-Length)              /drip/N/MS  N chunked lines, MS apart
//   GET /sleep/MS    the greeting after MS                 /status/N   that status
//   ANY /echo        the request's body                    /request    the request's head
//   ANY /upload      how many bytes the body had           /stats      requests and connections
//   GET /env[/NAME]  the environment, or one variable      /close      closes afterwards
//   GET /health      200, or 503 after /health/fail until /health/pass
//   GET /exit/N      ends the process with code N          /abort      resets the connection
//
// long: one program in one file is what lets every image and test copy it as it stands.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

extern char** environ;

namespace {

constexpr size_t kMaxHead = 64 << 10;    // bytes of a request head
constexpr size_t kMaxEcho = 64 << 20;    // bytes that /echo keeps
constexpr size_t kReadBytes = 64 << 10;  // bytes taken from a socket at once
constexpr size_t kPatternBytes = 256 << 10;
constexpr int kDrainMs = 60'000;  // after SIGTERM, what is in flight may take this long

struct Flags {
  std::string http = ":8081", https = ":7777", name, version = "v1.0.0", cert, key;
  std::string cert_name = "localhost";
  int64_t lines = 0, lines_every_ms = 0, exit_code = -1;
} flags;

enum class Body : uint8_t { kNone, kLength, kChunkSize, kChunkData, kChunkEnd, kTrailer };
enum class Sink : uint8_t { kDrop, kKeep };
enum class Phase : uint8_t { kHead, kBody, kWaiting };

struct Conn {
  int fd = -1;
  uint32_t generation = 0;
  SSL* ssl = nullptr;
  bool tls = false, handshaken = true;
  std::string in, out, kept, target, head;
  size_t in_at = 0, out_at = 0;
  uint64_t pattern_left = 0, body_left = 0, body_bytes = 0, drip_left = 0, drip_at = 0;
  int64_t drip_every_ms = 0;
  Phase phase = Phase::kHead;
  Body body = Body::kNone;
  Sink sink = Sink::kDrop;
  bool is_head = false, keep_alive = true, closing = false, eof = false, old_client = false;
  uint32_t interest = EPOLLIN;
  ~Conn() {
    if (ssl) SSL_free(ssl);
    if (fd >= 0) close(fd);
  }
};

struct Timer {
  int64_t at_ms;
  int fd;  // -1: the next numbered line
  uint32_t generation;
  bool operator<(const Timer& other) const { return at_ms > other.at_ms; }
};

int epoll_fd = -1;
uint32_t next_generation = 1;
uint64_t requests = 0, accepted = 0, live = 0;
int64_t lines_done = 0;
bool healthy = true, stopping = false;
std::vector<std::unique_ptr<Conn>> conns;  // by descriptor
std::priority_queue<Timer> timers;
std::string pattern, greeting[2];  // [1] is the TLS one
SSL_CTX* tls_context = nullptr;
struct Listener {
  int fd;
  bool tls;
};
std::vector<Listener> listeners;

int64_t now_ms() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1'000'000;
}

[[noreturn]] void die(const std::string& why) {
  fprintf(stderr, "backend: %s\n", why.c_str());
  exit(2);
}

uint64_t number(std::string_view s, uint64_t otherwise = 0) {
  uint64_t n = otherwise;
  std::from_chars(s.data(), s.data() + s.size(), n);
  return n;
}

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

void answer(Conn& c, int status, std::string_view body, uint64_t pattern_bytes = 0) {
  const char* reason = status == 200   ? "OK"
                       : status == 400 ? "Bad Request"
                       : status == 404 ? "Not Found"
                       : status == 413 ? "Content Too Large"
                       : status == 503 ? "Service Unavailable"
                                       : "Status";
  if (!c.keep_alive || stopping) c.closing = true;
  bool bodyless = status / 100 == 1 || status == 204 || status == 304;
  char head[256];
  int n =
      snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\n", status, reason);
  c.out.append(head, static_cast<size_t>(n));
  if (!bodyless) {
    n = snprintf(head, sizeof head, "Content-Length: %llu\r\n",
                 static_cast<unsigned long long>(body.size() + pattern_bytes));
    c.out.append(head, static_cast<size_t>(n));
  }
  if (c.closing) c.out += "Connection: close\r\n";
  if (c.old_client && !c.closing) c.out += "Connection: keep-alive\r\n";
  c.out += "\r\n";
  if (bodyless || c.is_head) return;
  c.out += body;
  c.pattern_left = pattern_bytes;
}

void wait_ms(Conn& c, int64_t ms) {
  c.phase = Phase::kWaiting;
  timers.push({now_ms() + ms, c.fd, c.generation});
}

void finish_process(int code) {
  fflush(stdout);
  _exit(code);
}

void start_drip(Conn& c, std::string_view rest) {
  size_t slash = rest.find('/');
  c.drip_left = number(rest.substr(0, slash));
  c.drip_every_ms = static_cast<int64_t>(slash == rest.npos ? 0 : number(rest.substr(slash + 1)));
  c.drip_at = 0;
  if (!c.keep_alive || stopping || c.old_client) c.closing = true;
  c.out += "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
  if (c.closing) c.out += "Connection: close\r\n";
  c.out += c.old_client ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n";
  wait_ms(c, c.drip_every_ms);
}

// The request is complete: the answer, or the wait before it.
void respond(Conn& c) {
  requests++;
  c.phase = Phase::kHead;
  std::string_view t = c.target;
  t = t.substr(0, t.find('?'));
  auto under = [&t](std::string_view prefix) {
    if (!t.starts_with(prefix)) return false;
    t.remove_prefix(prefix.size());
    return true;
  };
  if (t == "/") return answer(c, 200, greeting[c.tls]);
  if (under("/size/")) return answer(c, 200, "", number(t));
  if (under("/status/")) {
    int status = static_cast<int>(number(t, 200));
    return answer(c, status >= 200 && status <= 599 ? status : 400, "status\n");
  }
  if (under("/sleep/")) return wait_ms(c, static_cast<int64_t>(number(t)));
  if (under("/drip/")) return start_drip(c, t);
  if (t == "/echo") return answer(c, 200, c.kept);
  if (t == "/request" || t.starts_with("/request/")) return answer(c, 200, c.head);
  if (t == "/upload") return answer(c, 200, std::to_string(c.body_bytes) + "\n");
  if (t == "/stats") {
    return answer(c, 200,
                  "requests " + std::to_string(requests) + "\nconnections " +
                      std::to_string(accepted) + "\nopen " + std::to_string(live) + "\n");
  }
  if (t == "/close") {
    c.keep_alive = false;
    return answer(c, 200, greeting[c.tls]);
  }
  if (t == "/health/fail" || t == "/health/pass") healthy = t == "/health/pass";
  if (t.starts_with("/health")) return answer(c, healthy ? 200 : 503, healthy ? "ok\n" : "bad\n");
  if (t == "/env") {
    std::string all;
    for (char** e = environ; *e; e++) all.append(*e).append("\n");
    return answer(c, 200, all);
  }
  if (under("/env/")) {
    const char* value = getenv(std::string(t).c_str());
    return value ? answer(c, 200, std::string(value) + "\n") : answer(c, 404, "unset\n");
  }
  if (under("/exit/")) finish_process(static_cast<int>(number(t)));
  if (t == "/abort") {
    linger now{1, 0};
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    c.closing = true;
    return;
  }
  answer(c, 200, greeting[c.tls]);
}

void refuse(Conn& c, int status, std::string_view why) {
  c.keep_alive = false;
  c.in_at = c.in.size();
  c.phase = Phase::kHead;
  answer(c, status, why);
}

// One request head out of the buffer; false when it is not all there.
bool take_head(Conn& c) {
  std::string_view all(c.in.data() + c.in_at, c.in.size() - c.in_at);
  size_t end = all.find("\r\n\r\n");
  if (end == all.npos) {
    if (all.size() > kMaxHead) refuse(c, 400, "head too large\n");
    return false;
  }
  std::string_view head = all.substr(0, end + 4);
  c.in_at += head.size();
  size_t line_end = head.find("\r\n");
  std::string_view line = head.substr(0, line_end);
  size_t a = line.find(' '), b = line.rfind(' ');
  if (a == line.npos || b <= a || !line.substr(b + 1).starts_with("HTTP/1.")) {
    refuse(c, 400, "not a request line\n");
    return false;
  }
  c.is_head = line.substr(0, a) == "HEAD";
  c.target.assign(line.substr(a + 1, b - a - 1));
  c.old_client = line.back() == '0';
  c.keep_alive = !c.old_client;
  c.body = Body::kNone;
  c.body_left = c.body_bytes = 0;
  c.kept.clear();
  c.sink = c.target.starts_with("/echo") ? Sink::kKeep : Sink::kDrop;
  if (c.target.starts_with("/request")) c.head.assign(head);
  bool expects = false;
  for (size_t at = line_end + 2; at < head.size() - 2;) {
    size_t stop = head.find("\r\n", at);
    std::string_view field = head.substr(at, stop - at);
    at = stop + 2;
    size_t colon = field.find(':');
    if (colon == field.npos) continue;
    std::string_view key = field.substr(0, colon), value = trim(field.substr(colon + 1));
    if (same(key, "content-length")) {
      c.body_left = number(value);
      c.body = c.body_left ? Body::kLength : Body::kNone;
    } else if (same(key, "transfer-encoding") && same(value, "chunked")) {
      c.body = Body::kChunkSize;
    } else if (same(key, "connection")) {
      if (same(value, "close")) c.keep_alive = false;
      if (same(value, "keep-alive")) c.keep_alive = true;
    } else if (same(key, "expect") && same(value, "100-continue")) {
      expects = true;
    }
  }
  if (expects && c.body != Body::kNone) c.out += "HTTP/1.1 100 Continue\r\n\r\n";
  c.phase = Phase::kBody;
  return true;
}

// Consumes body bytes; true when the body is complete.
bool take_body(Conn& c) {
  while (c.body != Body::kNone) {
    std::string_view have(c.in.data() + c.in_at, c.in.size() - c.in_at);
    if (c.body == Body::kLength || c.body == Body::kChunkData) {
      size_t n = std::min<uint64_t>(have.size(), c.body_left);
      if (c.sink == Sink::kKeep) c.kept.append(have.substr(0, n));
      c.in_at += n;
      c.body_left -= n;
      c.body_bytes += n;
      if (c.kept.size() > kMaxEcho) return refuse(c, 413, "too large\n"), false;
      if (c.body_left) return false;
      c.body = c.body == Body::kLength ? Body::kNone : Body::kChunkEnd;
      continue;
    }
    size_t stop = have.find("\r\n");
    if (stop == have.npos) {
      if (have.size() > kMaxHead) refuse(c, 400, "chunk line too long\n");
      return false;
    }
    std::string_view line = have.substr(0, stop);
    c.in_at += stop + 2;
    if (c.body == Body::kChunkEnd) {
      c.body = Body::kChunkSize;
    } else if (c.body == Body::kTrailer) {
      if (line.empty()) c.body = Body::kNone;
    } else {
      c.body_left = 0;
      auto parsed = std::from_chars(line.data(), line.data() + line.size(), c.body_left, 16);
      if (parsed.ec != std::errc{}) return refuse(c, 400, "bad chunk\n"), false;
      c.body = c.body_left ? Body::kChunkData : Body::kTrailer;
    }
  }
  return true;
}

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

void on_timer(const Timer& t) {
  if (t.fd < 0) {
    printf("line %lld\n", static_cast<long long>(++lines_done));
    if (flags.lines_every_ms || lines_done == flags.lines) fflush(stdout);
    if (lines_done < flags.lines) return timers.push({t.at_ms + flags.lines_every_ms, -1, 0});
    if (flags.exit_code >= 0) finish_process(static_cast<int>(flags.exit_code));
    return;
  }
  Conn* c = conns[static_cast<size_t>(t.fd)].get();
  if (!c || c->generation != t.generation || c->phase != Phase::kWaiting) return;
  if (c->drip_left) {
    std::string line = "line " + std::to_string(++c->drip_at) + "\n";
    char size[16];
    snprintf(size, sizeof size, "%zx\r\n", line.size());
    c->out += c->old_client ? line : size + line + "\r\n";
    if (--c->drip_left) {
      wait_ms(*c, c->drip_every_ms);
    } else {
      if (!c->old_client) c->out += "0\r\n\r\n";
      c->phase = Phase::kHead;
    }
  } else {
    c->phase = Phase::kHead;
    answer(*c, 200, greeting[c->tls]);
  }
  if (!advance(*c)) drop(t.fd);
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

// In flight stays; what is idle, also after a last look at its socket, goes.
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

// [HOST]:PORT, where PORT `env` is NOMAD_PORT_<label>, and `env` alone is `:env`.
void listen_on(std::string spec, const char* label, bool tls) {
  if (spec.empty() || spec == "off") return;
  if (spec == "env") spec = ":env";
  size_t colon = spec.rfind(':');
  if (colon == spec.npos) die("-" + std::string(label) + " wants [HOST]:PORT, env or off");
  std::string host = spec.substr(0, colon), port = spec.substr(colon + 1);
  if (port == "env") {
    const char* value = getenv((std::string("NOMAD_PORT_") + label).c_str());
    if (!value) die(std::string("NOMAD_PORT_") + label + " is not set");
    port = value;
  }
  if (host == "localhost") host = "127.0.0.1";
  if (host.starts_with("[")) host = host.substr(1, host.size() - 2);
  sockaddr_in6 six{};
  sockaddr_in four{};
  six.sin6_family = AF_INET6;
  four.sin_family = AF_INET;
  six.sin6_port = four.sin_port = htons(static_cast<uint16_t>(number(port)));
  bool is_six = host.find(':') != host.npos;
  if (!host.empty() && inet_pton(is_six ? AF_INET6 : AF_INET, host.c_str(),
                                 is_six ? static_cast<void*>(&six.sin6_addr) : &four.sin_addr) != 1)
    die("not an address: " + host);
  int fd = -1, on = 1, off = 0;
  if (is_six || host.empty()) fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  is_six = fd >= 0;  // a machine without IPv6 gets all of IPv4
  if (fd < 0) fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_six) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  sockaddr* address =
      is_six ? reinterpret_cast<sockaddr*>(&six) : reinterpret_cast<sockaddr*>(&four);
  socklen_t length = is_six ? sizeof six : sizeof four;
  if (bind(fd, address, length) != 0 || listen(fd, 4096) != 0)
    die("cannot listen on " + spec + ": " + strerror(errno));
  getsockname(fd, address, &length);
  fprintf(stderr, "backend: %s on port %d\n", label, ntohs(is_six ? six.sin6_port : four.sin_port));
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u64 = static_cast<uint32_t>(fd);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
  listeners.push_back({fd, tls});
}

// A certificate that lives as long as the process, for cert_name and 127.0.0.1.
void make_certificate() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), static_cast<long>(time(nullptr)));
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 10L * 365 * 24 * 3600);
  X509_set_pubkey(x, key);
  X509_NAME* subject = X509_get_subject_name(x);
  auto* text = reinterpret_cast<const unsigned char*>(flags.cert_name.c_str());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0);
  X509_set_issuer_name(x, subject);
  std::string names = "DNS:" + flags.cert_name + ",IP:127.0.0.1";
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
  if (!extension) die("-cert-name is not a name: " + flags.cert_name);
  X509_add_ext(x, extension, -1);
  X509_sign(x, key, EVP_sha256());
  SSL_CTX_use_certificate(tls_context, x);
  SSL_CTX_use_PrivateKey(tls_context, key);
  X509_EXTENSION_free(extension);
  X509_free(x);
  EVP_PKEY_free(key);
}

void set_up_tls() {
  tls_context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_id_context(tls_context, reinterpret_cast<const unsigned char*>("b"), 1);
  if (flags.cert.empty()) return make_certificate();
  const std::string& key = flags.key.empty() ? flags.cert : flags.key;
  if (SSL_CTX_use_certificate_chain_file(tls_context, flags.cert.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls_context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    die("cannot use certificate " + flags.cert + " with key " + key);
}

constexpr const char* kUsage =
    "usage: demo-backend [-http ADDR] [-https ADDR] [-name NAME] [-version V]\n"
    "  -http, -https  [HOST]:PORT, env (the port in NOMAD_PORT_http or _https) or off;\n"
    "                 :8081 and :7777 when not given\n"
    "  -cert, -key    PEM files; without them a self-signed certificate is made\n"
    "  -cert-name N   the name in that certificate (localhost)\n"
    "  -lines N       print N numbered lines on standard output, -lines-every MS apart\n"
    "  -exit CODE     after the lines, end with this code\n";

void read_flags(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    std::string_view name = argv[i];
    if (name.starts_with("--")) name.remove_prefix(1);
    size_t equals = name.find('=');
    std::string value;
    if (name == "-h" || name == "-help") exit(fputs(kUsage, stdout) < 0);
    if (equals != name.npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      die(std::string(name) + " wants a value\n" + kUsage);
    }
    if (name == "-http")
      flags.http = value;
    else if (name == "-https")
      flags.https = value;
    else if (name == "-name")
      flags.name = value;
    else if (name == "-version")
      flags.version = value;
    else if (name == "-cert")
      flags.cert = value;
    else if (name == "-key")
      flags.key = value;
    else if (name == "-cert-name")
      flags.cert_name = value;
    else if (name == "-lines")
      flags.lines = static_cast<int64_t>(number(value));
    else if (name == "-lines-every")
      flags.lines_every_ms = static_cast<int64_t>(number(value));
    else if (name == "-exit")
      flags.exit_code = static_cast<int64_t>(number(value));
    else
      die("unknown flag " + std::string(name) + "\n" + kUsage);
  }
}

int serve(int signals) {
  int64_t stop_by_ms = 0;
  epoll_event events[256];
  while (!stopping || (live && now_ms() < stop_by_ms)) {
    int64_t wait = timers.empty() ? -1 : std::max<int64_t>(0, timers.top().at_ms - now_ms());
    if (stopping && (wait < 0 || wait > 1000)) wait = 1000;
    int n = epoll_wait(epoll_fd, events, 256, static_cast<int>(std::min<int64_t>(wait, 60'000)));
    for (int i = 0; i < n; i++) {
      int fd = static_cast<int>(events[i].data.u64 & 0xffffffff);
      if (fd == signals) {
        signalfd_siginfo info;
        while (read(signals, &info, sizeof info) > 0) stop_by_ms = now_ms() + kDrainMs;
        begin_stop();
        continue;
      }
      auto listener = std::find_if(listeners.begin(), listeners.end(),
                                   [fd](const Listener& l) { return l.fd == fd; });
      if (listener != listeners.end() && events[i].data.u64 >> 32 == 0) {
        if (!stopping) on_accept(*listener);
        continue;
      }
      on_event(fd, static_cast<uint32_t>(events[i].data.u64 >> 32), events[i].events);
    }
    int64_t now = now_ms();
    while (!timers.empty() && timers.top().at_ms <= now) {
      Timer t = timers.top();
      timers.pop();
      on_timer(t);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  read_flags(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u64 = static_cast<uint32_t>(signals);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, signals, &e);
  for (int tls = 0; tls < 2; tls++) {
    std::string name =
        flags.name.empty() ? tls ? "httpsbackendservice" : "httpbackendservice" : flags.name;
    greeting[tls] = "this is " + name + ", version: " + flags.version + "\n";
  }
  for (size_t i = 0; i < kPatternBytes; i++) pattern += static_cast<char>('a' + i % 26);
  conns.resize(1024);
  if (flags.https != "off" && !flags.https.empty()) set_up_tls();
  listen_on(flags.http, "http", false);
  listen_on(flags.https, "https", true);
  if (flags.lines > 0) timers.push({now_ms(), -1, 0});
  return serve(signals);
}
