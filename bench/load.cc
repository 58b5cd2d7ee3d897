// The load of the comparison, where wrk and h2load have none: a constant rate whose latencies are
// counted from when each request was due (no coordinated omission), uploads, bodies and small
// requests over plain TCP, new TLS handshakes full and resumed, ClientHellos for SNI, websocket
// messages, and connections that only stay open.
//
//   load run  -to 127.0.0.1:80 -connections 64 -seconds 5 [-rate 10000] ...    one JSON line
//   load idle -to 127.0.0.1:80 -connections 10000        "open N", then until its input ends
//
// Owner: bench/compare. One thread, one epoll set; links OpenSSL and nothing of ours. Limits: a
// response head of kHeadBytes with a Content-Length; one request at a time a connection.
//
// long: one program in one file, like the demo backend.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kHeadBytes = 16 << 10;
constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kPatternBytes = 256 << 10;
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kGraceNs = 10 * kSecond;  // for what is under way at the end

struct Flags {
  std::string mode, to, path = "/", host = "bench.example.com", sni;
  uint64_t connections = 1, rate = 0, upload = 0, message = 0, hosts = 0;
  double seconds = 1;
  bool fresh = false;   // a new connection each request
  bool tls = false;     // TLS from here
  bool resume = false;  // with the session of the last connection
  bool errors = false;  // go on after errors; else the first one ends the run
} flags;

[[noreturn]] void die(const std::string& why) {
  fprintf(stderr, "load: %s\n", why.c_str());
  exit(1);
}

int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * kSecond + t.tv_nsec;
}

/// Latencies in buckets of a 64th of a power of two: no figure is off by more than 1.6 %.
class Histogram {
 public:
  void add(int64_t ns) {
    const uint64_t value = ns < 1 ? 1 : static_cast<uint64_t>(ns);
    ++buckets_[index(value)];
    ++count_;
    if (value > max_) max_ = value;
  }
  double us(double quantile) const {
    if (count_ == 0) return 0;
    auto left = static_cast<int64_t>(static_cast<double>(count_) * quantile);
    for (size_t i = 0; i < buckets_.size(); ++i) {
      left -= static_cast<int64_t>(buckets_[i]);
      if (left < 0) return static_cast<double>(top(i)) / 1000;
    }
    return max_us();
  }
  double max_us() const { return static_cast<double>(max_) / 1000; }

 private:
  static size_t index(uint64_t value) {
    if (value < 64) return value;
    const int shift = std::bit_width(value) - 7;
    return static_cast<size_t>(shift + 1) * 64 + ((value >> shift) & 63);
  }
  static uint64_t top(size_t i) {
    if (i < 64) return i;
    const uint64_t shift = i / 64 - 1;
    return (uint64_t{64} + i % 64 + 1) << shift;
  }
  std::array<uint64_t, size_t{60} * 64> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

enum class State : uint8_t { kClosed, kConnecting, kHandshake, kUpgrade, kReady, kBusy };

struct Conn {
  int fd = -1;
  SSL* ssl = nullptr;
  State state = State::kClosed;
  size_t sent = 0;           // of the request's head, or of the message
  uint64_t upload_left = 0;  // of its body
  std::string head;          // of the response, until it is whole
  bool in_body = false, close_after = false, out_of_data = true, full = false;
  uint64_t body_left = 0;
  int64_t due = 0;
  uint32_t index = 0;
  uint32_t head_index = 0;  // in request_heads
};

struct Totals {
  uint64_t requests = 0, counted = 0, errors = 0, bad_status = 0, bytes = 0, opened = 0,
           resumed = 0, late = 0;
  std::string first_error;
} totals;

int epoll_fd = -1;
sockaddr_in to;
std::vector<std::unique_ptr<Conn>> conns;
std::deque<Conn*> free_conns;
std::deque<int64_t> due_later;  // requests that wait for a connection
std::string upgrade_head, message, pattern(kPatternBytes, 'x');
std::vector<std::string> request_heads;  // one, or one a host
uint64_t random_state = 88172645463325252;
std::vector<char> read_room(kReadBytes);
Histogram latencies;
int64_t count_from = 0, last_due = 0;
SSL_CTX* tls_context = nullptr;
SSL_SESSION* session = nullptr;
uint64_t busy = 0;

void start(Conn& c, int64_t due);
void drive(Conn& c);

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

// -1: nothing now; 0: ended; else bytes. What failed has been closed and answered -2.
ssize_t receive(Conn& c, char* room, size_t size) {
  if (c.out_of_data) return -1;
  for (;;) {
    const ssize_t n = c.ssl != nullptr ? SSL_read(c.ssl, room, static_cast<int>(size))
                                       : recv(c.fd, room, size, 0);
    if (n > 0) {
      // A short read has emptied the socket. What TLS holds back comes with the next records.
      if (c.ssl == nullptr && static_cast<size_t>(n) < size) c.out_of_data = true;
      return n;
    }
    if (c.ssl != nullptr) {
      const int error = SSL_get_error(c.ssl, static_cast<int>(n));
      ERR_clear_error();
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        c.out_of_data = true;
        return -1;
      }
      if (error == SSL_ERROR_ZERO_RETURN) return 0;
      return error == SSL_ERROR_SYSCALL && n == 0 ? 0 : -2;
    }
    if (n == 0) return 0;
    if (errno == EAGAIN) {
      c.out_of_data = true;
      return -1;
    }
    if (errno != EINTR) return -2;
  }
}

