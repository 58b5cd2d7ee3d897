#include "orchestrator/schedule.h"

#include <algorithm>
#include <set>

#include "orchestrator/preempt.h"
#include "orchestrator/rank.h"
#include "orchestrator/reconcile.h"
#include "orchestrator/reschedule.h"

namespace sluice::orchestrator {

namespace {

uint64_t mix(uint64_t hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return (hash ^ 0xff) * 1099511628211ull;
}

/// Nodes and ports follow from the job's version and the state alone: `job plan` shows what `job
/// run` does. Another cluster's agent on the same machine takes other ports, and a replacement does
/// not get the port again on which its predecessor may have failed.
uint64_t placement_seed(const Snapshot& snapshot, std::string_view space, std::string_view id,
                        const Job* job) {
  uint64_t hash = mix(14695981039346656037ull, snapshot.meta().cluster_id);
  hash = mix(mix(hash, space), id);
  if (job) hash = mix(hash, std::to_string(job->version));
  const auto index = snapshot.of_job(space, id);
  return index ? mix(hash, std::to_string(index->allocs.size())) : hash;
}

class Scheduler {
 public:
  explicit Scheduler(const ScheduleInput& input)
      : in_(input),
        eval_(*input.eval),
        ids_(input.seed),
        job_(input.job_override ? input.job_override
                                : input.snapshot.job(eval_.namespace_, eval_.job_id)),
        placer_(input.snapshot, job_, input.now_ns,
                placement_seed(input.snapshot, eval_.namespace_, eval_.job_id, job_.get())) {}

  Plan run();

 private:
  void stop(const StopRequest& request);
  void place_all(const Reconciled& reconciled);
  void place(const PlaceRequest& request, const Reconciled& reconciled);
  void update_in_place(const Reconciled& reconciled);
  std::shared_ptr<Allocation> make_alloc(const PlaceRequest& request, Placer::Choice& choice);
  void preempt(const std::vector<AllocPtr>& victims, PlannedPlacement& placement);
  void note_canary(const Reconciled& reconciled, const Allocation& alloc);

