#include "proxy/pool.h"

namespace sluice::proxy {

Pool::~Pool() {
  CHECK(idle_ == 0);
}

Http1Upstream* Pool::take(const Endpoint& endpoint) {
  const auto found = entries_.find(&endpoint);
  if (found == entries_.end()) return nullptr;
  Http1Upstream* upstream = found->second->idle.pop_front();
  if (upstream == nullptr) return nullptr;
  --found->second->count;
  --idle_;
  return upstream;
}

Pool::Entry& Pool::entry_of(const Endpoint& endpoint) {
  std::unique_ptr<Entry>& entry = entries_[&endpoint];
  if (!entry) entry = std::make_unique<Entry>(endpoint);
  return *entry;
}

bool Pool::give(Http1Upstream& upstream) {
  Entry& entry = entry_of(upstream.endpoint());
  if (entry.count >= max_) return false;
  entry.idle.push_front(upstream);
  ++entry.count;
  ++idle_;
  return true;
}

const tls::Ticket* Pool::ticket(const Endpoint& endpoint) const {
  const auto found = entries_.find(&endpoint);
  return found == entries_.end() ? nullptr : &found->second->ticket;
}

void Pool::keep_ticket(const Endpoint& endpoint, tls::Ticket ticket) {
  if (ticket) entry_of(endpoint).ticket = std::move(ticket);
}

void Pool::remove(Http1Upstream& upstream) {
  const auto found = entries_.find(&upstream.endpoint());
  CHECK(found != entries_.end() && upstream.pool_node.linked());
  upstream.pool_node.unlink();
  --found->second->count;
  --idle_;
}

void Pool::close_idle(bool all) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = *at->second;
    if (!all && !entry.endpoint->retired()) {
      ++at;
      continue;
    }
    while (Http1Upstream* upstream = entry.idle.pop_front()) {
      --entry.count;
      --idle_;
      upstream->close_unpooled();
    }
    // A connection that is under way there makes a new entry if it comes back.
    at = entries_.erase(at);
  }
}

}  // namespace sluice::proxy
