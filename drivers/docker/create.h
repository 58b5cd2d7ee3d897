// TaskSpec -> the body of POST /containers/create.
//
// Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "core/result.h"
#include "drivers/docker/config.h"
#include "orchestrator/driver.h"

namespace sluice::drivers {

/// What the machine's owner allows to jobs.
struct DockerPolicy {
  bool allow_host_volumes = false;  // volumes and bind mounts from outside the task's folder
  bool allow_privileged = false;
  bool allow_host_devices = false;
  /// What cap_add may name beside what Docker gives every container; "all" for any.
  std::vector<std::string> allow_caps;
};

/// The body of POST /containers/create. kInvalid, kDenied: what the task asks for cannot be.
Result<Json> create_body(const orchestrator::TaskSpec& spec, const DockerConfig& config,
                         const DockerPolicy& policy);

}  // namespace sluice::drivers
