// DnsServer: the embedded catalog's DNS, by UDP and TCP (RFC 7766).
//
// Owner: the agent. Thread: the control loop. Bounded by what a request may hold
// (kDnsRequestBytes), by the connections at a time and by how long one may be idle; datagrams wait
// in the kernel's buffer, and a reply that the kernel has no room for is lost.
#pragma once

#include <memory>

#include "core/env.h"
#include "core/scope.h"
#include "drivers/embedded/dns_answer.h"

namespace sluice::drivers {

struct DnsServerOptions {
  size_t connections = 100;  // past that, accepting waits
  int64_t idle_timeout_ms = 10'000;
};

class DnsServer {
 public:
  /// Both at one port. `table` outlives it.
  DnsServer(Env env, std::unique_ptr<Datagrams> datagrams, std::unique_ptr<Listener> listener,
            const CatalogTable& table, ReadNode node, DnsServerOptions options = {});

  Address local() const { return datagrams_->local(); }
  /// Serve until cancelled.
  Task<void> run_udp();
  Task<void> run_tcp();

 private:
  /// "": nothing is answered.
  std::string reply_to(std::string_view packet, bool tcp);
  Task<void> serve(std::unique_ptr<Stream> stream);
  Task<Result<bool>> serve_one(Stream& stream, std::string& unread);

  Env env_;
  std::unique_ptr<Datagrams> datagrams_;
  std::unique_ptr<Listener> listener_;
  const CatalogTable& table_;
  const ReadNode node_;
  const DnsServerOptions options_;
  Event slot_free_;
  Scope connections_;
};

}  // namespace sluice::drivers
