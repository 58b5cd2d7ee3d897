// NodeLink: the one interface at which a node meets the servers (design.md: register, heartbeat,
// fetch my allocs from index N on, report back).
//
// Owner: whoever wires the node. Two implementations: a direct call in one process
// (Server::node_link()) and HTTP to the leader (later). Thread: the control loop. Every call may be
// said again.
//
// **Absence is not an order.** The node side must keep these rules; the server gives what they
// need:
//  - A task is stopped only because its allocation is in the list with a desired status other than
//  run (a
//    tombstone), or because it is absent from a *complete* list whose cluster_id is the node's own
//    and whose (term, index) is not below the last one that the node acted on.
//  - An error, a timeout, an empty cluster_id or another cluster's id orders nothing: keep what
//  runs.
//  - A node that has never seen a cluster id adopts the first; a changed one is refused until the
//  operator
//    says so (`operator recover`).
//  - A stopped allocation stays in the list until the node has reported it complete, failed or
//  lost.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/task.h"
#include "orchestrator/records.h"

namespace sluice::orchestrator {

/// What a node knew of its cluster when it started: what it was told last, and how many of its
/// allocations are not over. All zero: it has never met one.
struct NodeMemory {
  std::string cluster_id;
  uint64_t term = 0;
  uint64_t index = 0;
  size_t allocs = 0;
};

/// What a node's own disk has for a server whose store does not know the node's cluster (any more).
struct Recovery {
  std::string node_id;
  NodeMemory memory;
  std::vector<AllocPtr> allocs;  // as last ordered, with what became of them
};

struct NodeRegistration {
  std::string cluster_id;
  int64_t heartbeat_ttl_ms = 0;  // say heartbeat() more often than this
  uint64_t index = 0;
};

struct Heartbeat {
  std::string cluster_id;
  int64_t heartbeat_ttl_ms = 0;
  /// The server does not know this node (purged, or it was down): register again.
  bool register_again = false;
};

/// What the node should run, all of it.
struct DesiredAllocs {
  std::string cluster_id;
  uint64_t term = 0;   // of the leadership that says so; grows at each change of leader or restart
  uint64_t index = 0;  // give it to the next fetch
  /// False where the server cannot vouch for absence (it is still loading, or was just restored):
  /// act on what is listed, stop nothing for being absent.
  bool complete = false;
  std::vector<AllocPtr> allocs;
};

/// A port that was given to an allocation and that something else holds.
struct BusyPort {
  std::string address;
  uint16_t port = 0;
  std::string detail;
};

/// The news of one allocation. What is not set stays as it was.
struct AllocUpdate {
  std::string alloc_id;
  ClientStatus client_status = ClientStatus::kPending;
  std::string client_description;
  TaskStates task_states;       // all of the allocation's tasks
  std::optional<bool> healthy;  // deployment health, once it is known; sticky
  std::string deployment_id;    // which that is the health in
  int64_t healthy_at_ns = 0;
  std::vector<BusyPort> busy_ports;  // quarantined on the node; the allocation is placed anew
};

class NodeLink {
 public:
  virtual ~NodeLink() = default;

  /// At start, after a change of the node's own facts, and when a heartbeat says so. kConflict: the
  /// node remembers another cluster, or more than this store has ever said. It gets no work and
  /// changes nothing until `operator recover`; the text says so.
  virtual Task<Result<NodeRegistration>> register_node(Node node, NodeMemory memory) = 0;
  virtual Task<Result<Heartbeat>> heartbeat(std::string node_id) = 0;
  /// Answers at once where something changed after `after_index` or that is 0, else when something
  /// does or `wait_ms` (at most kMaxFetchWaitMs) have passed.
  virtual Task<Result<DesiredAllocs>> fetch_allocs(std::string node_id, uint64_t after_index,
                                                   int64_t wait_ms) = 0;
  /// Ready once the news is durable. kNotFound: an allocation that the server does not have (the
  /// others of the batch are taken).
  virtual Task<Result<void>> update_allocs(std::string node_id,
                                           std::vector<AllocUpdate> updates) = 0;

  static constexpr int64_t kMaxFetchWaitMs = 300'000;
};

}  // namespace sluice::orchestrator
