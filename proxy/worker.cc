#include "proxy/worker.h"

#include <algorithm>

#include "core/check.h"
#include "core/log.h"
#include "proxy/maglev.h"

namespace sluice::proxy {

static_assert(sizeof(Http1Client) + kReactorSlotBytes <= kIdleClientBytes);

SocketAddress address_of(const Endpoint& endpoint) {
  if (endpoint.family() == Endpoint::Family::kName) return SocketAddress();
  return SocketAddress::from_bytes(endpoint.ip().data(),
                                   endpoint.family() == Endpoint::Family::kIpv6, endpoint.port());
}

Worker::Worker(Reactor& reactor, const WorkerOptions& options, Router& router)
    : reactor_(reactor),
      options_(options),
      router_(router),
      clients_(options.max_clients),
      upstreams_(options.max_upstreams),
      tunnels_(options.max_tunnels),
      prefaces_(options.max_clients),
      pipes_(options.max_pipes, options.kept_pipes),
      access_(reactor, options.access_format, options.access_writer,
              size_t{options.max_clients} + options.max_tunnels),
      pool_(options.pooled_an_endpoint),
      // Those that are over stay until the turn's end, beside those that began in it.
      forwards_(size_t{options.max_clients} * 2),
      asides_(size_t{options.max_clients} * 2),
      waiters_(reactor),
      request_number_(mix_hash(options.guards.secret[0] ^ reinterpret_cast<uintptr_t>(this))),
      services_(options.time_bounds_ms) {
  if (options.guards.auth != nullptr) {
    auth_ = std::make_unique<AuthGate>(reactor, *options.guards.auth, options.guards.secret);
  }
}

Worker::~Worker() = default;

namespace {

bool is_tunnelled(ListenProtocol protocol) {
  return protocol == ListenProtocol::kTcp || protocol == ListenProtocol::kTcpDynamic ||
         protocol == ListenProtocol::kTcpSni;
}

}  // namespace

void Worker::set_tls(uint32_t listener, std::shared_ptr<const tls::ServerContext> context) {
  if (tls_.size() <= listener) tls_.resize(listener + 1);
  tls_[listener] = std::move(context);
}

std::unique_ptr<tls::Session> Worker::new_session(const ListenerInfo& listener) {
  return tls::Session::accept(tls_[listener.index], reactor_.buffers(),
                              {&reactor_, options_.signer});
}

void Worker::note_tls_failure(const Endpoint& endpoint, const char* reason) {
  counters_.tls_failures += 1;
  // One that is wrong is wrong for each request: a line a while says it.
  constexpr int64_t kQuietMs = 1'000;
  const int64_t now_ms = reactor_.now_ms();
  if (options_.log == nullptr || now_ms - tls_failure_logged_ms_ < kQuietMs) return;
  tls_failure_logged_ms_ = now_ms;
  options_.log->warn("upstream {}: no TLS with {}: {}", to_string(endpoint.destination()),
                     endpoint.server_name(), reason);
}

void Worker::accept(Socket socket, const SocketAddress& peer, const ListenerInfo& listener) {
  counters_.connections += 1;
  if (listener.has_preface()) {
    Preface* preface = prefaces_.make(*this, peer, listener);
    if (preface == nullptr) return;
    if (!preface->start(std::move(socket))) {
      prefaces_.free(preface);
      return;
    }
    preface_list_.push_back(*preface);
    return;
  }
  if (is_tunnelled(listener.protocol)) return start_tunnel(std::move(socket), peer, listener);
  if (!take_place(peer, listener)) return;
  auto tls = listener.tls ? new_session(listener) : nullptr;
  Http1Client* client = listener.tls && !tls ? nullptr : clients_.make(*this, peer, listener);
  if (client == nullptr) return leave_place(peer);  // at the limit: the socket closes
  if (!client->start(std::move(socket), std::move(tls))) return free(*client);
  client_list_.push_back(*client);
}

// Counted is who stands behind a PROXY header, so only once that was read.
bool Worker::take_place(const SocketAddress& peer, const ListenerInfo& listener) {
  AddressLimits* limits = options_.guards.addresses;
  if (limits == nullptr || limits->connect(hash_address(peer))) return true;
  counters_.limited += 1;
  ClientFacts facts;
  facts.peer = peer;
  facts.tls = listener.tls;
  access_.refused(facts, nullptr, 429, 0);
  return false;
}

void Worker::leave_place(const SocketAddress& peer) {
  AddressLimits* limits = options_.guards.addresses;
  if (limits != nullptr) limits->disconnect(hash_address(peer));
}

void Worker::start_tunnel(Socket socket, const SocketAddress& peer, const ListenerInfo& listener) {
  if (!take_place(peer, listener)) return;
  auto tls = listener.tls ? new_session(listener) : nullptr;
  Tunnel* tunnel = listener.tls && !tls ? nullptr : tunnels_.make(*this);
  if (tunnel == nullptr) return leave_place(peer);
  if (!tunnel->start(std::move(socket), std::move(tls), peer, listener)) {
    tunnels_.free(tunnel);
    return leave_place(peer);
  }
  tunnel_list_.push_back(*tunnel);
}

void Worker::begin(Channel& channel, std::string_view bytes, const SocketAddress& peer,
                   const ListenerInfo& listener) {
  const bool either = listener.protocol == ListenProtocol::kHttpsTcpSni;
  if (!take_place(peer, listener)) return;
  if (!either && !is_tunnelled(listener.protocol))
    return start_client(channel, bytes, peer, listener);
  // Where the name's target is not tcp, TLS ends here, and what is in it are requests.
  auto tls = listener.tls && !either ? new_session(listener) : nullptr;
  if (listener.tls && !either && !tls) return leave_place(peer);
  Tunnel* tunnel = tunnels_.make(*this);
  if (tunnel == nullptr) return leave_place(peer);
  switch (tunnel->start(channel, bytes, std::move(tls), peer, listener)) {
    case Tunnel::Started::kYes: tunnel_list_.push_back(*tunnel); return;
    case Tunnel::Started::kNo: tunnels_.free(tunnel); return leave_place(peer);
    case Tunnel::Started::kNotTcp:
      tunnels_.free(tunnel);
      return start_client(channel, bytes, peer, listener);
  }
}

// The address has its place already.
void Worker::start_client(Channel& channel, std::string_view bytes, const SocketAddress& peer,
                          const ListenerInfo& listener) {
  auto tls = listener.tls ? new_session(listener) : nullptr;
  Http1Client* client = listener.tls && !tls ? nullptr : clients_.make(*this, peer, listener);
  if (client == nullptr) return leave_place(peer);
  if (!client->start(channel, bytes, std::move(tls))) return free(*client);
  client_list_.push_back(*client);
}

void Worker::free(Http1Client& client) {
  if (!client.moved()) leave_place(client.facts().peer);
  clients_.free(&client);
  note_gone();
}

void Worker::free(Tunnel& tunnel) {
  if (tunnel.peer().valid()) leave_place(tunnel.peer());
  tunnels_.free(&tunnel);
  note_gone();
}

Aside& Worker::make_aside(Forward& forward) {
  Aside* aside = asides_.make(forward);
  CHECK(aside != nullptr);  // there are as many as clients
  return *aside;
}

void Worker::note_failure(const Endpoint& endpoint) {
  if (!endpoint.note_failure(reactor_.now_ms())) return;
  counters_.ejections += 1;
  if (options_.log == nullptr) return;
  options_.log->warn("endpoint {}: {} gateway errors in a row: ejected for {} s",
                     to_string(endpoint.destination()), Endpoint::kFailuresToEject,
                     (endpoint.ejected_until_ms() - reactor_.now_ms()) / 1000);
}

void Worker::write_request_id(uint64_t number, char* out) const {
  const uint64_t high = mix_hash(number ^ options_.guards.secret[0]);
  const uint64_t low = mix_hash(high ^ options_.guards.secret[1]);
  size_t at = 0;
  for (int i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) out[at++] = '-';
    uint64_t digit = (i < 16 ? high >> (60 - 4 * i) : low >> (60 - 4 * (i - 16))) & 15;
    if (i == 12) digit = 4;                // the version: random, to whoever has no secret
    if (i == 16) digit = (digit & 3) | 8;  // the variant
    out[at++] = "0123456789abcdef"[digit];
  }
}

