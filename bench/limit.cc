// The raw forwarder: what moving the bytes costs at the least. Each client connection gets one
// upstream connection, and nothing is parsed, timed, logged or counted.
//
//   limit copy|splice LISTEN UPSTREAM        limit copy 127.0.0.1:9000 127.0.0.1:8080
//
// Owner: bench/compare, as the limit that every other figure is held against. One thread, one
// edge-triggered epoll set, sockets registered once. Limits: kBlock bytes a direction (copy), one
// pipe of kPipe bytes a direction (splice). It links nothing of ours.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

namespace {

constexpr size_t kBlock = 64 << 10;
constexpr int kPipe = 256 << 10;

bool splicing = false;
int epoll_fd = -1;

struct Pair;

struct End {
  Pair* pair = nullptr;
  End* other = nullptr;
  int fd = -1;
  bool readable = false, writable = false, ended = false, shut = false;
  // What was read here and not yet written to `other`.
  std::unique_ptr<char[]> block;
  size_t held = 0, at = 0;
  int pipe_out = -1, pipe_in = -1;
};

struct Pair {
  End client, upstream;
  bool closed = false;
  Pair() {
    client.pair = upstream.pair = this;
    client.other = &upstream;
    upstream.other = &client;
  }
  ~Pair() {
    for (const End* end : {&client, &upstream}) {
      if (end->fd >= 0) close(end->fd);
      if (end->pipe_in >= 0) close(end->pipe_in);
      if (end->pipe_out >= 0) close(end->pipe_out);
    }
  }
};

std::vector<Pair*> closed_pairs;

// As sluice does within a machine: no pacing timer, whatever the system's default.
void set_unpaced(int fd) {
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
  exit(1);
}

void give_up(Pair& pair) {
  if (pair.closed) return;
  pair.closed = true;
  closed_pairs.push_back(&pair);
}

bool watch(End& end) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &end;
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, end.fd, &event) == 0;
}

enum class Step { kGoOn, kWait, kFailed };

Step put(End& from) {
  End& to = *from.other;
  while (from.held > 0) {
    if (!to.writable) return Step::kWait;
    const ssize_t n = splicing ? splice(from.pipe_out, nullptr, to.fd, nullptr, from.held,
                                        SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
                               : send(to.fd, from.block.get() + from.at, from.held, MSG_NOSIGNAL);
    if (n > 0) {
      from.held -= static_cast<size_t>(n);
      from.at += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      to.writable = false;
    } else if (errno != EINTR) {
      return Step::kFailed;
    }
  }
  from.at = 0;
  return Step::kGoOn;
}

Step get(End& from) {
  if (!from.readable || from.ended) return Step::kWait;
  size_t room = kBlock;
  ssize_t n;
  if (splicing) {
    if (from.pipe_in < 0) {
      int ends[2];
      if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return Step::kFailed;
      from.pipe_out = ends[0];
      from.pipe_in = ends[1];
      fcntl(from.pipe_in, F_SETPIPE_SZ, kPipe);
    }
    room = kPipe;
    n = splice(from.fd, nullptr, from.pipe_in, nullptr, room, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  } else {
    if (!from.block) from.block = std::make_unique_for_overwrite<char[]>(kBlock);
    n = recv(from.fd, from.block.get(), room, 0);
  }
  if (n > 0) {
    from.held = static_cast<size_t>(n);
    // A short read has emptied the socket; what comes later is another event.
    if (!splicing && from.held < room) from.readable = false;
    return Step::kGoOn;
  }
  if (n == 0) {
    from.ended = true;
    return Step::kWait;
  }
  if (errno == EAGAIN) {
    from.readable = false;
    return Step::kWait;
  }
  return errno == EINTR ? Step::kGoOn : Step::kFailed;
}

void pump(End& from) {
  if (from.pair->closed) return;
  // Until the socket is empty: edge-triggered, nothing would say again that it is not.
  for (;;) {
    const Step written = put(from);
    if (written == Step::kFailed) return give_up(*from.pair);
    if (written == Step::kWait) return;
    const Step read = get(from);
    if (read == Step::kFailed) return give_up(*from.pair);
    if (read == Step::kWait) break;
  }
  if (from.ended && from.held == 0 && !from.shut) {
    from.shut = true;
    if (from.other->shut) return give_up(*from.pair);
    shutdown(from.other->fd, SHUT_WR);
  }
}

void accept_all(int listener, const sockaddr_in& upstream) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    auto pair = std::make_unique<Pair>();
    pair->client.fd = fd;
    pair->upstream.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (pair->upstream.fd < 0) continue;
    const int on = 1;
    setsockopt(pair->upstream.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    set_unpaced(pair->upstream.fd);
    const auto* to = reinterpret_cast<const sockaddr*>(&upstream);
    if (connect(pair->upstream.fd, to, sizeof upstream) != 0 && errno != EINPROGRESS) continue;
    if (!watch(pair->client) || !watch(pair->upstream)) continue;
    pair.release();
  }
}

sockaddr_in address(const char* text) {
  const std::string whole = text;
  const size_t colon = whole.rfind(':');
  sockaddr_in at{};
  at.sin_family = AF_INET;
  errno = EINVAL;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, whole.substr(0, colon).c_str(), &at.sin_addr) != 1) {
    die(text);
  }
  at.sin_port = htons(static_cast<uint16_t>(atoi(whole.c_str() + colon + 1)));
  return at;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 4 ? argv[1] : "";
  if (mode != "copy" && mode != "splice") {
    fprintf(stderr, "usage: limit copy|splice LISTEN UPSTREAM\n");
    return 2;
  }
  splicing = mode == "splice";
  signal(SIGPIPE, SIG_IGN);
  rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const sockaddr_in at = address(argv[2]);
  const sockaddr_in upstream = address(argv[3]);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  set_unpaced(listener);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) die("bind");
  if (listen(listener, 4096) != 0) die("listen");
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll_ctl");
  epoll_event events[512];
  for (;;) {
    const int n = epoll_wait(epoll_fd, events, 512, -1);
    for (int i = 0; i < n; ++i) {
      auto* end = static_cast<End*>(events[i].data.ptr);
      if (end == nullptr) {
        accept_all(listener, upstream);
        continue;
      }
      const uint32_t what = events[i].events;
      if (what & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) end->readable = true;
      if (what & EPOLLOUT) end->writable = true;
      if (end->readable) pump(*end);
      if (what & EPOLLOUT && end->other->held > 0) pump(*end->other);
    }
    for (Pair* pair : closed_pairs) delete pair;
    closed_pairs.clear();
  }
}
