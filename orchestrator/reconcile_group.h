// One group of a service or batch job: what is there, sorted by what is to become of it, then what
// is to be placed. Called by reconcile() alone.
//
// The order of the steps is that of run(): first each allocation comes into one of the lists below,
// or stops (reconcile_group_sort.cc); then the lists are worked off, and what the group lacks is
// asked for, as far as the update may go at once (reconcile_group_place.cc).
//
// Pure; any thread. A value of one reconcile().
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/reconcile.h"

namespace sluice::orchestrator {

class GroupReconciler {
 public:
  GroupReconciler(const ReconcileInput& input, Reconciled& out, const TaskGroup& group,
                  const Deployment* deployment)
      : in_(input), out_(out), job_(*input.job), group_(group), deployment_(deployment) {}

  void run(std::vector<AllocPtr> all);
  /// What the group adds to a deployment, new or existing.
  [[nodiscard]] const DeploymentGroup& state() const { return state_; }
  /// Whether this group's changes call for a deployment that does not exist yet.
  [[nodiscard]] bool wants_deployment() const { return wants_deployment_; }
  /// Nothing left to do in the existing deployment.
  [[nodiscard]] bool complete() const { return complete_; }
  [[nodiscard]] bool state_changed() const { return state_changed_; }

 private:
  void open_deployment_state();

  // What there is.
  void stop_stale_canaries(std::vector<AllocPtr>& all);
  void classify(const std::vector<AllocPtr>& all);
  void classify_failed(const AllocPtr& alloc);
  void drop(const AllocPtr& alloc, std::vector<AllocPtr>& from);
  void stop_covered();
  void stop_surplus();
  void sort_updates();

  // What it lacks.
  void place_canaries();
  [[nodiscard]] int64_t update_limit() const;
  void place_missing(int64_t& limit);
  void place_destructive(int64_t limit);
  void place_migrating();

  std::string follow_up_at(int64_t at_ns);
  void stop(const AllocPtr& alloc, const char* reason,
            std::optional<ClientStatus> status = std::nullopt);
  PlaceRequest& place(std::string name, AllocPtr previous);
  std::string free_name();
  std::string name_after(const AllocPtr& alloc);
  [[nodiscard]] bool is_canary(const Allocation& alloc) const {
    return std::find(state_.placed_canaries.begin(), state_.placed_canaries.end(), alloc.id) !=
           state_.placed_canaries.end();
  }
  /// A canary that is judged: it stands beside the group's count.
  [[nodiscard]] bool on_trial(const AllocPtr& alloc) const {
    return canarying_ && is_canary(*alloc);
  }
  [[nodiscard]] bool paused() const {
    return deployment_ && deployment_->status == DeploymentStatus::kPaused;
  }
  [[nodiscard]] bool failed() const {
    return deployment_ && deployment_->status == DeploymentStatus::kFailed;
  }
  [[nodiscard]] const UpdateStrategy* strategy() const {
    return job_.type == kTypeService && group_.update && group_.update->max_parallel > 0
               ? &*group_.update
               : nullptr;
  }

  const ReconcileInput& in_;
  Reconciled& out_;
  const Job& job_;
  const TaskGroup& group_;
  const Deployment* deployment_;
  DeploymentGroup state_;
  bool state_exists_ = false;
  bool state_changed_ = false;
  bool wants_deployment_ = false;
  bool complete_ = true;
  bool canarying_ = false;

  std::vector<AllocPtr> keep_;      // run on, or keep their slot (waiting, or done)
  std::vector<AllocPtr> canaries_;  // of keep_
  std::vector<AllocPtr> migrate_;
  std::vector<AllocPtr> lost_;
  std::vector<AllocPtr> reschedule_;  // failed, to be replaced now
  std::vector<AllocPtr> ignore_, in_place_, destructive_;
  std::map<int64_t, std::string> followups_;  // that come anyway: their ids by their times
  bool followups_known_ = false;
  std::set<std::string> names_;             // in use
  std::map<std::string, int64_t> bearers_;  // of each name, canaries on trial aside
  int64_t next_name_ = 0;                   // no name below it is free
};

}  // namespace sluice::orchestrator
