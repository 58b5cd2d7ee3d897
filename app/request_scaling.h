// RequestScaling: the orchestrator's autoscaler with the balancer of this process: what it
// measures, and who asks for what sleeps.
//
// Owner: ControlPlane. Thread: the control loop.
#pragma once

#include "app/balancer.h"
#include "core/env.h"
#include "core/log.h"
#include "core/task.h"
#include "orchestrator/autoscale.h"
#include "orchestrator/load_meter.h"
#include "orchestrator/route_source.h"

namespace sluice {

class RequestScaling final : private orchestrator::LoadMeter {
 public:
  /// All of them outlive it.
  RequestScaling(Env env, Log& log, orchestrator::Server& server, Balancer& balancer,
                 orchestrator::RouteSource& routes);
  ~RequestScaling() override;
  RequestScaling(const RequestScaling&) = delete;

  /// Works until cancelled.
  Task<void> run() { return autoscaler_.run(); }

 private:
  Task<orchestrator::ServiceLoads> read(std::set<std::string> services) override;

  Balancer& balancer_;
  orchestrator::RouteSource& routes_;
  orchestrator::Autoscaler autoscaler_;
};

}  // namespace sluice
