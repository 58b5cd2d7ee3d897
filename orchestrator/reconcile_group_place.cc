// What a group lacks: canaries first, then what takes the place of the lost and the failed, then
// the next of a rolling update, then what moves.
#include "orchestrator/reconcile_group.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "orchestrator/reconcile_parts.h"

namespace sluice::orchestrator {

void GroupReconciler::place_canaries() {
  if (!strategy() || destructive_.empty() || group_.update->canary <= 0 || state_.promoted) return;
  if (state_.desired_canaries != group_.update->canary) {
    state_.desired_canaries = group_.update->canary;
    state_changed_ = true;
  }
  canarying_ = true;
  if (paused() || failed()) return;
  // One that is lost, moves or is placed anew below is a canary still.
  std::set<std::string> covered;
  int64_t there = 0;
  for (const auto* list : {&canaries_, &lost_, &reschedule_, &migrate_}) {
    for (const AllocPtr& alloc : *list) {
      if (!is_canary(*alloc)) continue;
      covered.insert(alloc->name);
      ++there;
    }
  }
  for (; there < state_.desired_canaries; ++there) {
    // A canary bears the name of the one it shall replace, the first that no canary stands for yet.
    const auto next =
        std::find_if(destructive_.begin(), destructive_.end(),
                     [&](const AllocPtr& alloc) { return !covered.contains(alloc->name); });
    std::string name = next == destructive_.end() ? free_name() : (*next)->name;
    covered.insert(name);
    place(std::move(name), nullptr).canary = true;
    ++out_.desired_updates[group_.name].canary;
    complete_ = false;
  }
}

int64_t GroupReconciler::update_limit() const {
  if (!strategy()) return static_cast<int64_t>(destructive_.size() + keep_.size());
  if (paused() || failed() || canarying_) return 0;
  int64_t limit = group_.update->max_parallel;
  if (!deployment_) return limit;
  for (const AllocPtr& alloc : keep_) {
    if (alloc->deployment_id != deployment_->id) continue;
    if (alloc->is_unhealthy()) return 0;
    if (!alloc->is_healthy()) --limit;
  }
  return std::max<int64_t>(limit, 0);
}

void GroupReconciler::place_missing(int64_t& limit) {
  DesiredUpdates& updates = out_.desired_updates[group_.name];
  const bool ready = !paused() && !failed() && !canarying_;
  const auto replace = [&](const AllocPtr& alloc, bool rescheduled) {
    PlaceRequest& request = place(name_after(alloc), alloc);
    request.is_reschedule = rescheduled;
    if (rescheduled) {  // as long as nothing stands in for it, it is due
      request.stop_previous = true;
      request.stop_reason = kStopRescheduled;
    }
    // While canaries are judged, or after they failed, the others keep their version.
    if (!ready && !is_canary(*alloc) && !same_version(*alloc, job_)) {
      request.job = alloc->job;
      request.group = &alloc->task_group();
      request.in_deployment = false;
    }
    request.canary = on_trial(alloc);
    ++updates.place;
    complete_ = false;
  };
  for (const AllocPtr& alloc : lost_) replace(alloc, false);
  for (const AllocPtr& alloc : reschedule_) replace(alloc, true);
  if (!ready) return;

  int64_t have =
      static_cast<int64_t>(keep_.size() + migrate_.size() + lost_.size() + reschedule_.size());
  int64_t missing = 0;
  for (; have < group_.count; ++have, ++missing) {
    place(free_name(), nullptr);
    ++updates.place;
    complete_ = false;
  }
  limit -= std::min(limit, missing);
}

void GroupReconciler::place_destructive(int64_t limit) {
  DesiredUpdates& updates = out_.desired_updates[group_.name];
  int64_t done = 0;
  for (const AllocPtr& alloc : destructive_) {
    complete_ = false;
    if (done == limit) {
      ++updates.ignore;
      continue;
    }
    ++done;
    PlaceRequest& request = place(name_after(alloc), alloc);
    request.stop_previous = true;
    request.stop_reason = kStopUpdating;
    ++updates.destructive_update;
  }
}

void GroupReconciler::place_migrating() {
  DesiredUpdates& updates = out_.desired_updates[group_.name];
  for (const AllocPtr& alloc : migrate_) {
    const NodePtr node = in_.snapshot.node(alloc->node_id);
    // On a node that drains, an instance runs until another stands in for it, or until the
    // deadline.
    const bool patient =
        node && node->drain && node->drain->deadline_ns >= 0 &&
        (node->drain->force_deadline.ns == 0 || node->drain->force_deadline.ns > in_.now_ns);
    PlaceRequest& request = place(name_after(alloc), alloc);
    request.canary = on_trial(alloc);
    if (!same_version(*alloc, job_) && (canarying_ || paused() || failed())) {
      request.job = alloc->job;
      request.group = &alloc->task_group();
      request.in_deployment = false;
    }
    if (patient) {
      request.stop_previous = true;
      request.stop_reason = kStopMigrating;
    } else {
      stop(alloc, kStopMigrating);
    }
    ++updates.migrate;
    complete_ = false;
  }
}

}  // namespace sluice::orchestrator
