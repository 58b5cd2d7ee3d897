// Deployments: their counts, which follow from the allocations, and what time or the operator does
// to them.
#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/canary_policy.h"
#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kTimerMs = 500;

struct Health {
  bool placed = false;
  bool healthy = false;
  bool unhealthy = false;
};

Health health_in(const Allocation* alloc, const std::string& deployment_id) {
  if (!alloc || alloc->deployment_id != deployment_id) return {};
  return {true, alloc->is_healthy(), alloc->is_unhealthy()};
}

/// The newest form of an allocation, which the commit may hold.
AllocPtr newest_alloc(const Commit* commit, const Snapshot& now, const std::string& id) {
  if (commit) {
    for (const auto& alloc : commit->allocs) {
      if (alloc->id == id) return alloc;
    }
  }
  return now.alloc(id);
}

/// Canaries that can take over: what was healthy once and is dead counts in the deployment alone.
int64_t healthy_canaries(const DeploymentGroup& group, const Commit* commit, const Snapshot& now) {
  return std::count_if(group.placed_canaries.begin(), group.placed_canaries.end(),
                       [&](const std::string& id) {
                         const AllocPtr alloc = newest_alloc(commit, now, id);
                         return alloc && !alloc->terminal() && alloc->is_healthy();
                       });
}

std::shared_ptr<Deployment> editable(Commit& commit, const Snapshot& now, const std::string& id) {
  for (const auto& deployment : commit.deployments) {
    if (deployment->id == id) return deployment;
  }
  const DeploymentPtr existing = now.deployment(id);
  if (!existing) return nullptr;
  commit.deployments.push_back(std::make_shared<Deployment>(*existing));
  return commit.deployments.back();
}

}  // namespace

void Server::Impl::count_deployment_changes(Commit& commit) {
  const Snapshot now = state_.snapshot();
  std::set<std::string> look_again;
  for (const auto& alloc : commit.allocs) {
    if (alloc->deployment_id.empty()) continue;
    const AllocPtr old = now.alloc(alloc->id);
    const Health before = health_in(old.get(), alloc->deployment_id);
    const Health after = health_in(alloc.get(), alloc->deployment_id);
    if (before.placed && before.healthy == after.healthy && before.unhealthy == after.unhealthy) {
      continue;
    }
    const auto deployment = editable(commit, now, alloc->deployment_id);
    if (!deployment) continue;
    const auto found = deployment->groups.find(alloc->group);
    if (found == deployment->groups.end()) continue;
    DeploymentGroup& group = found->second;
    if (!before.placed) {
      ++group.placed_allocs;
      // A deployment that waits for room is not late: its time begins with what it gets.
      if (group.progress_deadline_ns > 0 && group.require_progress_by.ns == 0) {
        group.require_progress_by.ns = commit.time_ns + group.progress_deadline_ns;
      }
    }
    group.healthy_allocs += (after.healthy ? 1 : 0) - (before.healthy ? 1 : 0);
    group.unhealthy_allocs += (after.unhealthy ? 1 : 0) - (before.unhealthy ? 1 : 0);
    if (after.healthy && !before.healthy && group.progress_deadline_ns > 0) {
      group.require_progress_by.ns = commit.time_ns + group.progress_deadline_ns;
    }
    if (before.placed) look_again.insert(deployment->id);
  }
  // A change of health moves the deployment on: the next step, its end, or its failure.
  for (const std::string& id : look_again) {
    const auto deployment = editable(commit, now, id);
    if (!deployment->active()) continue;
    const JobPtr job = now.job(deployment->namespace_, deployment->job_id);
    if (!job || job->stop) continue;
    bool failing = false, revert = false;
    for (const auto& [name, group] : deployment->groups) {
      if (group.unhealthy_allocs == 0) continue;
      // Without a progress deadline nothing else would end it; with auto_revert there is no point
      // in waiting.
      failing |= group.progress_deadline_ns == 0 || group.auto_revert;
      revert |= group.auto_revert;
    }
    if (failing) {
      fail_into(deployment, "Failed due to unhealthy allocations", revert, commit);
      continue;
    }
    bool all_promotable = deployment->needs_promotion();
    for (const auto& [name, group] : deployment->groups) {
      if (group.desired_canaries == 0 || group.promoted) continue;
      // What is measured of them decides, not their health alone (canary_judge.h).
      const TaskGroup* of = job->group(name);
      all_promotable &= group.auto_promote && !(of && is_measured(*of)) &&
                        healthy_canaries(group, &commit, now) >= group.desired_canaries;
    }
    if (all_promotable) {
      promote_into(*deployment, true, {}, "Deployment is running", commit);
      continue;
    }
    auto eval = make_eval(*job, kTriggerDeploymentWatcher);
    eval->deployment_id = id;
    commit.evals.push_back(std::move(eval));
  }
  // A version whose deployment succeeded is what a revert goes back to.
  for (const auto& deployment : commit.deployments) {
    if (deployment->status != DeploymentStatus::kSuccessful) continue;
    const DeploymentPtr before = now.deployment(deployment->id);
    if (before && before->status == DeploymentStatus::kSuccessful) continue;
    const JobPtr version =
        now.job_version(deployment->namespace_, deployment->job_id, deployment->job_version);
    if (!version || version->stable) continue;
    auto stable = std::make_shared<Job>(*version);
    stable->stable = true;
    commit.jobs.push_back(std::move(stable));
  }
}