// False when it failed; all of it, or as much as goes.
bool transmit(Conn& c, std::string_view bytes, size_t& sent) {
  while (sent < bytes.size() && !c.full) {
    const size_t left = bytes.size() - sent;
    const ssize_t n = c.ssl != nullptr
                          ? SSL_write(c.ssl, bytes.data() + sent, static_cast<int>(left))
                          : send(c.fd, bytes.data() + sent, left, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<size_t>(n);
      continue;
    }
    if (c.ssl != nullptr) {
      const int error = SSL_get_error(c.ssl, static_cast<int>(n));
      ERR_clear_error();
      if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ) return false;
      c.full = true;
    } else if (errno == EAGAIN) {
      c.full = true;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
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

// True once the head is whole; `rest` is then what of the body came with it.
bool read_head(Conn& c, std::string_view bytes, std::string_view& rest, std::string& error) {
  const size_t had = c.head.size();
  c.head.append(bytes);
  const size_t end = c.head.find("\r\n\r\n", had < 3 ? 0 : had - 3);
  if (end == std::string::npos) {
    if (c.head.size() > kHeadBytes) error = "response head too large";
    return false;
  }
  const size_t head_size = end + 4;
  rest = bytes.substr(head_size - had);
  if (c.head.size() < 12 || c.head.compare(0, 7, "HTTP/1.") != 0) {
    error = "not an HTTP response: " + c.head.substr(0, 40);
    return false;
  }
  const std::string status = c.head.substr(9, 3);
  c.body_left = 0;
  c.close_after = false;
  bool has_length = false;
  for (size_t at = c.head.find("\r\n") + 2; at < head_size - 2;) {
    const size_t line_end = c.head.find("\r\n", at);
    const std::string_view line(c.head.data() + at, line_end - at);
    at = line_end + 2;
    if (line.size() > 15 && strncasecmp(line.data(), "content-length:", 15) == 0) {
      c.body_left = strtoull(line.data() + 15, nullptr, 10);
      has_length = true;
    } else if (line.size() > 11 && strncasecmp(line.data(), "connection:", 11) == 0) {
      c.close_after = line.find("lose") != std::string_view::npos;
    }
  }
  if (c.state == State::kUpgrade) {
    if (status != "101") error = "answered " + status + " in place of 101";
    return error.empty();
  }
  if (!has_length) error = "response without a Content-Length";
  if (status != "200") {
    ++totals.bad_status;
    if (!flags.errors) error = "answered " + status;
  }
  return error.empty();
}

// Takes what came in. True while there may be more to do for this request.
bool take(Conn& c, std::string_view bytes) {
  totals.bytes += bytes.size();
  if (flags.message > 0 && c.state == State::kBusy) {
    // An unmasked frame: two bytes of header (its payload is under 126) before the same payload.
    if (c.body_left == 0 || bytes.size() > c.body_left) {
      failed(c, "websocket: more came back than was sent");
      return false;
    }
    c.body_left -= bytes.size();
    if (c.body_left > 0) return true;
    done(c);
    return false;
  }
  if (!c.in_body) {
    std::string error;
    std::string_view rest;
    if (!read_head(c, bytes, rest, error)) {
      if (error.empty()) return true;
      failed(c, error);
      return false;
    }
    if (c.state == State::kUpgrade) {
      c.head.clear();
      c.state = State::kBusy;
      c.sent = 0;
      c.body_left = 2 + flags.message;
      drive(c);
      return false;
    }
    c.in_body = true;
    bytes = rest;
  }
  if (bytes.size() > c.body_left) {
    failed(c, "more came than the Content-Length says");
    return false;
  }
  c.body_left -= bytes.size();
  if (c.body_left > 0) return true;
  done(c);
  return false;
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

int on_session(SSL*, SSL_SESSION* fresh) {
  // TLS 1.3 tickets are meant for one use, but servers take them again; the newest is kept.
  if (session != nullptr) SSL_SESSION_free(session);
  session = fresh;
  return 1;
}

void set_up() {
  const size_t colon = flags.to.rfind(':');
  to.sin_family = AF_INET;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, flags.to.substr(0, colon).c_str(), &to.sin_addr) != 1) {
    die("-to " + flags.to + ": want IPV4:PORT");
  }
  to.sin_port = htons(static_cast<uint16_t>(atoi(flags.to.c_str() + colon + 1)));
  const auto head_for = [](const std::string& host) {
    std::string head =
        (flags.upload > 0 ? "POST " : "GET ") + flags.path + " HTTP/1.1\r\nHost: " + host + "\r\n";
    if (flags.upload > 0) head += "Content-Length: " + std::to_string(flags.upload) + "\r\n";
    if (flags.fresh) head += "Connection: close\r\n";
    return head + "\r\n";
  };
  if (flags.hosts == 0) request_heads.push_back(head_for(flags.host));
  for (uint64_t i = 0; i < flags.hosts; ++i) {
    request_heads.push_back(head_for("host-" + std::to_string(i) + ".example.com"));
  }
  upgrade_head = "GET " + flags.path + " HTTP/1.1\r\nHost: " + flags.host +
                 "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: c2x1aWNlIGJlbmNobWFyaw==\r\n\r\n";
  if (flags.message > 0) {
    if (flags.message > 125) die("-message: 125 bytes at most");
    // A binary frame under the mask 0: allowed, if of no use (RFC 6455 5.3).
    message = {'\x82', static_cast<char>(0x80 | flags.message), 0, 0, 0, 0};
    message.append(flags.message, 'm');
  }
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < flags.connections + 16) die("too few file descriptors");
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (flags.tls) {
    tls_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(tls_context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (flags.resume) {
      SSL_CTX_set_session_cache_mode(tls_context,
                                     SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
      SSL_CTX_sess_set_new_cb(tls_context, on_session);
    }
  }
  for (uint64_t i = 0; i < flags.connections; ++i) {
    conns.push_back(std::make_unique<Conn>());
    conns.back()->index = static_cast<uint32_t>(i);
  }
}

void handle_events(int64_t wait_ns) {
  epoll_event events[512];
  timespec wait{wait_ns / kSecond, wait_ns % kSecond};
  const int n = epoll_pwait2(epoll_fd, events, 512, wait_ns < 0 ? nullptr : &wait, nullptr);
  for (int i = 0; i < n; ++i) {
    Conn& c = *conns[events[i].data.u32];
    if (c.fd < 0) continue;
    const uint32_t what = events[i].events;
    if (what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c.out_of_data = false;
    if (what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) c.full = false;
    drive(c);
  }
}

void run_rate(int64_t from) {
  const double period = static_cast<double>(kSecond) / static_cast<double>(flags.rate);
  uint64_t made = 0;
  const auto due_at = [&](uint64_t i) {
    return from + static_cast<int64_t>(period * static_cast<double>(i));
  };
  for (auto& c : conns) free_conns.push_back(c.get());
  for (;;) {
    int64_t now = now_ns();
    if (now >= last_due) return;
    while (due_at(made) <= now) {
      const int64_t due = due_at(made++);
      if (free_conns.empty()) {
        due_later.push_back(due);
        ++totals.late;
        continue;
      }
      Conn* c = free_conns.front();
      free_conns.pop_front();
      start(*c, due);
    }
    now = now_ns();
    const int64_t next_at = due_at(made) < last_due ? due_at(made) : last_due;
    handle_events(next_at > now ? next_at - now : 0);
  }
}

void report(double seconds, double cpu) {
  printf(
      "{\"requests\": %llu, \"seconds\": %.4f, \"errors\": %llu, \"bad_status\": %llu, "
      "\"bytes\": %llu, \"opened\": %llu, \"resumed\": %llu, \"waited\": %llu, \"unsent\": %zu, "
      "\"load_cpu_s\": %.3f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
      "\"p999_us\": %.1f, \"max_us\": %.1f, \"counted\": %llu, \"first_error\": \"%s\"}\n",
      static_cast<unsigned long long>(totals.requests), seconds,
      static_cast<unsigned long long>(totals.errors),
      static_cast<unsigned long long>(totals.bad_status),
      static_cast<unsigned long long>(totals.bytes), static_cast<unsigned long long>(totals.opened),
      static_cast<unsigned long long>(totals.resumed), static_cast<unsigned long long>(totals.late),
      due_later.size(), cpu, latencies.us(0.5), latencies.us(0.9), latencies.us(0.99),
      latencies.us(0.999), latencies.max_us(), static_cast<unsigned long long>(totals.counted),
      totals.first_error.c_str());
}

int run_load() {
  const int64_t from = now_ns();
  const auto length = static_cast<int64_t>(flags.seconds * static_cast<double>(kSecond));
  last_due = from + length;
  count_from = from + length / 5;  // connections are being opened before
  if (flags.rate > 0) {
    run_rate(from);
  } else {
    for (auto& c : conns) start(*c, from);
    while (now_ns() < last_due) handle_events(last_due - now_ns());
  }
  const double seconds = static_cast<double>(now_ns() - from) / 1e9;
  const uint64_t in_time = totals.requests;
  const int64_t give_up = now_ns() + kGraceNs;
  while (busy > 0 && now_ns() < give_up) handle_events(100'000'000);
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  const double cpu = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                     static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  report(seconds * static_cast<double>(totals.requests) /
             static_cast<double>(in_time > 0 ? in_time : 1),
         cpu);
  if (busy > 0) {
    fprintf(stderr, "load: %llu requests had no answer %lld s after the end\n",
            static_cast<unsigned long long>(busy), static_cast<long long>(kGraceNs / kSecond));
    return 1;
  }
  return 0;
}

// One request each, so that the proxy has seen the connection, then nothing.
int stay_idle() {
  last_due = 0;  // nothing follows the first request
  size_t started = 0;
  while (totals.requests + totals.errors < conns.size()) {
    while (started < conns.size() && busy < 64) start(*conns[started++], now_ns());
    handle_events(100'000'000);
  }
  printf("open %llu\n", static_cast<unsigned long long>(totals.requests));
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  size_t open = 0;
  for (const auto& c : conns) {
    pollfd one{c->fd, POLLIN, 0};
    open += c->fd >= 0 && poll(&one, 1, 0) == 0;
  }
  printf("still open %zu\n", open);
  return 0;
}

constexpr const char* kUsage =
    "usage: load run|idle -to IP:PORT [flags]\n"
    "  -connections N  -seconds S   how many at once, how long\n"
    "  -rate N         requests a second, constant; without it as fast as the answers come\n"
    "  -path /P  -host H            what is asked for\n"
    "  -hosts N        one of host-0.example.com and so on at random, each request\n"
    "  -upload N       POST with a body of N bytes\n"
    "  -new            a new connection each request\n"
    "  -tls  -sni NAME  -resume     TLS, its server name, with the last session\n"
    "  -message N      websocket messages of N bytes (125 at most)\n"
    "  -errors         count errors and go on; else the first one ends the run\n";

void read_flags(int argc, char** argv) {
  flags.mode = argc > 1 ? argv[1] : "";
  if (flags.mode != "run" && flags.mode != "idle") die(std::string("run or idle?\n") + kUsage);
  for (int i = 2; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] {
      if (i + 1 >= argc) die(name + " wants a value\n" + kUsage);
      return std::string(argv[++i]);
    };
    const auto number = [&] { return strtoull(value().c_str(), nullptr, 10); };
    if (name == "-to")
      flags.to = value();
    else if (name == "-connections")
      flags.connections = number();
    else if (name == "-seconds")
      flags.seconds = atof(value().c_str());
    else if (name == "-rate")
      flags.rate = number();
    else if (name == "-path")
      flags.path = value();
    else if (name == "-host")
      flags.host = value();
    else if (name == "-hosts")
      flags.hosts = number();
    else if (name == "-upload")
      flags.upload = number();
    else if (name == "-new")
      flags.fresh = true;
    else if (name == "-tls")
      flags.tls = true;
    else if (name == "-sni")
      flags.sni = value();
    else if (name == "-resume")
      flags.resume = true;
    else if (name == "-message")
      flags.message = number();
    else if (name == "-errors")
      flags.errors = true;
    else
      die("unknown flag " + name + "\n" + kUsage);
  }
}

}  // namespace

int main(int argc, char** argv) {
  read_flags(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  set_up();
  return flags.mode == "run" ? run_load() : stay_idle();
}
