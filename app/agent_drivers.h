// The drivers of an agent's node, by its configuration.
//
// Thread: the control loop.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "app/control_plane.h"
#include "drivers/exec/supervisor_client.h"
#include "orchestrator/node/context.h"

namespace sluice {

/// Why a node has no exec driver.
inline constexpr std::string_view kNoExec =
    "not offered; the agent may not isolate tasks (root, CAP_SYS_ADMIN)";

/// `supervisor` is made where a driver needs one, and outlives them.
orchestrator::DriverMap make_drivers(const ControlPlaneBase& on, bool exec_enabled,
                                     const std::string& cluster_id, const std::string& node_id,
                                     std::unique_ptr<drivers::exec::SupervisorClient>& supervisor);

}  // namespace sluice
