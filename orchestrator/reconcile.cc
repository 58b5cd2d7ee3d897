// long: the rules of one update in the order in which they apply; cut up, they would hide each
// other.
#include "orchestrator/reconcile.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "orchestrator/feasible.h"
#include "orchestrator/reconcile_system.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kRescheduleWindowNs = kSecondNs;  // what is due so soon is due now

bool same_version(const Allocation& alloc, const Job& job) {
  return alloc.job->version == job.version && alloc.job->create_index == job.create_index;
}

int64_t failed_at(const Allocation& alloc) {
  int64_t latest = 0;
  for (const auto& [name, state] : alloc.task_states) {
    latest = std::max(latest, state.finished_at.ns);
  }
  return latest != 0 ? latest : alloc.modify_time_ns;
}

bool by_name_index(const AllocPtr& a, const AllocPtr& b) {
  if (a->name_index() != b->name_index()) return a->name_index() < b->name_index();
  return a->id < b->id;
}

void erase(std::vector<AllocPtr>& from, const Allocation* alloc) {
  std::erase_if(from, [&](const AllocPtr& item) { return item.get() == alloc; });
}

/// One group of a service or batch job.
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
  void stop_stale_canaries(std::vector<AllocPtr>& all);
  void classify(const std::vector<AllocPtr>& all);
  void classify_failed(const AllocPtr& alloc);
  void stop_surplus();
  void sort_updates();
  void place_canaries();
  [[nodiscard]] int64_t update_limit() const;
  void place_missing(int64_t& limit);
  void place_destructive(int64_t limit);
  void place_migrating();
  void stop(const AllocPtr& alloc, const char* reason,
            std::optional<ClientStatus> status = std::nullopt);
  PlaceRequest& place(std::string name, AllocPtr previous);
  std::string free_name();
  [[nodiscard]] bool is_canary(const Allocation& alloc) const {
    return std::find(state_.placed_canaries.begin(), state_.placed_canaries.end(), alloc.id) !=
           state_.placed_canaries.end();
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
  std::set<std::string> names_;  // in use
  int64_t next_name_ = 0;        // no name below it is free
};

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

/// Canaries of a deployment that failed or was overtaken, never promoted: they go.
void GroupReconciler::stop_stale_canaries(std::vector<AllocPtr>& all) {
  std::erase_if(all, [&](const AllocPtr& alloc) {
    if (!alloc->is_canary() || alloc->terminal()) return false;
    const bool current =
        deployment_ && alloc->deployment_id == deployment_->id && deployment_->active();
    if (current) return false;
    stop(alloc, kStopNotNeeded);
    ++out_.desired_updates[group_.name].stop;
    return true;
  });
}

void GroupReconciler::classify(const std::vector<AllocPtr>& all) {
  const bool batch = job_.is_batch();
  for (const AllocPtr& alloc : all) {
    const NodePtr node = in_.snapshot.node(alloc->node_id);
    const bool node_lost = !node || node->status == NodeStatus::kDown;
    if (alloc->server_terminal()) {
      // Nobody will report its end any more.
      if (node_lost && !alloc->client_terminal()) stop(alloc, kStopLost, ClientStatus::kLost);
      continue;
    }
    if (alloc->client_terminal()) {
      // A batch job that was registered anew runs anew.
      if (batch && !same_version(*alloc, job_)) continue;
      if (alloc->client_status == ClientStatus::kFailed) {
        classify_failed(alloc);
      } else if (batch && alloc->client_status == ClientStatus::kComplete) {
        keep_.push_back(alloc);  // done: keeps its slot
      }
      continue;  // a service that ended is missing
    }
    if (node_lost) {
      lost_.push_back(alloc);
    } else if (alloc->migrate) {
      migrate_.push_back(alloc);
    } else {
      keep_.push_back(alloc);
    }
  }
}

