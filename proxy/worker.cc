#include "proxy/worker.h"

namespace sluice::proxy {

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
      services_(options.time_bounds_ms) {}

Worker::~Worker() = default;

namespace {

bool is_tunnelled(ListenProtocol protocol) {
  return protocol == ListenProtocol::kTcp || protocol == ListenProtocol::kTcpDynamic ||
         protocol == ListenProtocol::kTcpSni;
}

}  // namespace

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
  if (is_tunnelled(listener.protocol)) {
    Tunnel* tunnel = tunnels_.make(*this);
    if (tunnel == nullptr) return;
    if (!tunnel->start(std::move(socket), peer, listener)) {
      tunnels_.free(tunnel);
      return;
    }
    tunnel_list_.push_back(*tunnel);
    return;
  }
  Http1Client* client = clients_.make(*this, peer, listener);
  if (client == nullptr) return;  // at the limit: the socket closes
  if (!client->start(std::move(socket))) {
    clients_.free(client);
    return;
  }
  client_list_.push_back(*client);
}

void Worker::begin(Channel& channel, std::string_view bytes, const SocketAddress& peer,
                   const ListenerInfo& listener) {
  if (is_tunnelled(listener.protocol)) {
    Tunnel* tunnel = tunnels_.make(*this);
    if (tunnel == nullptr) return;
    if (!tunnel->start(channel, bytes, peer, listener)) {
      tunnels_.free(tunnel);
      return;
    }
    tunnel_list_.push_back(*tunnel);
    return;
  }
  Http1Client* client = clients_.make(*this, peer, listener);
  if (client == nullptr) return;
  if (!client->start(channel, bytes)) {
    clients_.free(client);
    return;
  }
  client_list_.push_back(*client);
}

Tunnel* Worker::make_tunnel() {
  Tunnel* tunnel = tunnels_.make(*this);
  if (tunnel != nullptr) tunnel_list_.push_back(*tunnel);
  return tunnel;
}

Worker::Opened Worker::open_upstream(const Endpoint& endpoint, Forward& forward) {
  if (Http1Upstream* idle = pool_.take(endpoint)) {
    idle->assign(forward);
    counters_.upstream_reused += 1;
    return {idle, true};
  }
  Http1Upstream* upstream = upstreams_.make(*this, endpoint);
  if (upstream == nullptr) return {nullptr, false};
  if (!upstream->connect(forward)) {
    upstreams_.free(upstream);
    return {nullptr, false};
  }
  return {upstream, false};
}

void Worker::drain(std::function<void()> drained) {
  draining_ = true;
  drained_ = std::move(drained);
  for (Http1Client* client = client_list_.front(); client != nullptr;) {
    Http1Client* next = client_list_.next(*client);
    client->drain();
    client = next;
  }
  pool_.close_idle(true);
  access_.flush();
  note_gone();
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
