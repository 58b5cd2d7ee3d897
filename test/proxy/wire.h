// A proxy between a raw client and a raw upstream, both scripted by a test: what goes in at one
// end, byte for byte, and what comes out at the other.
//
// Thread: the test's; the proxy's reactor and the upstream have theirs.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/endpoint.h"
#include "proxy/proxy.h"

namespace sluice::proxy::test {

/// Blocking socket of a test, with a time limit on every wait.
class Wire {
 public:
  Wire() = default;
  explicit Wire(int fd);
  static Wire connect(const SocketAddress& to);
  Wire(Wire&&) = default;
  Wire& operator=(Wire&&) = default;

  bool open() const { return socket_.open(); }
  void send(std::string_view bytes);
  /// In pieces, each in a segment of its own as far as the system lets us.
  void send_pieces(std::string_view bytes, size_t piece);
  /// Until `size` bytes have come, or the end, or the time limit.
  std::string read(size_t size);
  /// Until the blank line behind a head.
  std::string read_head();
  /// Until the end; `reset` says whether it was one.
  std::string read_to_end(bool* reset = nullptr);
  /// Bytes or an end wait to be read within the time.
  bool waits(int timeout_ms);
  void end();  // our direction
  void close() { socket_.close(); }
  void reset() { socket_.reset(); }
  Socket& socket() { return socket_; }

 private:
  Socket socket_;
};

/// Accepts one after another.
class Upstream {
 public:
  Upstream();
  SocketAddress address() const { return address_; }
  Wire accept(int timeout_ms = 5000);
  /// True if a connection waits to be accepted within the time.
  bool waits(int timeout_ms);

 private:
  Socket listener_;
  SocketAddress address_;
};

/// Sends every request to the first endpoint that was not tried yet.
class Fixture {
 public:
  /// Listeners: http, tcp, then `more`. `proxy_protocol`: the upstreams want PROXY headers.
  explicit Fixture(const std::vector<SocketAddress>& upstreams, WorkerOptions options = {},
                   const std::vector<ListenSpec>& more = {}, bool proxy_protocol = false);
  /// Endpoints of any kind, and a TLS listener: the third; `protocol` is https, tcp or
  /// https+tcp+sni.
  struct Tls {
    Tls(std::vector<EndpointKey> to, std::shared_ptr<const tls::ServerContext> as_server,
        std::shared_ptr<const tls::ClientContext> as_client)
        : endpoints(std::move(to)), server(std::move(as_server)), client(std::move(as_client)) {}
    std::vector<EndpointKey> endpoints;
    std::shared_ptr<const tls::ServerContext> server;
    std::shared_ptr<const tls::ClientContext> client;
    ListenProtocol protocol = ListenProtocol::kHttps;
    bool proxy_protocol = false;
    uint32_t signers = 0;
  };
  explicit Fixture(const Tls& tls, WorkerOptions options = {});
  ~Fixture();
  SocketAddress address() const { return proxy_->addresses()[0]; }
  Wire connect() { return Wire::connect(address()); }
  Wire connect_tls() { return Wire::connect(proxy_->addresses()[2]); }
  Wire connect_tcp() { return connect(1); }
  Wire connect(size_t listener) { return Wire::connect(proxy_->addresses()[listener]); }
  /// What the router was last asked for a connection without requests.
  struct Stream {
    std::string peer;
    std::string server_name;
  };
  Stream last_stream() {
    const std::lock_guard lock(stream_mutex_);
    return stream_;
  }
  Proxy& proxy() { return *proxy_; }
  const Endpoint& endpoint(size_t i) const { return *endpoints_[i]; }

 private:
  std::mutex stream_mutex_;
  Stream stream_;
  void start(ProxyOptions options, const std::vector<EndpointKey>& endpoints);

  EndpointRegistry registry_;
  std::vector<EndpointRef> endpoints_;
  std::unique_ptr<Proxy> proxy_;
};

}  // namespace sluice::proxy::test