void GroupReconciler::classify_failed(const AllocPtr& alloc) {
  if (!alloc->next_alloc.empty()) return;  // replaced already
  if (alloc->force_reschedule || alloc->migrate) {
    reschedule_.push_back(alloc);
    return;
  }
  // What failed in a deployment that failed is not tried again there.
  if (failed() && alloc->deployment_id == deployment_->id) {
    keep_.push_back(alloc);
    return;
  }
  int64_t delay_ns = 0;
  const auto at = reschedule_at(*alloc, delay_ns);
  const bool corrected =
      !same_version(*alloc, job_) && needs_new_alloc(*alloc->job, job_, group_.name);
  if (!at || (corrected && *at > in_.now_ns + kRescheduleWindowNs)) {
    keep_.push_back(alloc);  // for good, or until the new version takes its place, which is now
  } else if (*at <= in_.now_ns + kRescheduleWindowNs) {
    reschedule_.push_back(alloc);
  } else {
    keep_.push_back(alloc);
    if (!alloc->followup_eval_id.empty()) {
      const EvalPtr follow = in_.snapshot.eval(alloc->followup_eval_id);
      if (follow && !follow->is_terminal()) return;  // on its way
    }
    auto follow = std::make_shared<Evaluation>();
    follow->id = make_uuid(in_.ids);
    follow->namespace_ = in_.space;
    follow->priority = job_.priority;
    follow->type = job_.type;
    follow->triggered_by = kTriggerRetryFailedAlloc;
    follow->job_id = job_.id;
    follow->job_modify_index = job_.modify_index;
    follow->status_description = "created for delayed rescheduling";
    follow->wait_until.ns = *at;
    follow->previous_eval = in_.eval.id;
    out_.delayed.push_back({alloc, follow->id});
    out_.followups.push_back(std::move(follow));
  }
}

void GroupReconciler::stop_surplus() {
  DesiredUpdates& updates = out_.desired_updates[group_.name];
  for (const AllocPtr& alloc : lost_) stop(alloc, kStopLost, ClientStatus::kLost);

  const auto drop = [&](const AllocPtr& alloc, std::vector<AllocPtr>& from) {
    const AllocPtr held = alloc;
    if (!held->terminal()) stop(held, kStopNotNeeded);
    ++updates.stop;
    erase(from, held.get());
  };
  // Promoted: what the canaries stand for goes.
  if (!canarying_ && !canaries_.empty()) {
    std::set<std::string> covered;
    for (const AllocPtr& canary : canaries_) covered.insert(canary->name);
    const std::vector<AllocPtr> before = keep_;
    for (const AllocPtr& alloc : before) {
      if (covered.contains(alloc->name) && !is_canary(*alloc)) drop(alloc, keep_);
    }
  }
  std::vector<AllocPtr> counted = keep_;
  if (canarying_) std::erase_if(counted, [&](const AllocPtr& a) { return is_canary(*a); });
  int64_t surplus =
      static_cast<int64_t>(counted.size() + migrate_.size() + reschedule_.size() + lost_.size()) -
      group_.count;
  // First what is not there any more, then what has to move, then the highest names; of two with
  // one name the older version.
  const auto take_last = [&](std::vector<AllocPtr>& from, auto&& forget) {
    while (surplus > 0 && !from.empty()) {
      std::sort(from.begin(), from.end(), by_name_index);
      forget(from.back());
      --surplus;
    }
  };
  take_last(lost_, [&](const AllocPtr& alloc) { erase(lost_, AllocPtr(alloc).get()); });
  take_last(reschedule_, [&](const AllocPtr& alloc) {
    stop(alloc, kStopNotNeeded);
    erase(reschedule_, AllocPtr(alloc).get());
  });
  take_last(migrate_, [&](const AllocPtr& alloc) { drop(alloc, migrate_); });
  if (surplus <= 0) return;
  std::sort(counted.begin(), counted.end(), [&](const AllocPtr& a, const AllocPtr& b) {
    if (a->name_index() != b->name_index()) return a->name_index() < b->name_index();
    if (a->job->version != b->job->version) return a->job->version > b->job->version;
    return a->id < b->id;
  });
  std::set<std::string> seen;
  std::vector<AllocPtr> doubles, rest;
  for (const AllocPtr& alloc : counted) {
    (seen.insert(alloc->name).second ? rest : doubles).push_back(alloc);
  }
  for (auto* from : {&doubles, &rest}) {
    for (auto at = from->rbegin(); at != from->rend() && surplus > 0; ++at, --surplus) {
      drop(*at, keep_);
    }
  }
}

void GroupReconciler::sort_updates() {
  for (const AllocPtr& alloc : keep_) {
    names_.insert(alloc->name);
    if (canarying_ && is_canary(*alloc)) {
      ignore_.push_back(alloc);
    } else if (same_version(*alloc, job_)) {
      ignore_.push_back(alloc);
    } else if (needs_new_alloc(*alloc->job, job_, group_.name)) {
      destructive_.push_back(alloc);  // also one that failed: the job was corrected
    } else if (alloc->terminal()) {
      ignore_.push_back(alloc);
    } else if (!in_.still_feasible(*alloc, group_)) {
      destructive_.push_back(alloc);
    } else {
      in_place_.push_back(alloc);
    }
  }
  for (const auto* list : {&migrate_, &lost_, &reschedule_}) {
    for (const AllocPtr& alloc : *list) names_.insert(alloc->name);
  }
  std::sort(destructive_.begin(), destructive_.end(), by_name_index);
}

