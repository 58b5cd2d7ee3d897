// The tables of calls, one a file. Constant.
#pragma once

#include <span>

#include "orchestrator/api/router.h"

namespace sluice::orchestrator::api {

std::span<const Route> job_routes();
std::span<const Route> child_routes();   // dispatch, periodic force
std::span<const Route> record_routes();  // evaluations, allocations, deployments
std::span<const Route> pool_routes();    // node pools and namespaces
std::span<const Route> node_routes();
std::span<const Route> client_routes();  // what lives on a node: logs, stats, restart, signal
std::span<const Route> client_gc_routes();
std::span<const Route> exec_routes();      // alloc exec
std::span<const Route> acl_routes();       // policies and tokens
std::span<const Route> scaling_routes();   // counts, scaling policies
std::span<const Route> snapshot_routes();  // operator snapshot
std::span<const Route> file_routes();      // ls, cat, ...
std::span<const Route> event_routes();     // event stream, metrics
std::span<const Route> agent_routes();     // the agent, status, operator, search

}  // namespace sluice::orchestrator::api
