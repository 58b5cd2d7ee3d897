// Pool: idle upstream connections of one reactor, by endpoint, most recently used first.
//
// Owner: Worker. Thread: the reactor's. Limits: WorkerOptions::pooled_an_endpoint; an idle
// connection closes after Timeouts::pooled_ms, or when the upstream says or sends anything.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "core/intrusive_list.h"
#include "proxy/endpoint.h"
#include "proxy/http1_upstream.h"

namespace sluice::proxy {

class Pool {
 public:
  explicit Pool(uint32_t max_an_endpoint) : max_(max_an_endpoint) {}
  ~Pool();

  /// nullptr if none is idle.
  Http1Upstream* take(const Endpoint& endpoint);
  /// False at the limit: close it instead. One that comes back after its endpoint retired stays
  /// until its time is up.
  bool give(Http1Upstream& upstream);
  /// The connection closed while it was idle.
  void remove(Http1Upstream& upstream);
  /// Closes what no route leads to (retired), or everything.
  void close_idle(bool all);
  uint32_t idle() const { return idle_; }
  /// The newest TLS ticket of the endpoint, nullptr for none. It serves again and again: that an
  /// observer can link our connections to an upstream tells it nothing (RFC 8446 C.4).
  const tls::Ticket* ticket(const Endpoint& endpoint) const;
  void keep_ticket(const Endpoint& endpoint, tls::Ticket ticket);

 private:
  struct Entry {
    explicit Entry(const Endpoint& of) : endpoint(of) {}
    EndpointRef endpoint;
    IntrusiveList<Http1Upstream, &Http1Upstream::pool_node> idle;
    uint32_t count = 0;
    tls::Ticket ticket;
  };
  Entry& entry_of(const Endpoint& endpoint);
  const uint32_t max_;
  uint32_t idle_ = 0;
  std::unordered_map<const Endpoint*, std::unique_ptr<Entry>> entries_;
};

}  // namespace sluice::proxy
