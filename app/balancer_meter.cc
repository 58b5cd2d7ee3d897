#include "app/balancer_meter.h"

#include "proxy/metrics.h"

namespace sluice {

using namespace orchestrator;

Task<ServiceLoads> BalancerMeter::read(std::set<std::string> services) {
  const proxy::ProxyStats stats = co_await balancer_.stats();
  ServiceLoads loads;
  for (const std::string& service : services) {
    loads[service].in_flight = balancer_.in_flight(routes_.routes_of(service));
  }
  for (const auto& [name, counts] : stats.routes_of) {
    const auto found = loads.find(name.service);
    if (found == loads.end()) continue;
    ServiceLoad& load = found->second;
    uint64_t sum = 0;
    for (const uint64_t answers : counts.answers) sum += answers;
    load.answers += sum + counts.tunnels;
    if (!name.canary) continue;
    load.canary_answers += sum;
    load.canary_errors += counts.answers[5];
  }
  co_return loads;
}

}  // namespace sluice