JobPtr Server::Impl::stable_version(const Deployment& deployment) const {
  for (const JobPtr& job : published_.job_versions(deployment.namespace_, deployment.job_id)) {
    if (job->stable && job->version < deployment.job_version) return job;
  }
  return nullptr;
}

int64_t Server::Impl::fail_into(const DeploymentPtr& deployment, std::string description,
                                bool revert, Commit& commit) {
  const Snapshot now = state_.snapshot();
  auto failed = editable(commit, now, deployment->id);
  if (!failed) return -1;
  failed->status = DeploymentStatus::kFailed;
  int64_t reverted = -1;
  JobPtr current = now.job(failed->namespace_, failed->job_id);
  if (revert) {
    const JobPtr stable = stable_version(*failed);
    if (current && current->version != failed->job_version) {
      description += " - not rolling back, for the job was changed since";
    } else if (stable && current && same_spec(*stable, *current)) {
      description += fmt::format(
          " - not rolling back to stable job version {} as current job has same specification",
          stable->version);
    } else if (stable && current) {
      bool changed = false;
      auto back = next_version(*stable, current, changed);
      reverted = stable->version;
      description += fmt::format(" - rolling back to job version {}", stable->version);
      commit.jobs.push_back(back);
      current = back;
    } else {
      description += " - no stable job version to auto revert to";
    }
  }
  failed->status_description = std::move(description);
  if (current) {
    auto eval = make_eval(*current, kTriggerDeploymentWatcher);
    eval->deployment_id = failed->id;
    commit.evals.push_back(std::move(eval));
  }
  return reverted;
}

bool Server::Impl::promote_into(const Deployment& deployment, bool all, const StringList& groups,
                                std::string_view description, Commit& commit) {
  const Snapshot now = state_.snapshot();
  auto promoted = editable(commit, now, deployment.id);
  if (!promoted) return false;
  for (auto& [name, group] : promoted->groups) {
    const bool named = std::find(groups.begin(), groups.end(), name) != groups.end();
    if (group.desired_canaries == 0 || group.promoted || (!all && !named)) continue;
    group.promoted = true;
    // Waiting for the operator was no lack of progress; what comes now has its own time.
    if (group.progress_deadline_ns > 0) {
      group.require_progress_by.ns = wall_ns() + group.progress_deadline_ns;
    }
    for (const std::string& id : group.placed_canaries) {
      // The commit may hold a newer form of it.
      const auto in_commit = std::find_if(commit.allocs.begin(), commit.allocs.end(),
                                          [&](const auto& alloc) { return alloc->id == id; });
      std::shared_ptr<Allocation> canary;
      if (in_commit != commit.allocs.end()) {
        canary = *in_commit;
      } else if (const AllocPtr existing = now.alloc(id)) {
        canary = std::make_shared<Allocation>(*existing);
        commit.allocs.push_back(canary);
      }
      if (!canary || !canary->deployment_status) continue;
      canary->deployment_status->canary = false;
      canary->alloc_modify_index = 0;  // the node changes its tags
    }
  }
  promoted->status_description = promoted->needs_promotion()
                                     ? "Deployment is running but requires manual promotion"
                                     : std::string(description);
  const JobPtr job = now.job(promoted->namespace_, promoted->job_id);
  if (job) {
    auto eval = make_eval(*job, kTriggerDeploymentWatcher);
    eval->deployment_id = promoted->id;
    commit.evals.push_back(std::move(eval));
  }
  return true;
}

