#include "test/proxy/wire.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>

#include "core/check.h"

namespace sluice::proxy::test {

namespace {

constexpr int kWaitMs = 10'000;  // a test that waits this long has failed

bool wait_for(int fd, short events, int timeout_ms) {
  pollfd p{fd, events, 0};
  return ::poll(&p, 1, timeout_ms) > 0;
}

class FirstUntried final : public Router {
 public:
  using Asked = std::function<void(const StreamQuery& query)>;
  FirstUntried(const std::vector<EndpointRef>& endpoints, Asked asked)
      : endpoints_(endpoints), asked_(std::move(asked)) {}
  RouteDecision route(const RouteQuery& query) override {
    for (const EndpointRef& each : endpoints_) {
      bool tried = false;
      for (const Endpoint* before : query.tried) tried |= before == each.get();
      if (tried) continue;
      each->begin();
      return {.endpoint = each.get(), .path = query.head.path};
    }
    if (query.tried.empty()) return {.refuse = 404};
    query.tried.back()->begin();
    return {.endpoint = query.tried.back(), .path = query.head.path};
  }

  RouteDecision route_stream(const StreamQuery& query) override {
    asked_(query);
    for (const EndpointRef& each : endpoints_) {
      const bool tcp = each->scheme() == Scheme::kTcp;
      if (query.by == StreamQuery::By::kTcpOnly && !tcp) return {.no_route = true};
      bool tried = false;
      for (const Endpoint* before : query.tried) tried |= before == each.get();
      if (tried) continue;
      each->begin();
      return {.endpoint = each.get()};
    }
    return {};
  }

 private:
  const std::vector<EndpointRef>& endpoints_;
  const Asked asked_;
};

}  // namespace

Wire::Wire(int fd) : socket_(fd) {
  socket_.set_no_delay();
}

Wire Wire::connect(const SocketAddress& to) {
  Wire wire(::socket(to.raw()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(::connect(wire.socket_.fd(), to.raw(), to.size()) == 0);
  return wire;
}

void Wire::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const IoResult put = socket_.write(bytes.data(), bytes.size());
    if (put.state != IoState::kOk)
      return;  // the other side has closed; what it said is what counts
    bytes.remove_prefix(put.bytes);
  }
}

void Wire::send_pieces(std::string_view bytes, size_t piece) {
  while (!bytes.empty()) {
    send(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
}

std::string Wire::read(size_t size) {
  std::string got;
  while (got.size() < size && wait_for(socket_.fd(), POLLIN, kWaitMs)) {
    char room[4096];
    const IoResult in = socket_.read(room, std::min(sizeof room, size - got.size()));
    if (in.state != IoState::kOk) break;
    got.append(room, in.bytes);
  }
  return got;
}

std::string Wire::read_head() {
  std::string got;
  while (!got.ends_with("\r\n\r\n")) {
    const std::string byte = read(1);
    if (byte.empty()) break;
    got += byte;
  }
  return got;
}

std::string Wire::read_to_end(bool* reset) {
  std::string got;
  if (reset != nullptr) *reset = false;
  while (wait_for(socket_.fd(), POLLIN, kWaitMs)) {
    char room[4096];
    const IoResult in = socket_.read(room, sizeof room);
    if (in.state != IoState::kOk) {
      if (reset != nullptr) *reset = in.state == IoState::kError;
      return got;
    }
    got.append(room, in.bytes);
  }
  return got + "(no end)";
}

bool Wire::waits(int timeout_ms) {
  return wait_for(socket_.fd(), POLLIN, timeout_ms);
}

void Wire::end() {
  socket_.shutdown_write();
}

Upstream::Upstream() {
  Result<Socket> listener = listen_on(*SocketAddress::make("127.0.0.1", 0), {});
  CHECK(listener.has_value());
  listener_ = std::move(*listener);
  address_ = listener_.local_address();
}

bool Upstream::waits(int timeout_ms) {
  return wait_for(listener_.fd(), POLLIN, timeout_ms);
}

Wire Upstream::accept(int timeout_ms) {
  if (!waits(timeout_ms)) return Wire();
  return Wire(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
}

Fixture::Fixture(const std::vector<SocketAddress>& upstreams, WorkerOptions options,
                 const std::vector<ListenSpec>& more, bool proxy_protocol)
    : registry_([] {}) {
  std::vector<EndpointKey> keys;
  for (const SocketAddress& at : upstreams) {
    keys.push_back({.destination = {.host = at.ip(), .port = at.port()},
                    .server_name = {},
                    .proxy_protocol = proxy_protocol});
  }
  start({.listeners = more, .worker = std::move(options)}, keys);
}

Fixture::Fixture(const Tls& tls, WorkerOptions options) : registry_([] {}) {
  options.upstream_tls = tls.client;
  ProxyOptions all{.signers = tls.signers, .worker = std::move(options)};
  all.listeners = {{.address = *SocketAddress::make("127.0.0.1", 0),
                    .protocol = tls.protocol,
                    .proxy_protocol = tls.proxy_protocol}};
  all.tls = {nullptr, nullptr, tls.server};
  start(std::move(all), tls.endpoints);
}

void Fixture::start(ProxyOptions options, const std::vector<EndpointKey>& endpoints) {
  for (const EndpointKey& key : endpoints) endpoints_.push_back(registry_.find_or_add(key));
  options.reactors = 1;
  const SocketAddress any_port = *SocketAddress::make("127.0.0.1", 0);
  const std::vector<ListenSpec> always = {{.address = any_port},
                                          {.address = any_port, .protocol = ListenProtocol::kTcp}};
  options.listeners.insert(options.listeners.begin(), always.begin(), always.end());
  const auto asked = [this](const StreamQuery& query) {
    const std::lock_guard lock(stream_mutex_);
    stream_ = {query.peer.text(), std::string(query.server_name)};
  };
  Result<std::unique_ptr<Proxy>> proxy =
      Proxy::start(std::move(options), [this, asked](Reactor&, uint32_t) {
        return std::make_unique<FirstUntried>(endpoints_, asked);
      });
  CHECK(proxy.has_value());
  proxy_ = std::move(*proxy);
}

Fixture::~Fixture() {
  proxy_->stop();
}

}  // namespace sluice::proxy::test
