// DnsLookup: host names by /etc/hosts and the DNS, with c-ares, whose one door this is. It does not
// block: its sockets are watched by the loop. /etc/resolv.conf counts with its servers, search
// domains and options, and is read again when it has changed.
//
// Owner: its user. Thread: the loop's. Bounds: DnsOptions; how many look-ups run at once is the
// caller's business (proxy/upstream_names.h).
#pragma once

#include <memory>
#include <string>

#include "core/host_lookup.h"
#include "core/loop.h"
#include "core/result.h"

namespace sluice {

struct DnsOptions {
  std::string servers;     // "10.0.0.53,10.0.0.54:5353,[::1]:53"; empty: those of resolv.conf
  int timeout_ms = 2'000;  // of a server's first try; c-ares doubles it
  int tries = 3;           // of each server
  size_t addresses = 64;   // of a name that has more, the first in order
};

class DnsLookup final : public HostLookup {
 public:
  /// Fails where the servers are no addresses.
  static Result<std::unique_ptr<DnsLookup>> open(UvLoop& loop, DnsOptions options);
  /// No look-up's task is left; what was asked of servers is withdrawn.
  ~DnsLookup() override;

  Task<Result<HostAddresses>> look_up(std::string name) override;

 private:
  struct Channel;
  explicit DnsLookup(std::unique_ptr<Channel> channel);
  std::unique_ptr<Channel> channel_;
};

}  // namespace sluice
