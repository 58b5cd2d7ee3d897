// Network: byte streams for the control loop (Docker, Consul, checks, the API), and datagrams
// (DNS). The data plane does not use it; it has its sockets to itself (core/reactor.h).
//
// Thread: the executor's. Destroying a Stream, a Listener or Datagrams closes it. One read and one
// write at a time each; cancelling a task inside write() leaves the stream closed, for part of the
// bytes may be out.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"
#include "core/task.h"

namespace sluice {

/// Where to connect or listen: an IP address and port, or a Unix socket's path. A host name only in
/// front of a ResolvingNetwork (core/resolving_network.h).
struct Address {
  std::string ip;  // "127.0.0.1", "::1"; empty for a Unix socket
  uint16_t port = 0;
  std::string path;  // of a Unix socket

  bool operator==(const Address&) const = default;
  bool is_unix() const { return !path.empty(); }
};

/// "127.0.0.1:80", "[::1]:80", ":80" (any address), "unix:///run/x.sock".
Result<Address> parse_address(std::string_view text);
/// The inverse of parse_address; an IPv6 address in brackets.
std::string to_string(const Address& address);

class Stream {
 public:
  virtual ~Stream() = default;
  /// At least one byte, or 0 at the peer's end of stream.
  virtual Task<Result<size_t>> read(std::span<char> into) = 0;
  /// All of the bytes.
  virtual Task<Result<void>> write(std::string_view bytes) = 0;
  /// Sends our end of stream; reading goes on.
  virtual Result<void> shutdown_write() = 0;
  virtual Address peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual Task<Result<std::unique_ptr<Stream>>> accept() = 0;
  /// With the port that was given where port 0 was asked for.
  virtual Address local() const = 0;
  /// A connection was accepted already: accept() returns it at once. One that is left is reset.
  virtual bool is_waiting() const { return false; }
};

struct Datagram {
  std::string bytes;
  Address from;
};

/// A bound UDP socket. What arrives while nobody waits stays in the kernel's bounded buffer.
class Datagrams {
 public:
  virtual ~Datagrams() = default;
  /// The next one of at most `most` bytes; longer ones are passed over.
  virtual Task<Result<Datagram>> receive(size_t most) = 0;
  /// At once or not at all: without room to send, it is lost, as any datagram may be.
  virtual Result<void> send(std::string_view bytes, const Address& to) = 0;
  /// With the port that was given where port 0 was asked for.
  virtual Address local() const = 0;
};

class Network {
 public:
  virtual ~Network() = default;
  virtual Task<Result<std::unique_ptr<Stream>>> connect(Address to, int64_t timeout_ms) = 0;
  /// A Unix socket's file is made with mode 0600; a stale one, that nobody listens on, is replaced.
  virtual Result<std::unique_ptr<Listener>> listen(const Address& at) = 0;
  virtual Result<std::unique_ptr<Datagrams>> open_datagrams(const Address& at) = 0;
};

}  // namespace sluice
