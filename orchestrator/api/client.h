// What the calls on a node's own things share: finding the allocation, which must be of the node in
// this process; those of other nodes are refused by name.
//
// Thread: the control loop. The pointers hold until the caller waits for something.
#pragma once

#include <string>

#include "core/result.h"
#include "orchestrator/api/call.h"
#include "orchestrator/node/node_agent.h"

namespace sluice::orchestrator::api {

struct LocalAllocation {
  AllocPtr alloc;
  AllocRunner* runner = nullptr;  // nullptr: ended and forgotten, or not fetched yet
};
Result<LocalAllocation> local_alloc(Call& call, const std::string& id);

/// The node in this process, if it is the one that `node_id` names.
Result<NodeAgent*> local_node(Call& call);

/// Its runner, if it has not ended.
Result<AllocRunner*> running_alloc(Call& call, const std::string& id);

/// <data folder>/alloc/<id>, of an allocation that local_alloc found.
std::string alloc_folder(Call& call, const std::string& id);

}  // namespace sluice::orchestrator::api
