#include "proxy/worker.h"

namespace sluice::proxy {

Worker::Worker(Reactor& reactor, const WorkerOptions& options, Router& router)
    : reactor_(reactor),
      options_(options),
      router_(router),
      clients_(options.max_clients),
      upstreams_(options.max_upstreams),
      pool_(options.pooled_an_endpoint) {}

Worker::~Worker() = default;

void Worker::accept(Socket socket, const SocketAddress& peer, const ListenerInfo& listener) {
  Http1Client* client = clients_.make(*this, peer, listener);
  if (client == nullptr) return;  // at the limit: the socket closes
  if (!client->start(std::move(socket))) {
    clients_.free(client);
    return;
  }
  client_list_.push_back(*client);
  counters_.connections += 1;
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

void Worker::drain() {
  draining_ = true;
  for (Http1Client* client = client_list_.front(); client != nullptr;) {
    Http1Client* next = client_list_.next(*client);
    client->drain();
    client = next;
  }
  pool_.close_idle(true);
}

void Worker::close_all() {
  draining_ = true;
  while (Http1Client* client = client_list_.front()) client->close();
  pool_.close_idle(true);
}

}  // namespace sluice::proxy
