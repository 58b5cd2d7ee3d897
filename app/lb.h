// `sluice lb`, and `sluice -proxy.addr=...`: the balancer alone, with its routes from a registry: a
// drop-in for fabio.
//
// Thread: the main one, which is the control loop until the balancer has ended.
#pragma once

#include <string>
#include <vector>

namespace sluice {

/// Runs until a signal has ended it; the exit code. SIGTERM and SIGINT: leave the registry and fail
/// /health, go on serving for proxy.deregistergraceperiod, drain for at most proxy.shutdownwait; a
/// second one ends at once.
int run_lb(const std::vector<std::string>& arguments);

}  // namespace sluice