Task<void> Server::Impl::watch_timers() {
  int64_t next_gc_ms = now_ms() + options.gc_interval_ms;
  while (true) {
    co_await sleep_for(env.executor, kTimerMs);
    // Delayed and nacked evaluations become ready by time alone.
    if (const auto wake = broker_.next_wake_ms(now_ms(), wall_ns()); wake && *wake <= 0) {
      work_ready_.set();
    }
    watch_deployments();
    launch_periodic();
    if (now_ms() >= next_gc_ms) {
      next_gc_ms = now_ms() + options.gc_interval_ms;
      Commit commit;
      gather_garbage(false, commit);
      commit_unwatched(std::move(commit));
    }
  }
}

void Server::Impl::watch_deployments() {
  const Snapshot now = state_.snapshot();
  std::map<DeploymentPtr, bool> late;  // and whether a group that is late is to be reverted
  now.tables().deployments.each([&](const DeploymentPtr& deployment) {
    if (deployment->status != DeploymentStatus::kRunning) return;
    for (const auto& [name, group] : deployment->groups) {
      const bool waits_for_operator = group.desired_canaries > 0 && !group.promoted &&
                                      group.healthy_allocs >= group.desired_canaries;
      const bool unfinished = group.healthy_allocs < group.desired_total && !waits_for_operator;
      if (unfinished && group.require_progress_by.ns != 0 &&
          group.require_progress_by.ns <= wall_ns()) {
        late[deployment] |= group.auto_revert;
      }
    }
  });
  for (const auto& [deployment, revert] : late) {
    Commit commit;
    fail_into(deployment, "Failed due to progress deadline", revert, commit);
    commit_unwatched(std::move(commit));
  }
}

namespace {

std::unexpected<Error> no_deployment(std::string_view id) {
  return fail(Code::kNotFound, "deployment \"{}\" not found", id);
}

}  // namespace

Task<Result<EvalReply>> Server::Impl::promote_deployment(std::string id, bool all,
                                                         StringList groups) {
  const DeploymentPtr deployment = state_.snapshot().deployment(id);
  if (!deployment) co_return no_deployment(id);
  if (!deployment->active()) {
    co_return fail(Code::kInvalid, "can't promote terminal deployment");
  }
  if (!deployment->needs_promotion()) {
    co_return fail(Code::kInvalid, "no canaries to promote");
  }
  for (const std::string& name : groups) {
    if (deployment->groups.contains(name)) continue;
    co_return fail(Code::kInvalid, "deployment has no group \"{}\"", name);
  }
  for (const auto& [name, group] : deployment->groups) {
    const bool named = all || std::find(groups.begin(), groups.end(), name) != groups.end();
    if (!named || group.desired_canaries == 0 || group.promoted) continue;
    const int64_t healthy = healthy_canaries(group, nullptr, state_.snapshot());
    if (healthy < group.desired_canaries) {
      co_return fail(Code::kInvalid, "Task group \"{}\" has {}/{} healthy allocations", name,
                     healthy, group.desired_canaries);
    }
  }
  Commit commit;
  promote_into(*deployment, all, groups, "Deployment is running", commit);
  EvalReply reply;
  if (!commit.evals.empty()) reply.eval_id = commit.evals.back()->id;
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  reply.index = *done;
  co_return reply;
}

Task<Result<EvalReply>> Server::Impl::fail_deployment(std::string id, std::string why) {
  const DeploymentPtr deployment = state_.snapshot().deployment(id);
  if (!deployment) co_return no_deployment(id);
  if (!deployment->active()) {
    co_return fail(Code::kInvalid, "can't fail terminal deployment");
  }
  const bool revert = std::any_of(deployment->groups.begin(), deployment->groups.end(),
                                  [](const auto& item) { return item.second.auto_revert; });
  Commit commit;
  EvalReply reply;
  reply.reverted_job_version = fail_into(deployment, std::move(why), revert, commit);
  if (!commit.evals.empty()) reply.eval_id = commit.evals.back()->id;
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  reply.index = *done;
  co_return reply;
}

