// Drainer: how a node takes a stopping instance out of every balancer before its signal.
//
// Owner: main.cc wires it (orchestrator/route_source.h, where the balancer is in this process).
// Thread: the control loop.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/task.h"

namespace sluice::orchestrator {

class Drainer {
 public:
  virtual ~Drainer() = default;
  /// Marks the service instances draining: no balancer picks them any more. Ready once every
  /// balancer has acknowledged and no request of theirs is under way there. No time limit here: the
  /// caller has one. The mark stays until forget().
  virtual Task<void> drain(std::vector<std::string> instances) = 0;
  /// The instances that some balancer may have whose ids begin with this: of an allocation that was
  /// registered in an agent's last life.
  virtual std::set<std::string> instances_of(std::string_view prefix) = 0;
  /// The instances are gone and do not come back; what was kept of them may go, as soon as no
  /// catalog lists them any more.
  virtual void forget(const std::vector<std::string>& instances) = 0;
  /// The instances run again under the same ids (a restart): they get traffic as their checks say.
  virtual void resume(const std::vector<std::string>& instances) = 0;
};

}  // namespace sluice::orchestrator
