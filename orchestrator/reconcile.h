// Reconcile: what a job wants against what is there: which allocations stop, stay, take the new
// version over, are replaced, and which are missing. No node is chosen here (rank.h does that).
//
// Pure; any thread. The rules are those of a rolling update: at most max_parallel changes under
// way, canaries first, nothing further once a deployment failed or is paused.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/random.h"
#include "orchestrator/plan.h"
#include "orchestrator/state.h"

namespace sluice::orchestrator {

struct PlaceRequest {
  JobPtr job;  // the version to place: an older one for what is replaced while canaries are judged
  const TaskGroup* group = nullptr;  // of that version
  std::string name;
  AllocPtr previous;           // what it comes after, or nullptr
  bool stop_previous = false;  // previous stops if, and only if, this is placed
  std::string stop_reason;
  bool is_reschedule = false;  // previous failed: another node is better
  bool canary = false;
  bool in_deployment = false;  // belongs to the current deployment
  NodePtr node;                // system jobs: this node and no other
};

struct StopRequest {
  AllocPtr alloc;
  std::string reason;
  std::optional<ClientStatus> client_status;  // lost
};

struct InPlaceUpdate {
  AllocPtr alloc;
};

/// A failed allocation that is to be replaced later.
struct DelayedReschedule {
  AllocPtr alloc;
  std::string followup_eval;
};

struct Reconciled {
  std::vector<PlaceRequest> place;
  std::vector<StopRequest> stop;
  std::vector<InPlaceUpdate> in_place;
  std::vector<DelayedReschedule> delayed;
  std::map<std::string, DesiredUpdates> desired_updates;
  std::shared_ptr<Deployment> deployment;                       // new
  std::vector<std::shared_ptr<Deployment>> deployment_updates;  // of existing ones
  std::string deployment_id;  // what placements and in-place updates belong to; "": none
  std::vector<std::shared_ptr<Evaluation>> followups;
};

struct ReconcileInput {
  const Snapshot& snapshot;
  JobPtr job;  // the current version; nullptr: purged
  std::string space;
  std::string job_id;
  const Evaluation& eval;
  int64_t now_ns = 0;
  Random& ids;
  /// Whether the allocation's node could still run the group of the new version.
  std::function<bool(const Allocation&, const TaskGroup&)> still_feasible;
  /// The eligible nodes in the job's scope (Placer::nodes).
  const std::vector<NodePtr>& nodes;
};

Reconciled reconcile(const ReconcileInput& input);

inline constexpr const char* kStopNotNeeded = "alloc not needed due to job update";
inline constexpr const char* kStopMigrating = "alloc is being migrated";
inline constexpr const char* kStopUpdating = "alloc is being updated due to job update";
inline constexpr const char* kStopLost = "alloc is lost since its node is down";
inline constexpr const char* kStopRescheduled = "alloc was rescheduled because it failed";
inline constexpr const char* kStopTainted = "alloc not needed as node is tainted";

}  // namespace sluice::orchestrator
