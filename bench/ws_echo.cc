// The websocket server of the comparison: upgrades (RFC 6455), then sends each message back.
//
//   ws-echo IP:PORT
//
// Owner: bench/compare. One thread, one epoll set; links OpenSSL for the handshake's digest and
// nothing of ours. Limits: one unfragmented frame of at most 125 bytes at a time a connection;
// anything else closes it.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

namespace {

constexpr size_t kMaxKept = 16 << 10;  // of a head, or of frames that are not whole

struct Conn {
  std::string in;
  bool upgraded = false;
};

std::vector<std::unique_ptr<Conn>> conns;  // by descriptor

[[noreturn]] void die(const char* what) {
  fprintf(stderr, "ws-echo: %s: %s\n", what, strerror(errno));
  exit(1);
}

// RFC 6455 4.2.2.
std::string accept_of(const std::string& head) {
  const std::string name = "\r\nsec-websocket-key:";
  size_t at = std::string::npos;
  for (size_t i = 0; i + name.size() < head.size(); ++i) {
    if (strncasecmp(head.data() + i, name.data(), name.size()) == 0) at = i + name.size();
  }
  if (at == std::string::npos) return "";
  while (head[at] == ' ') ++at;
  const std::string key = head.substr(at, head.find('\r', at) - at);
  const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
  unsigned char encoded[64];
  EVP_EncodeBlock(encoded, digest, static_cast<int>(size));
  return reinterpret_cast<char*>(encoded);
}

// What is to be sent for what came in; false for what is not understood.
bool answer(Conn& c, std::string& out) {
  if (!c.upgraded) {
    const size_t end = c.in.find("\r\n\r\n");
    if (end == std::string::npos) return c.in.size() < kMaxKept;
    const std::string key = accept_of(c.in.substr(0, end + 2));
    if (key.empty()) return false;
    out =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        key + "\r\n\r\n";
    c.in.erase(0, end + 4);
    c.upgraded = true;
  }
  while (c.in.size() >= 6) {
    const auto first = static_cast<unsigned char>(c.in[0]);
    const auto second = static_cast<unsigned char>(c.in[1]);
    const size_t size = second & 0x7f;
    if ((first & 0x80) == 0 || (second & 0x80) == 0 || size > 125) return false;
    if (c.in.size() < 6 + size) break;
    out += static_cast<char>(first);
    out += static_cast<char>(size);
    for (size_t i = 0; i < size; ++i) out += static_cast<char>(c.in[6 + i] ^ c.in[2 + i % 4]);
    c.in.erase(0, 6 + size);
  }
  return c.in.size() < kMaxKept;
}

bool serve(int fd, Conn& c) {
  char room[16 << 10];
  const ssize_t n = recv(fd, room, sizeof room, 0);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  c.in.append(room, static_cast<size_t>(n));
  std::string out;
  if (!answer(c, out)) return false;
  // A message is far smaller than a socket's buffer: what does not go at once is a peer that does
  // not read.
  return out.empty() ||
         send(fd, out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string text = argc == 2 ? argv[1] : "";
  const size_t colon = text.rfind(':');
  sockaddr_in at{};
  at.sin_family = AF_INET;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, text.substr(0, colon).c_str(), &at.sin_addr) != 1) {
    fprintf(stderr, "usage: ws-echo IP:PORT\n");
    return 2;
  }
  at.sin_port = htons(static_cast<uint16_t>(atoi(text.c_str() + colon + 1)));
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) die("bind");
  if (listen(listener, 4096) != 0) die("listen");
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener;
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
  epoll_event events[256];
  for (;;) {
    const int n = epoll_wait(epoll_fd, events, 256, -1);
    for (int i = 0; i < n; ++i) {
      int fd = events[i].data.fd;
      if (fd != listener) {
        if (serve(fd, *conns[static_cast<size_t>(fd)])) continue;
        close(fd);
        conns[static_cast<size_t>(fd)].reset();
        continue;
      }
      while ((fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (conns.size() <= static_cast<size_t>(fd)) conns.resize(static_cast<size_t>(fd) + 64);
        conns[static_cast<size_t>(fd)] = std::make_unique<Conn>();
        event.data.fd = fd;
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
      }
    }
  }
}
