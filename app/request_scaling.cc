#include "app/request_scaling.h"

#include <utility>

#include "proxy/metrics.h"

namespace sluice {

using namespace orchestrator;

RequestScaling::RequestScaling(Env env, Log& log, Server& server, Balancer& balancer,
                               RouteSource& routes)
    : balancer_(balancer),
      routes_(routes),
      autoscaler_(env, log, server, *this, [&routes](std::vector<SleepingService> services) {
        routes.set_sleeping(std::move(services));
      }) {
  balancer_.set_on_wake([this](const std::string& service) { autoscaler_.wake(service); });
}

RequestScaling::~RequestScaling() {
  balancer_.set_on_wake({});
}

Task<ServiceLoads> RequestScaling::read(std::set<std::string> services) {
  const proxy::ProxyStats stats = co_await balancer_.stats();
  ServiceLoads loads;
  for (const std::string& service : services) {
    loads[service].in_flight = balancer_.in_flight(routes_.routes_of(service));
  }
  for (const auto& [name, counts] : stats.routes_of) {
    const auto found = loads.find(name.service);
    if (found == loads.end()) continue;
    for (const uint64_t answers : counts.answers) found->second.answers += answers;
    found->second.answers += counts.tunnels;
  }
  co_return loads;
}

}  // namespace sluice
