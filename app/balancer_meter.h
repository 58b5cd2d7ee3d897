// BalancerMeter: what the balancer of this process measures of services, for the orchestrator.
//
// Owner: ControlPlane. Thread: the control loop.
#pragma once

#include "app/balancer.h"
#include "orchestrator/load_meter.h"
#include "orchestrator/route_source.h"

namespace sluice {

class BalancerMeter final : public orchestrator::LoadMeter {
 public:
  /// Both outlive it.
  BalancerMeter(Balancer& balancer, const orchestrator::RouteSource& routes)
      : balancer_(balancer), routes_(routes) {}

  Task<orchestrator::ServiceLoads> read(std::set<std::string> services) override;

 private:
  Balancer& balancer_;
  const orchestrator::RouteSource& routes_;
};

}  // namespace sluice
