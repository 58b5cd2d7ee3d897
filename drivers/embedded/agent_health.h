// /v1/agent/health/service/name/NAME and .../id/ID: whether a service of this agent is healthy, in
// the status of the answer, as load balancers and scripts ask Consul.
//
// Pure; the control loop's, for it looks at the table.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/json.h"
#include "drivers/embedded/read_json.h"
#include "drivers/embedded/table.h"

namespace sluice::drivers {

struct AgentHealth {
  int status = 200;    // 429 warning, 503 critical, 404 not here
  std::string reason;  // "passing", ..., or what is missing: X-Consul-Reason, and all of a text
  Json body;
};

/// By the path, still escaped; nullopt: another call.
std::optional<AgentHealth> agent_health(std::string_view path, const CatalogTable& table,
                                        const ReadNode& node);

}  // namespace sluice::drivers