Task<Result<EvalReply>> Server::Impl::pause_deployment(std::string id, bool pause) {
  const Snapshot now = state_.snapshot();
  const DeploymentPtr deployment = now.deployment(id);
  if (!deployment) co_return no_deployment(id);
  if (!deployment->active()) {
    co_return fail(Code::kInvalid, "can't {} terminal deployment", pause ? "pause" : "resume");
  }
  Commit commit;
  auto next = std::make_shared<Deployment>(*deployment);
  next->status = pause ? DeploymentStatus::kPaused : DeploymentStatus::kRunning;
  next->status_description = pause ? "Deployment is paused" : "Deployment is running";
  if (!pause) {
    for (auto& [name, group] : next->groups) {
      if (group.require_progress_by.ns != 0) {
        group.require_progress_by.ns = wall_ns() + group.progress_deadline_ns;
      }
    }
  }
  commit.deployments.push_back(std::move(next));
  EvalReply reply;
  if (const JobPtr job = now.job(deployment->namespace_, deployment->job_id); job && !pause) {
    auto eval = make_eval(*job, kTriggerDeploymentWatcher);
    eval->deployment_id = id;
    reply.eval_id = eval->id;
    commit.evals.push_back(std::move(eval));
  }
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  reply.index = *done;
  co_return reply;
}

Task<Result<EvalReply>> Server::Impl::set_alloc_health(std::string id, StringList healthy,
                                                       StringList unhealthy) {
  const Snapshot now = state_.snapshot();
  const DeploymentPtr deployment = now.deployment(id);
  if (!deployment) co_return no_deployment(id);
  if (!deployment->active()) {
    co_return fail(Code::kInvalid, "can't set health of allocations for a terminal deployment");
  }
  if (healthy.empty() && unhealthy.empty()) {
    co_return fail(Code::kInvalid, "must specify at least one healthy/unhealthy allocation ID");
  }
  Commit commit;
  std::set<std::string> seen;
  const auto mark = [&](const std::string& alloc_id, bool good) -> Result<void> {
    const AllocPtr alloc = now.alloc(alloc_id);
    if (!alloc) return fail(Code::kNotFound, "unknown alloc \"{}\"", alloc_id);
    if (alloc->deployment_id != id) {
      return fail(Code::kInvalid, "alloc \"{}\" is not part of deployment \"{}\"", alloc_id, id);
    }
    if (!seen.insert(alloc_id).second) {
      return fail(Code::kInvalid, "alloc \"{}\" is named twice", alloc_id);
    }
    auto marked = std::make_shared<Allocation>(*alloc);
    if (!marked->deployment_status) marked->deployment_status.emplace();
    marked->deployment_status->healthy = good;
    marked->deployment_status->timestamp.ns = wall_ns();
    marked->deployment_status->modify_index = state_.index() + 1;
    commit.allocs.push_back(std::move(marked));
    return {};
  };
  for (const StringList* list : {&healthy, &unhealthy}) {
    for (const std::string& alloc_id : *list) {
      if (auto done = mark(alloc_id, list == &healthy); !done) co_return pass(done);
    }
  }
  const JobPtr back = stable_version(*deployment);
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  // What follows from it (the next step, the end, a way back) is of the same commit.
  EvalReply reply{.index = *done};
  if (const auto index = published_.of_job(deployment->namespace_, deployment->job_id)) {
    index->evals.each([&](const EvalPtr& eval) {
      if (eval->deployment_id == id && eval->create_index == *done) reply.eval_id = eval->id;
    });
  }
  const DeploymentPtr after = published_.deployment(id);
  const JobPtr job = published_.job(deployment->namespace_, deployment->job_id);
  if (after && after->status == DeploymentStatus::kFailed && back && job &&
      job->version > deployment->job_version && same_spec(*back, *job)) {
    reply.reverted_job_version = back->version;
  }
  co_return reply;
}

Task<Result<uint64_t>> Server::Impl::set_stable(std::string space, std::string id, int64_t version,
                                                bool stable) {
  const Snapshot now = state_.snapshot();
  const JobPtr job = now.job_version(space, id, version);
  if (!now.job(space, id) || !job) {
    co_return fail(Code::kNotFound, "job \"{}\" in namespace \"{}\" at version {} not found", id,
                   space, version);
  }
  if (job->stable == stable) co_return job->modify_index;
  Commit commit;
  auto next = std::make_shared<Job>(*job);
  next->stable = stable;
  commit.jobs.push_back(std::move(next));
  co_return co_await this->commit(std::move(commit));
}

}  // namespace sluice::orchestrator
