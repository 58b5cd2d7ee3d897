// Plan: what one evaluation wants to change, and its check against the newest state.
//
// schedule() makes plans on a snapshot; Server commits them. Between the two the state may have
// moved: check_plan() looks at each node that the plan places on again, by the same function
// (fit.h) that chose it, and takes out what no longer fits. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/state.h"

namespace sluice::orchestrator {

/// What a plan would do to a group, for `job plan`.
struct DesiredUpdates {
  int64_t ignore = 0;
  int64_t place = 0;
  int64_t migrate = 0;
  int64_t stop = 0;
  int64_t in_place_update = 0;
  int64_t destructive_update = 0;
  int64_t canary = 0;
  int64_t preemptions = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Ignore", s.ignore);
    v("Place", s.place);
    v("Migrate", s.migrate);
    v("Stop", s.stop);
    v("InPlaceUpdate", s.in_place_update);
    v("DestructiveUpdate", s.destructive_update);
    v("Canary", s.canary);
    v("Preemptions", s.preemptions);
  }
  bool operator==(const DesiredUpdates&) const = default;
};

struct PlannedPlacement {
  std::shared_ptr<Allocation> alloc;
  /// The allocation that goes only if this one comes (a destructive update, a migration), changed;
  /// or nullptr.
  std::shared_ptr<Allocation> replaced;
  /// Allocations of lower priority that give way to it, changed.
  std::vector<std::shared_ptr<Allocation>> preempted;
};

struct Plan {
  JobPtr job;  // nullptr: purged
  uint64_t snapshot_index = 0;
  std::vector<PlannedPlacement> placements;
  std::vector<std::shared_ptr<Allocation>> stops;    // changed: desired stop, or lost
  std::vector<std::shared_ptr<Allocation>> updates;  // changed: in-place updates and notes
  std::shared_ptr<Deployment> deployment;            // new, or nullptr
  std::vector<std::shared_ptr<Deployment>> deployment_updates;
  std::vector<std::shared_ptr<Evaluation>> followups;

  std::map<std::string, AllocMetric> failed_groups;
  CountMap queued;
  std::map<std::string, DesiredUpdates> desired_updates;

  [[nodiscard]] bool changes_nothing() const {
    return placements.empty() && stops.empty() && updates.empty() && !deployment &&
           deployment_updates.empty() && followups.empty();
  }
};

/// Whether the job is another one by now (a newer version, stopped, purged): plan again.
bool job_moved_on(const Plan& plan, const Evaluation& eval, const Snapshot& newest);
/// Takes out of the plan what the newest state no longer allows, and brings what it changes up to
/// date with what nodes reported meanwhile; returns the nodes that refused.
StringList check_plan(Plan& plan, const Snapshot& newest, int64_t now_ns);

/// The plan's changes as a commit (the evaluation itself is the server's to add).
Commit commit_of(const Plan& plan);

/// What `job plan` shows and `job run -check-plan` compares: the job, the stops, and the placements
/// with nodes and ports. Ids that are drawn anew each time are not part of it.
std::string plan_hash(const Plan& plan);

}  // namespace sluice::orchestrator
