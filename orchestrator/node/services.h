// The registrations of an allocation's services: ids, addresses, interpolated tags, checks.
// Pure. Owner: the AllocRunner calls it at each change and hands the result to the catalog.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "orchestrator/catalog.h"
#include "orchestrator/driver.h"
#include "orchestrator/node/task_env.h"
#include "orchestrator/records.h"

namespace sluice::orchestrator {

/// All registrations of this node carry it: what has the prefix and no alloc is removed, what has
/// not is never touched. Cluster and node keep two agents on one machine apart.
std::string registration_prefix(std::string_view cluster_id, std::string_view node_id);

/// What the node itself does with a check: a script is its to run, a failing one may restart a
/// task.
struct NodeCheck {
  std::string service_id;
  std::string check_id;
  std::string task;  // whose it is; "": the group's
  std::string on_update;
  std::optional<CheckRestart> restart;  // with a limit over 0
  ServiceCheck check;

  bool operator==(const NodeCheck&) const = default;
};

/// Of one task, or of the group where `task` is null. `network`: where the task is reached
/// without the host's ports ("" without a network of its own). A service whose port label the
/// allocation does not have is left out with a line in `problems`.
std::vector<ServiceRegistration> make_registrations(
    std::string_view prefix, const Allocation& alloc, const TaskConfig* task,
    const std::vector<Service>& services, const TaskEnv& environment, const TaskNetwork& network,
    std::vector<NodeCheck>& checks, std::vector<std::string>& problems);

}  // namespace sluice::orchestrator
