// The facts of this machine: processors, memory, disk, kernel, addresses.
// Owner: the NodeAgent at start. Reads /proc, uname(2), getifaddrs(3); blocks for less than a
// millisecond.
#pragma once

#include <string>

#include "core/result.h"
#include "orchestrator/records.h"

namespace sluice::orchestrator {

/// Fills the node's resources and attributes. `interface_ip`: the address to use; "" for the first
/// global address of the machine, else 127.0.0.1.
Result<void> fingerprint_host(const std::string& data_folder, const std::string& interface_ip,
                              Node& node);

}  // namespace sluice::orchestrator
