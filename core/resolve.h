// Names to addresses for the control loop: where Consul or another registry is told by name.
//
// Thread: the executor's; the system's resolver, which blocks, runs on the pool. The data plane
// does not use it.
#pragma once

#include <string>

#include "core/executor.h"
#include "core/network.h"
#include "core/result.h"
#include "core/task.h"

namespace sluice {

/// "consul.internal:8500", "localhost:8500", or what parse_address takes. IPv4 comes first where a
/// name has both. kNotFound where it has none, kUnavailable where nobody could say.
Task<Result<Address>> resolve(Executor& executor, std::string host_and_port);

}  // namespace sluice
