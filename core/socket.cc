#include "core/socket.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"

namespace sluice {

Result<SocketAddress> SocketAddress::make(std::string_view ip, uint16_t port) {
  SocketAddress address;
  char text[kMaxText];
  if (ip.size() >= sizeof text) return fail(Code::kInvalid, "not an IP address: {}", ip);
  std::memcpy(text, ip.data(), ip.size());
  text[ip.size()] = 0;
  std::memset(static_cast<void*>(&address.v6_), 0, sizeof address.v6_);
  if (ip.empty()) {
    address.v6_.sin6_family = AF_INET6;
  } else if (inet_pton(AF_INET, text, &address.v4_.sin_addr) == 1) {
    address.v4_.sin_family = AF_INET;
  } else if (inet_pton(AF_INET6, text, &address.v6_.sin6_addr) == 1) {
    address.v6_.sin6_family = AF_INET6;
  } else {
    return fail(Code::kInvalid, "not an IP address: {}", ip);
  }
  address.set_port(port);
  return address;
}

SocketAddress SocketAddress::from_bytes(const uint8_t* ip, bool v6, uint16_t port) {
  SocketAddress address;
  std::memset(static_cast<void*>(&address.v6_), 0, sizeof address.v6_);
  address.any_.sa_family = v6 ? AF_INET6 : AF_INET;
  if (v6) {
    std::memcpy(&address.v6_.sin6_addr, ip, 16);
  } else {
    std::memcpy(&address.v4_.sin_addr, ip, 4);
  }
  address.set_port(port);
  return address;
}

size_t SocketAddress::write_ip(char* out) const {
  if (!valid()) return 0;
  const bool mapped = is_v6() && IN6_IS_ADDR_V4MAPPED(&v6_.sin6_addr);
  if (is_v6() && !mapped) {
    inet_ntop(AF_INET6, &v6_.sin6_addr, out, kMaxText);
    return std::strlen(out);
  }
  unsigned char bytes[4];
  if (mapped) {
    std::memcpy(bytes, v6_.sin6_addr.s6_addr + 12, 4);
  } else {
    std::memcpy(bytes, &v4_.sin_addr, 4);
  }
  // By hand: inet_ntop goes through snprintf, and this runs once a request.
  char* at = out;
  for (int i = 0; i < 4; ++i) {
    const unsigned b = bytes[i];
    if (b >= 100) *at++ = static_cast<char>('0' + b / 100);
    if (b >= 10) *at++ = static_cast<char>('0' + b / 10 % 10);
    *at++ = static_cast<char>('0' + b % 10);
    if (i < 3) *at++ = '.';
  }
  return static_cast<size_t>(at - out);
}

std::string SocketAddress::ip() const {
  char text[kMaxText];
  return std::string(text, write_ip(text));
}

std::string SocketAddress::text() const {
  std::string host = ip();
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return host + ":" + std::to_string(valid() ? port() : 0);
}

void SocketAddress::write_mapped(uint8_t out[16]) const {
  if (is_v6()) {
    std::memcpy(out, v6_.sin6_addr.s6_addr, 16);
    return;
  }
  std::memset(out, 0, 10);
  out[10] = out[11] = 0xff;
  std::memcpy(out + 12, &v4_.sin_addr, 4);
}

bool SocketAddress::is_loopback() const {
  if (!valid()) return false;
  uint8_t ip[16];
  write_mapped(ip);
  constexpr uint8_t kMapped[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
  return std::memcmp(ip, kMapped, sizeof kMapped) == 0 ||
         std::memcmp(ip, &in6addr_loopback, sizeof ip) == 0;
}

bool SocketAddress::operator==(const SocketAddress& other) const {
  if (any_.sa_family != other.any_.sa_family) return false;
  if (!valid()) return true;
  uint8_t a[16];
  uint8_t b[16];
  write_mapped(a);
  other.write_mapped(b);
  return port() == other.port() && std::memcmp(a, b, 16) == 0;
}

void Socket::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Socket::reset() {
  if (fd_ < 0) return;
  const linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

namespace {

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
ssize_t receive(int fd, char* into, size_t size) {
  return ::recv(fd, into, size, 0);  // which a sanitizer looks at
}
ssize_t send_bytes(int fd, const char* bytes, size_t size) {
  return ::send(fd, bytes, size, MSG_NOSIGNAL);
}
#else
// Not libc's recv and send: those are points at which a thread can be cancelled, and say so before
// and after each call; no thread here is cancelled.
ssize_t receive(int fd, char* into, size_t size) {
  return ::syscall(SYS_recvfrom, fd, into, size, 0, nullptr, nullptr);
}
ssize_t send_bytes(int fd, const char* bytes, size_t size) {
  return ::syscall(SYS_sendto, fd, bytes, size, MSG_NOSIGNAL, nullptr, 0);
}
#endif

IoResult io_result(ssize_t n, bool zero_is_end) {
  if (n > 0) return {IoState::kOk, static_cast<size_t>(n), 0};
  if (n == 0) return {zero_is_end ? IoState::kEnd : IoState::kOk, 0, 0};
  if (errno == EAGAIN) return {IoState::kBlocked, 0, 0};
  return {IoState::kError, 0, errno};
}

}  // namespace

IoResult Socket::read(char* into, size_t size) {
  for (;;) {
    const ssize_t n = receive(fd_, into, size);
    if (n < 0 && errno == EINTR) continue;
    return io_result(n, true);
  }
}

IoResult Socket::write(const char* bytes, size_t size) {
  for (;;) {
    const ssize_t n = send_bytes(fd_, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    return io_result(n, false);
  }
}

IoResult Socket::write(const iovec* parts, int count) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<size_t>(count);
  for (;;) {
    const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    return io_result(n, false);
  }
}

void Socket::shutdown_write() {
  ::shutdown(fd_, SHUT_WR);
}

void Socket::set_no_delay() {
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void Socket::set_user_timeout(int timeout_ms) {
  setsockopt(fd_, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

void Socket::set_unpaced() {
  // Part of every kernel and allowed to everybody; where it is not, nothing is lost.
  constexpr char kAlgorithm[] = "reno";
  setsockopt(fd_, IPPROTO_TCP, TCP_CONGESTION, kAlgorithm, sizeof kAlgorithm - 1);
}

int Socket::take_error() {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

SocketAddress Socket::local_address() const {
  SocketAddress address;
  socklen_t size = SocketAddress::kCapacity;
  if (getsockname(fd_, address.raw(), &size) != 0) return SocketAddress();
  return address;
}

bool Socket::quiet() const {
  char byte;
  return ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

ConnectStart start_connect(const SocketAddress& to) {
  Socket socket(::socket(to.raw()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.open()) return {Socket(), errno, false};
  socket.set_no_delay();
  socket.set_user_timeout(kUserTimeoutMs);
  if (::connect(socket.fd(), to.raw(), to.size()) == 0) return {std::move(socket), 0, true};
  if (errno != EINPROGRESS) return {Socket(), errno, false};
  // Within one machine the handshake is over when connect returns, though it says EINPROGRESS: a
  // look costs less than a turn. A refusal shows too, but stays for the event to take.
  pollfd outcome{socket.fd(), POLLOUT, 0};
  const bool done = ::poll(&outcome, 1, 0) == 1 && outcome.revents == POLLOUT;
  if (done) socket.set_unpaced();
  return {std::move(socket), 0, done};
}

namespace {

Result<Socket> bind_to(const SocketAddress& at, bool reuse_port) {
  Socket socket(::socket(at.raw()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.open()) return fail_errno(errno, "socket");
  const int on = 1;
  const int off = 0;
  // SO_REUSEADDR alone lets us bind over connections in TIME_WAIT, not over a listener.
  setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse_port) setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (at.is_v6()) setsockopt(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(socket.fd(), at.raw(), at.size()) != 0) {
    if (errno == EADDRINUSE) return fail(Code::kConflict, "listen {}: address in use", at.text());
    return fail_errno(errno, "listen " + at.text());
  }
  return socket;
}

Result<void> listen_now(Socket& socket, const SocketAddress& at, int backlog) {
  if (::listen(socket.fd(), backlog) == 0) return {};
  if (errno == EADDRINUSE) return fail(Code::kConflict, "listen {}: address in use", at.text());
  return fail_errno(errno, "listen " + at.text());
}

}  // namespace

Result<Socket> listen_on(const SocketAddress& at, const ListenOptions& options) {
  Result<Socket> socket = bind_to(at, options.reuse_port);
  if (!socket) return socket;
  // Accepted sockets inherit it, which saves a call a connection.
  socket->set_no_delay();
  socket->set_user_timeout(options.user_timeout_ms);
  if (at.is_loopback()) socket->set_unpaced();
  Result<void> listening = listen_now(*socket, at, options.backlog);
  if (!listening) return pass(listening);
  return socket;
}

Result<void> probe_address(const SocketAddress& at) {
  Result<Socket> socket = bind_to(at, false);
  if (!socket) return pass(socket);
  return listen_now(*socket, at, 1);
}

IoState accept_from(const Socket& listener, Socket& socket, SocketAddress& peer, int& error) {
  for (;;) {
    socklen_t size = SocketAddress::kCapacity;
    const int fd = ::accept4(listener.fd(), peer.raw(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      socket = Socket(fd);
      return IoState::kOk;
    }
    // A connection that is gone again before it was accepted concerns nobody.
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
    error = errno;
    return errno == EAGAIN ? IoState::kBlocked : IoState::kError;
  }
}

}  // namespace sluice