void GroupReconciler::place_canaries() {
  if (!strategy() || destructive_.empty() || group_.update->canary <= 0 || state_.promoted) return;
  if (state_.desired_canaries != group_.update->canary) {
    state_.desired_canaries = group_.update->canary;
    state_changed_ = true;
  }
  canarying_ = true;
  if (paused() || failed()) return;
  const int64_t missing = state_.desired_canaries - static_cast<int64_t>(canaries_.size());
  for (int64_t i = 0; i < missing; ++i) {
    // A canary bears the name of the one it shall replace, the first that no canary stands for yet.
    std::string name;
    for (const AllocPtr& alloc : destructive_) {
      const bool covered = std::any_of(canaries_.begin(), canaries_.end(),
                                       [&](const AllocPtr& c) { return c->name == alloc->name; }) ||
                           std::any_of(out_.place.begin(), out_.place.end(), [&](const auto& p) {
                             return p.canary && p.group == &group_ && p.name == alloc->name;
                           });
      if (!covered) {
        name = alloc->name;
        break;
      }
    }
    if (name.empty()) name = free_name();
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
    PlaceRequest& request = place(alloc->name, alloc);
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
    request.canary = canarying_ && is_canary(*alloc);
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
    PlaceRequest& request = place(alloc->name, alloc);
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
    PlaceRequest& request = place(alloc->name, alloc);
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

void GroupReconciler::run(std::vector<AllocPtr> all) {
  DesiredUpdates& updates = out_.desired_updates[group_.name];
  open_deployment_state();
  bool had_this_version = false;
  for (const AllocPtr& alloc : all) had_this_version |= same_version(*alloc, job_);
  stop_stale_canaries(all);
  classify(all);
  for (const AllocPtr& alloc : keep_) {
    if (is_canary(*alloc)) canaries_.push_back(alloc);
  }
  canarying_ =
      state_exists_ && deployment_->active() && state_.desired_canaries > 0 && !state_.promoted;
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

}  // namespace

std::optional<int64_t> reschedule_at(const Allocation& alloc, int64_t& delay_ns) {
  const TaskGroup& group = alloc.task_group();
  if (!group.reschedule) return std::nullopt;
  const ReschedulePolicy& policy = *group.reschedule;
  const int64_t failure = failed_at(alloc);
  const bool unlimited = policy.unlimited.value_or(false);
  if (!unlimited) {
    if (policy.attempts <= 0) return std::nullopt;
    const auto recent = std::count_if(
        alloc.reschedules.begin(), alloc.reschedules.end(),
        [&](const RescheduleEvent& event) { return event.time_ns > failure - policy.interval_ns; });
    if (recent >= policy.attempts) return std::nullopt;
  }
  delay_ns = policy.delay_ns;
  if (!alloc.reschedules.empty() && policy.delay_function != "constant") {
    const RescheduleEvent& last = alloc.reschedules.back();
    int64_t next = last.delay_ns * 2;
    if (policy.delay_function == "fibonacci") {
      const size_t n = alloc.reschedules.size();
      next = last.delay_ns + (n > 1 ? alloc.reschedules[n - 2].delay_ns : 0);
    }
    // It held for longer than the longest delay: begin anew.
    const bool recovered = failure - last.time_ns > policy.max_delay_ns;
    delay_ns = recovered ? policy.delay_ns
                         : std::clamp(next, policy.delay_ns,
                                      std::max(policy.delay_ns, policy.max_delay_ns));
  }
  return failure + delay_ns;
}

namespace {

std::shared_ptr<Deployment> with_status(const Deployment& deployment, DeploymentStatus status,
                                        const char* description) {
  auto changed = std::make_shared<Deployment>(deployment);
  changed->status = status;
  changed->status_description = description;
  return changed;
}

/// Nothing wants it any more.
void stop_for_good(const ReconcileInput& in, const AllocPtr& alloc, Reconciled& out) {
  const NodePtr node = in.snapshot.node(alloc->node_id);
  const bool lost = !node || node->status == NodeStatus::kDown;
  if (alloc->client_terminal()) {
    // One that failed waits to be rescheduled: if the job is started again, that wait is over.
    const bool waits = alloc->client_status == ClientStatus::kFailed && !alloc->server_terminal();
    if (waits && alloc->next_alloc.empty()) out.stop.push_back({alloc, kStopNotNeeded, {}});
    return;
  }
  if (alloc->server_terminal() && !lost) return;
  out.stop.push_back({alloc, lost ? kStopLost : kStopNotNeeded,
                      lost ? std::optional(ClientStatus::kLost) : std::nullopt});
  ++out.desired_updates[alloc->group].stop;
}

/// The job is stopped or gone: everything ends.
void stop_all(const ReconcileInput& in, const JobIndex& index, Reconciled& out) {
  index.allocs.each([&](const AllocPtr& alloc) { stop_for_good(in, alloc, out); });
  index.deployments.each([&](const DeploymentPtr& deployment) {
    if (!deployment->active()) return;
    out.deployment_updates.push_back(
        with_status(*deployment, DeploymentStatus::kCancelled, "Cancelled because job is stopped"));
  });
}

/// The deployment of this very version, if there is one that counts; others end here.
DeploymentPtr current_deployment(const ReconcileInput& in, const JobIndex& index, Reconciled& out) {
  DeploymentPtr current;
  index.deployments.each([&](const DeploymentPtr& deployment) {
    const bool mine = deployment->job_version == in.job->version &&
                      deployment->job_create_index == in.job->create_index;
    if (!mine) {
      if (deployment->active()) {
        out.deployment_updates.push_back(with_status(*deployment, DeploymentStatus::kCancelled,
                                                     "Cancelled due to newer version of job"));
      }
    } else if (!current || deployment->create_index > current->create_index) {
      current = deployment;
    }
  });
  if (current && (current->status == DeploymentStatus::kSuccessful ||
                  current->status == DeploymentStatus::kCancelled)) {
    return nullptr;
  }
  return current;
}

void reconcile_service(const ReconcileInput& in, const JobIndex& index, Reconciled& out) {
  std::map<std::string, std::vector<AllocPtr>> by_group;
  index.allocs.each([&](const AllocPtr& alloc) { by_group[alloc->group].push_back(alloc); });
  for (const auto& [name, allocs] : by_group) {
    if (in.job->group(name)) continue;
    for (const AllocPtr& alloc : allocs) stop_for_good(in, alloc, out);
  }
  const DeploymentPtr deployment = current_deployment(in, index, out);
  bool wants_deployment = false, complete = true, changed = false;
  std::map<std::string, DeploymentGroup> states;
  for (const TaskGroup& group : in.job->groups) {
    GroupReconciler reconciler(in, out, group, deployment.get());
    reconciler.run(std::move(by_group[group.name]));
    wants_deployment |= reconciler.wants_deployment();
    complete &= reconciler.complete();
    changed |= reconciler.state_changed();
    if (group.update && group.update->max_parallel > 0) states[group.name] = reconciler.state();
  }
  if (deployment) {
    if (deployment->active()) out.deployment_id = deployment->id;
    auto updated = std::make_shared<Deployment>(*deployment);
    if (changed && deployment->active()) {
      for (auto& [name, state] : states) {
        if (updated->groups.contains(name)) updated->groups[name] = state;
      }
    }
    if (deployment->status == DeploymentStatus::kRunning && complete) {
      for (const auto& [name, state] : updated->groups) {
        complete &= state.healthy_allocs >= state.desired_total &&
                    (state.desired_canaries == 0 || state.promoted);
      }
      if (complete) {
        updated->status = DeploymentStatus::kSuccessful;
        updated->status_description = "Deployment completed successfully";
        changed = true;
      }
    }
    if (changed) out.deployment_updates.push_back(std::move(updated));
  } else if (wants_deployment) {
    auto fresh = std::make_shared<Deployment>();
    fresh->id = make_uuid(in.ids);
    fresh->namespace_ = in.space;
    fresh->job_id = in.job->id;
    fresh->job_version = in.job->version;
    fresh->job_modify_index = in.job->modify_index;
    fresh->job_spec_modify_index = in.job->job_modify_index;
    fresh->job_create_index = in.job->create_index;
    fresh->eval_priority = in.eval.priority;
    fresh->groups = std::move(states);
    fresh->status_description = "Deployment is running";
    for (auto& [name, state] : fresh->groups) {
      if (state.progress_deadline_ns > 0) {
        state.require_progress_by.ns = in.now_ns + state.progress_deadline_ns;
      }
      if (state.desired_canaries > 0) {
        fresh->status_description = state.auto_promote
                                        ? "Deployment is running pending automatic promotion"
                                        : "Deployment is running but requires manual promotion";
      }
    }
    out.deployment_id = fresh->id;
    out.deployment = std::move(fresh);
  }
}

}  // namespace

Reconciled reconcile(const ReconcileInput& input) {
  Reconciled out;
  auto index = input.snapshot.of_job(input.space, input.job_id);
  if (!index) index = std::make_shared<JobIndex>();
  if (!input.job || input.job->stop) {
    stop_all(input, *index, out);
  } else if (input.job->is_system()) {
    reconcile_system(input, input.nodes, *index, out);
  } else {
    reconcile_service(input, *index, out);
  }
  return out;
}

}  // namespace sluice::orchestrator