Tunnel* Worker::make_tunnel() {
  Tunnel* tunnel = tunnels_.make(*this);
  if (tunnel != nullptr) tunnel_list_.push_back(*tunnel);
  return tunnel;
}

// The upstream has neither sent anything nor ended.
static bool nothing_waits(Channel& channel) {
  return channel.tls() != nullptr ? channel.quiet() && !channel.closed() : channel.socket().quiet();
}

Worker::Opened Worker::open_upstream(const Endpoint& endpoint, Forward& forward, Reuse reuse) {
  Http1Upstream* idle = reuse == Reuse::kNone ? nullptr : pool_.take(endpoint);
  while (idle != nullptr && reuse == Reuse::kChecked && !nothing_waits(idle->channel())) {
    idle->close_unpooled();
    idle = pool_.take(endpoint);
  }
  if (idle != nullptr) {
    idle->assign(forward);
    counters_.upstream_reused += 1;
    return {.stream = idle, .ready = true, .fresh = false};
  }
  Http1Upstream* upstream = upstreams_.make(*this, endpoint);
  if (upstream == nullptr) return {};
  if (!upstream->connect(forward)) {
    upstreams_.free(upstream);
    return {};
  }
  return {.stream = upstream, .ready = upstream->ready(), .fresh = true};
}

