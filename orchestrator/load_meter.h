// LoadMeter: what the balancers measure of services, for whoever decides how many instances there
// should be (orchestrator/autoscale.h).
//
// Owner: main.cc wires it to the balancer of this process. Thread: the control loop.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "core/task.h"

namespace sluice::orchestrator {

struct ServiceLoad {
  int64_t in_flight = 0;  // requests and connections under way now
  uint64_t answers = 0;   // requests answered since the balancer began; grows
  // Of these by canaries that are measured apart (orchestrator/canary_policy.h).
  uint64_t canary_answers = 0;
  uint64_t canary_errors = 0;  // 5xx
};
using ServiceLoads = std::map<std::string, ServiceLoad>;

class LoadMeter {
 public:
  virtual ~LoadMeter() = default;
  /// Of each of these services; one that is not known has no load.
  virtual Task<ServiceLoads> read(std::set<std::string> services) = 0;
};

}  // namespace sluice::orchestrator
