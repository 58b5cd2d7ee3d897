#include "orchestrator/reconcile_group.h"

#include <fmt/format.h>

#include <utility>

#include "orchestrator/reconcile_parts.h"

namespace sluice::orchestrator {

void GroupReconciler::run(std::vector<AllocPtr> all) {
  DesiredUpdates& updates = out_.desired_updates[group_.name];
  open_deployment_state();
  bool had_this_version = false;
  for (const AllocPtr& alloc : all) had_this_version |= same_version(*alloc, job_);
  canarying_ =
      state_exists_ && deployment_->active() && state_.desired_canaries > 0 && !state_.promoted;
  stop_stale_canaries(all);
  classify(all);
  for (const AllocPtr& alloc : keep_) {
    if (is_canary(*alloc)) canaries_.push_back(alloc);
  }
  stop_surplus();
  sort_updates();
  place_canaries();
  int64_t limit = update_limit();
  place_missing(limit);
  place_destructive(limit);
  place_migrating();
  for (const AllocPtr& alloc : in_place_) {
    out_.in_place.push_back({alloc});
    ++updates.in_place_update;
  }
  updates.ignore += static_cast<int64_t>(ignore_.size());
  if (!out_.delayed.empty() || canarying_) complete_ = false;
  const bool updating = !destructive_.empty() || !in_place_.empty();
  wants_deployment_ =
      strategy() && state_.desired_total > 0 && !deployment_ && (!had_this_version || updating);
}

void GroupReconciler::open_deployment_state() {
  if (deployment_) {
    const auto found = deployment_->groups.find(group_.name);
    if (found != deployment_->groups.end()) {
      state_ = found->second;
      state_exists_ = true;
    }
  }
  if (!state_exists_ && strategy()) {
    state_.auto_revert = group_.update->auto_revert.value_or(false);
    state_.auto_promote = group_.update->auto_promote.value_or(false);
    state_.progress_deadline_ns = group_.update->progress_deadline_ns;
  }
  if (state_.desired_total != group_.count) {
    state_changed_ = state_exists_;
    state_.desired_total = group_.count;
  }
}

void GroupReconciler::stop(const AllocPtr& alloc, const char* reason,
                           std::optional<ClientStatus> status) {
  out_.stop.push_back({alloc, reason, status});
}

PlaceRequest& GroupReconciler::place(std::string name, AllocPtr previous) {
  names_.insert(name);
  PlaceRequest& request = out_.place.emplace_back();
  request.job = in_.job;
  request.group = &group_;
  request.name = std::move(name);
  request.previous = std::move(previous);
  request.in_deployment = true;
  return request;
}

std::string GroupReconciler::free_name() {
  // Names are only ever taken here, so those before the last one found stay taken.
  for (;; ++next_name_) {
    std::string name = fmt::format("{}.{}[{}]", job_.id, group_.name, next_name_);
    if (!names_.contains(name)) return name;
  }
}

/// The name of the one whose place is taken, unless another bears it too: a promoted canary and
/// what it stood for, where a newer version came between.
std::string GroupReconciler::name_after(const AllocPtr& alloc) {
  const auto bearers = bearers_.find(alloc->name);
  if (on_trial(alloc) || bearers == bearers_.end() || bearers->second < 2) return alloc->name;
  --bearers->second;
  return free_name();
}

}  // namespace sluice::orchestrator