Explained Worker::explain(const ExplainRequest& request) {
  using Kind = ExplainRequest::Kind;
  RouteDecision decision;
  const std::string head = head_text(request);
  if (request.kind == Kind::kHttp) {
    ClientFacts facts;
    facts.peer = request.client;
    facts.tls = request.tls;
    facts.trusted = true;
    http1::HeadReader reader;
    const http1::ReadResult read = reader.read_request(head, options_.head, scratch_head_);
    decision =
        read.state == http1::ReadState::kDone
            ? router_.route({.head = scratch_head_, .client = facts, .tried = {}, .quiet = true})
            : RouteDecision{.refuse = read.status};
  } else {
    const bool by_port = request.kind == Kind::kPort;
    decision = router_.route_stream(
        {.peer = request.client,
         .by = by_port ? StreamQuery::By::kPort : StreamQuery::By::kServerName,
         .listener_port = request.port,
         .address = {},
         .server_name = by_port ? std::string_view() : std::string_view(request.authority),
         .tried = {}});
  }
  Explained said;
  said.now_ms = reactor_.now_ms();
  said.no_route = decision.no_route;
  said.location = decision.location;
  said.service = decision.service;
  if (decision.endpoint == nullptr) {
    said.refuse = decision.refuse;
    return said;
  }
  said.endpoint = to_string(decision.endpoint->destination());
  said.address = decision.endpoint->address();
  said.target = decision.path;
  said.host = decision.host;
  decision.endpoint->end();
  return said;
}

void Worker::drain(IdleClients idle, std::function<void()> drained) {
  draining_ = true;
  drained_ = std::move(drained);
  for (Http1Client* client = client_list_.front(); client != nullptr;) {
    Http1Client* next = client_list_.next(*client);
    if (idle == IdleClients::kClose) client->drain();
    client = next;
  }
  pool_.close_idle(true);
  access_.flush();
  note_gone();
}

void Worker::close_tunnels(std::span<const EndpointRef> to) {
  for (Tunnel* tunnel = tunnel_list_.front(); tunnel != nullptr;) {
    Tunnel* next = tunnel_list_.next(*tunnel);
    // What was under way is lost, and must not look as if it had ended.
    if (std::ranges::find(to, tunnel->endpoint(), &EndpointRef::get) != to.end()) {
      tunnel->close(true);
    }
    tunnel = next;
  }
}

void Worker::close_all() {
  draining_ = true;
  while (Http1Client* client = client_list_.front()) client->close();
  while (Tunnel* tunnel = tunnel_list_.front()) tunnel->close(true);
  while (Preface* preface = preface_list_.front()) preface->close();
  pool_.close_idle(true);
  access_.flush();
}

}  // namespace sluice::proxy
