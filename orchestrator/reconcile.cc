#include "orchestrator/reconcile.h"

#include <map>
#include <memory>
#include <utility>

#include "orchestrator/reconcile_group.h"
#include "orchestrator/reconcile_parts.h"
#include "orchestrator/reconcile_system.h"

namespace sluice::orchestrator {

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
  const bool lost = is_lost(in.snapshot.node(alloc->node_id));
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
    std::erase_if(states, [](const auto& item) { return item.second.desired_total == 0; });
    fresh->groups = std::move(states);
    fresh->status_description = "Deployment is running";
    for (auto& [name, state] : fresh->groups) {
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
