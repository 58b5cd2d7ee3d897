// The metrics page: what the reactors counted, in Prometheus's text format 0.0.4.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "proxy/service_stats.h"
#include "proxy/worker.h"

namespace sluice::proxy {

/// The reactors' counts, added up, and what else the page shows.
struct ProxyStats {
  Counters counters;
  uint64_t clients = 0;  // open now
  uint64_t tunnels = 0;
  uint64_t idle_upstreams = 0;
  std::map<ServiceStats::Name, ServiceCounts> routes_of;  // service "": answers without one
  uint64_t hosts = 0;                                     // of the newest table
  uint64_t routes = 0;
  uint64_t table_version = 0;
  uint64_t access_lines_dropped = 0;

  void add(const Worker& worker);
};

/// Names begin with "sluice_", or "sluice_SUBSYSTEM_" where one is given.
std::string metrics_text(const ProxyStats& stats, const std::vector<int64_t>& bounds_ms,
                         const std::string& subsystem);

}  // namespace sluice::proxy