  const ScheduleInput& in_;
  const Evaluation& eval_;
  SeededRandom ids_;
  JobPtr job_;
  Placer placer_;
  Plan plan_;
  std::set<std::pair<std::string, std::string>> displaced_;  // jobs, by namespace and id
  std::map<std::string, AllocMetric>
      filtered_;  // system jobs: by group, the nodes that may not run it
};

void Scheduler::stop(const StopRequest& request) {
  auto changed = std::make_shared<Allocation>(*request.alloc);
  placer_.release(*request.alloc);
  changed->desired_status = DesiredStatus::kStop;
  changed->desired_description = request.reason;
  changed->alloc_modify_index = 0;
  if (request.client_status) changed->client_status = *request.client_status;
  plan_.stops.push_back(std::move(changed));
}

std::shared_ptr<Allocation> Scheduler::make_alloc(const PlaceRequest& request,
                                                  Placer::Choice& choice) {
  auto alloc = std::make_shared<Allocation>();
  alloc->id = make_uuid(ids_);
  alloc->name = request.name;
  alloc->job = request.job;
  alloc->group = request.group->name;
  alloc->node_id = choice.node->id;
  alloc->node_name = choice.node->name;
  alloc->eval_id = eval_.id;
  const GroupAsk ask = ask_of(*request.group);
  alloc->cpu_mhz = ask.cpu_mhz_on(*choice.node);
  alloc->memory_mb = ask.memory_mb;
  alloc->disk_mb = ask.disk_mb;
  alloc->ports = std::move(choice.given.ports);
  alloc->cores = std::move(choice.given.cores);
  if (request.previous) {
    alloc->previous_alloc = request.previous->id;
    if (request.is_reschedule) {
      alloc->reschedules = rescheduled(*request.previous, in_.now_ns);
    }
  }
  return alloc;
}

void Scheduler::note_canary(const Reconciled& reconciled, const Allocation& alloc) {
  std::shared_ptr<Deployment> deployment = plan_.deployment;
  if (!deployment) {
    for (auto& update : plan_.deployment_updates) {
      if (update->id == reconciled.deployment_id) deployment = update;
    }
  }
  if (!deployment) {
    const DeploymentPtr existing = in_.snapshot.deployment(reconciled.deployment_id);
    if (!existing) return;
    deployment = std::make_shared<Deployment>(*existing);
    plan_.deployment_updates.push_back(deployment);
  }
  deployment->groups[alloc.group].placed_canaries.push_back(alloc.id);
}

/// The jobs of what gives way look for room elsewhere.
void Scheduler::preempt(const std::vector<AllocPtr>& victims, PlannedPlacement& placement) {
  for (const AllocPtr& victim : victims) {
    placement.preempted.push_back(evicted(*victim, placement.alloc->id));
    ++plan_.desired_updates[placement.alloc->group].preemptions;
    if (!displaced_.insert({victim->namespace_name(), victim->job_id()}).second) continue;
    auto follow = std::make_shared<Evaluation>();
    follow->id = make_uuid(ids_);
    follow->namespace_ = victim->namespace_name();
    follow->priority = victim->job->priority;
    follow->type = victim->job->type;
    follow->triggered_by = kTriggerPreemption;
    follow->job_id = victim->job_id();
    follow->previous_eval = eval_.id;
    plan_.followups.push_back(std::move(follow));
  }
}

void Scheduler::place(const PlaceRequest& request, const Reconciled& reconciled) {
  const std::string& group = request.group->name;
  // A group that failed once in this plan fails again: the nodes are the same.
  if (const auto failed = plan_.failed_groups.find(group);
      failed != plan_.failed_groups.end() && !request.node && !request.stop_previous) {
    ++failed->second.coalesced_failures;
    ++plan_.queued[group];
    return;
  }
  AllocMetric metric;
  std::vector<std::string_view> avoid;  // where it failed before
  if (request.is_reschedule) {
    avoid.push_back(request.previous->node_id);
    for (const auto& event : request.previous->reschedules) avoid.push_back(event.prev_node_id);
  }
  // What it replaces gives way first, so that the node it was on counts with its room.
  if (request.stop_previous) placer_.release(*request.previous);
  auto choice = placer_.place(*request.job, *request.group, avoid, request.node.get(), metric);
  if (!choice) {
    if (request.stop_previous) placer_.take_back(*request.previous);
    // A system job simply does not run where it cannot.
    if (request.node && metric.nodes_filtered > 0) {
      AllocMetric& seen = filtered_[group];
      ++seen.nodes_evaluated;
      ++seen.nodes_filtered;
      seen.nodes_available = metric.nodes_available;
      seen.nodes_in_pool = metric.nodes_in_pool;
      for (const auto& [why, count] : metric.constraint_filtered) {
        seen.constraint_filtered[why] += count;
      }
      --plan_.desired_updates[group].place;
      return;
    }
    const auto [at, fresh] = plan_.failed_groups.try_emplace(group, std::move(metric));
    if (!fresh) {
      AllocMetric& first = at->second;
      if (request.node) {
        first.nodes_evaluated += metric.nodes_evaluated;
        first.nodes_exhausted += metric.nodes_exhausted;
        for (const auto& [why, count] : metric.dimension_exhausted) {
          first.dimension_exhausted[why] += count;
        }
      } else {
        ++first.coalesced_failures;
      }
    }
    ++plan_.queued[group];
    return;
  }
  PlannedPlacement placement;
  placement.alloc = make_alloc(request, *choice);
  preempt(choice->preempted, placement);
  if (!metric.score_meta_data.empty()) {
    placement.alloc->metric = std::make_shared<AllocMetric>(std::move(metric));
  }
  if (request.in_deployment && !reconciled.deployment_id.empty()) {
    placement.alloc->deployment_id = reconciled.deployment_id;
    if (request.canary) {
      placement.alloc->deployment_status.emplace();
      placement.alloc->deployment_status->canary = true;
      note_canary(reconciled, *placement.alloc);
    }
  }
  if (request.previous) {
    auto previous = std::make_shared<Allocation>(*request.previous);
    previous->next_alloc = placement.alloc->id;
    previous->alloc_modify_index = request.stop_previous ? 0 : previous->alloc_modify_index;
    if (request.stop_previous) {
      previous->desired_status = DesiredStatus::kStop;
      previous->desired_description = request.stop_reason;
      placement.replaced = std::move(previous);
    } else {
      // It is among the stops already, or over: only the link is new.
      const auto stopped = std::find_if(plan_.stops.begin(), plan_.stops.end(),
                                        [&](auto& item) { return item->id == previous->id; });
      if (stopped != plan_.stops.end()) {
        (*stopped)->next_alloc = placement.alloc->id;
      } else {
        placement.replaced = std::move(previous);
      }
    }
  }
  plan_.placements.push_back(std::move(placement));
}

void Scheduler::place_all(const Reconciled& reconciled) {
  for (const PlaceRequest& request : reconciled.place) place(request, reconciled);
  // A system job that could run nowhere at all is worth saying.
  for (auto& [group, metric] : filtered_) {
    const bool anywhere =
        plan_.failed_groups.contains(group) || plan_.desired_updates[group].ignore > 0 ||
        plan_.desired_updates[group].in_place_update > 0 ||
        std::any_of(plan_.placements.begin(), plan_.placements.end(),
                    [&](const auto& placement) { return placement.alloc->group == group; });
    if (anywhere) continue;
    plan_.failed_groups.emplace(group, std::move(metric));
  }
}

void Scheduler::update_in_place(const Reconciled& reconciled) {
  for (const InPlaceUpdate& item : reconciled.in_place) {
    auto changed = std::make_shared<Allocation>(*item.alloc);
    changed->job = job_;
    changed->eval_id = eval_.id;
    changed->alloc_modify_index = 0;
    if (!reconciled.deployment_id.empty()) {
      changed->deployment_id = reconciled.deployment_id;
      changed->deployment_status.reset();
    }
    plan_.updates.push_back(std::move(changed));
  }
  for (const DelayedReschedule& item : reconciled.delayed) {
    auto changed = std::make_shared<Allocation>(*item.alloc);
    changed->followup_eval_id = item.followup_eval;
    plan_.updates.push_back(std::move(changed));
  }
}

Plan Scheduler::run() {
  plan_.job = job_;
  plan_.snapshot_index = in_.snapshot.index();
  const ReconcileInput input{
      .snapshot = in_.snapshot,
      .job = job_,
      .space = eval_.namespace_,
      .job_id = eval_.job_id,
      .eval = eval_,
      .now_ns = in_.now_ns,
      .ids = ids_,
      .still_feasible =
          [this](const Allocation& alloc, const TaskGroup& group) {
            const NodePtr node = in_.snapshot.node(alloc.node_id);
            return node && placer_.feasible(*job_, group, *node);
          },
      .nodes = placer_.nodes(),
  };
  Reconciled reconciled = reconcile(input);
  plan_.desired_updates = std::move(reconciled.desired_updates);
  plan_.deployment = std::move(reconciled.deployment);
  plan_.deployment_updates = std::move(reconciled.deployment_updates);
  plan_.followups = std::move(reconciled.followups);
  for (const StopRequest& request : reconciled.stop) stop(request);
  update_in_place(reconciled);
  if (job_) {
    for (const TaskGroup& group : job_->groups) plan_.queued[group.name] = 0;
  }
  place_all(reconciled);
  return std::move(plan_);
}

}  // namespace

Plan schedule(const ScheduleInput& input) {
  return Scheduler(input).run();
}

}  // namespace sluice::orchestrator
