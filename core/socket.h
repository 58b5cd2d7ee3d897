// Socket: a non-blocking TCP socket of the data path, and its address. Calls are the system's,
// without allocation; their results are small enums, because an Error's message would allocate.
//
// Owner: Socket closes its descriptor. Thread: the owner's. The control loop has core/network.h
// instead.
#pragma once

#include <netinet/in.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice {

/// An IPv4 or IPv6 address with its port.
class SocketAddress {
 public:
  static constexpr size_t kMaxText = 56;  // "[v6 with scope]:65535"

  SocketAddress() { any_.sa_family = AF_UNSPEC; }
  /// `ip` is a literal without brackets; "" is the any address (IPv6, which takes IPv4 too).
  static Result<SocketAddress> make(std::string_view ip, uint16_t port);

  /// 4 bytes, or 16 for IPv6, in network order.
  static SocketAddress from_bytes(const uint8_t* ip, bool v6, uint16_t port);

  bool valid() const { return any_.sa_family != AF_UNSPEC; }
  bool is_v6() const { return any_.sa_family == AF_INET6; }
  bool is_loopback() const;  // 127.0.0.0/8, also as mapped, or ::1
  uint16_t port() const { return ntohs(is_v6() ? v6_.sin6_port : v4_.sin_port); }
  void set_port(uint16_t port) { (is_v6() ? v6_.sin6_port : v4_.sin_port) = htons(port); }
  /// The address alone, an IPv4-mapped one as IPv4; at most kMaxText bytes at out; the length.
  size_t write_ip(char* out) const;
  std::string ip() const;
  std::string text() const;  // "127.0.0.1:80", "[::1]:80"
  /// 16 bytes, IPv4 as its mapped form: what CIDR rules compare.
  void write_mapped(uint8_t out[16]) const;
  bool operator==(const SocketAddress& other) const;

  const sockaddr* raw() const { return &any_; }
  sockaddr* raw() { return &any_; }
  socklen_t size() const { return is_v6() ? sizeof v6_ : sizeof v4_; }
  static constexpr socklen_t kCapacity = sizeof(sockaddr_in6);

 private:
  union {
    sockaddr any_;
    sockaddr_in v4_;
    sockaddr_in6 v6_;
  };
};

enum class IoState : uint8_t { kOk, kBlocked, kEnd, kError };

struct IoResult {
  IoState state;
  size_t bytes;  // of kOk
  int error;     // of kError: errno
};

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = other.release();
    }
    return *this;
  }
  ~Socket() { close(); }

  bool open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void close();
  /// Closes with a reset instead of an end of stream: the peer sees that something is missing.
  void reset();

  IoResult read(char* into, size_t size);
  IoResult write(const char* bytes, size_t size);
  IoResult write(const iovec* parts, int count);
  void shutdown_write();

  void set_no_delay();
  void set_user_timeout(int timeout_ms);
  /// For a connection that stays within the machine: congestion control without a pacing timer,
  /// which a system's default (bbr) may have, and which costs a fifth of a large body's CPU.
  void set_unpaced();
  /// The error that waits on the socket, 0 for none: the outcome of a connect.
  int take_error();
  /// Nothing waits to be read, no end either.
  bool quiet() const;
  SocketAddress local_address() const;

 private:
  int fd_ = -1;
};

/// How long bytes that we sent may stay without an acknowledgement (TCP_USER_TIMEOUT): a peer that
/// is gone without a word is noticed then, and not after the system's quarter of an hour.
inline constexpr int kUserTimeoutMs = 30'000;

/// Starts a connect. `error` is 0 if it is under way or done (`done` says which), else errno.
struct ConnectStart {
  Socket socket;
  int error;
  bool done;
};
ConnectStart start_connect(const SocketAddress& to);

struct ListenOptions {
  int backlog = 4096;
  bool reuse_port = true;
  int user_timeout_ms = kUserTimeoutMs;  // of the accepted connections, which inherit it
};

/// Fails with a message that names the address, kConflict if it is in use. A listener with
/// SO_REUSEPORT would join a stranger's silently, so probe_address() comes before the first one.
Result<Socket> listen_on(const SocketAddress& at, const ListenOptions& options);
/// Binds and listens without SO_REUSEPORT, and closes: fails if anybody has the address.
Result<void> probe_address(const SocketAddress& at);

/// accept4, non-blocking. kOk: `socket` and `peer` are set.
IoState accept_from(const Socket& listener, Socket& socket, SocketAddress& peer, int& error);

}  // namespace sluice
