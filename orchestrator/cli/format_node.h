// What `node status` shows.
//
// Pure: the API's JSON in, text out, without a newline at the end.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "orchestrator/cli/text.h"

namespace sluice::orchestrator::cli {

struct NodeStatusOptions {
  bool verbose = false;
  bool brief = false;
  bool allocs = false;  // the list with the count of running allocations
  bool os = false;      // the list with each node's system
};
/// `running`: of each node of the list, in its order; looked at with options.allocs.
std::string format_node_list(const Json& nodes, const std::vector<int64_t>& running,
                             const NodeStatusOptions& options);

struct NodeStatusData {
  Json node;
  Json allocations;  // whole ones
  Json stats;        // of the host, or null
};
std::string format_node_status(const NodeStatusData& data, const NodeStatusOptions& options,
                               const Clock& clock, const Style& style);

}  // namespace sluice::orchestrator::cli
