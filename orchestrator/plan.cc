#include "orchestrator/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "orchestrator/fields_json.h"
#include "orchestrator/fit.h"

namespace sluice::orchestrator {

namespace {

/// Whether the node and what is on it are as the plan saw them.
bool unchanged(const Snapshot& newest, const Node& node, uint64_t since) {
  if (node.modify_index > since) return false;
  const auto index = newest.of_node(node.id);
  return !index || index->last_change <= since;
}

/// Brings a changed copy up to date with what its node reported since. False: it is gone, or over.
bool rebase(Allocation& changed, const Snapshot& newest) {
  const AllocPtr now = newest.alloc(changed.id);
  if (!now) return false;
  if (now->modify_index == changed.modify_index) return true;
  if (now->server_terminal() && !changed.server_terminal()) return false;
  // "lost" is the plan's own word, unless the node had the last one.
  const bool lost = changed.client_status == ClientStatus::kLost && !now->client_terminal();
  if (!lost) changed.client_status = now->client_status;
  changed.client_description = now->client_description;
  changed.task_states = now->task_states;
  if (changed.deployment_id == now->deployment_id) {
    changed.deployment_status = now->deployment_status;
  }
  changed.migrate = now->migrate;
  changed.force_reschedule = now->force_reschedule;
  changed.modify_index = now->modify_index;
  return true;
}

bool rebase(Deployment& changed, const Snapshot& newest) {
  const DeploymentPtr now = newest.deployment(changed.id);
  if (!now || !now->active()) return false;
  if (now->modify_index == changed.modify_index) return true;
  for (auto& [name, group] : changed.groups) {
    const auto found = now->groups.find(name);
    if (found == now->groups.end()) continue;
    const DeploymentGroup& fresh = found->second;
    group.promoted = fresh.promoted;
    group.placed_allocs = fresh.placed_allocs;
    group.healthy_allocs = fresh.healthy_allocs;
    group.unhealthy_allocs = fresh.unhealthy_allocs;
    group.require_progress_by = fresh.require_progress_by;
  }
  if (changed.status == DeploymentStatus::kRunning) {
    changed.status = now->status;
    changed.status_description = now->status_description;
  }
  return true;
}

}  // namespace

bool job_moved_on(const Plan& plan, const Evaluation& eval, const Snapshot& newest) {
  const JobPtr now = newest.job(eval.namespace_, eval.job_id);
  if (!now || !plan.job) return now != plan.job;
  return now->version != plan.job->version || now->create_index != plan.job->create_index ||
         now->stop != plan.job->stop;
}

StringList check_plan(Plan& plan, const Snapshot& newest, int64_t now_ns) {
  std::erase_if(plan.stops, [&](auto& alloc) { return !rebase(*alloc, newest); });
  std::erase_if(plan.updates, [&](auto& alloc) { return !rebase(*alloc, newest); });
  std::erase_if(plan.deployment_updates, [&](auto& item) { return !rebase(*item, newest); });
  for (auto& placement : plan.placements) {
    if (placement.replaced && !rebase(*placement.replaced, newest)) placement.replaced = nullptr;
    std::erase_if(placement.preempted, [&](auto& alloc) { return !rebase(*alloc, newest); });
  }
  std::map<std::string, std::vector<size_t>> by_node;
  for (size_t i = 0; i < plan.placements.size(); ++i) {
    by_node[plan.placements[i].alloc->node_id].push_back(i);
  }
  StringList refused;
  std::set<size_t> dropped;
  for (const auto& [node_id, places] : by_node) {
    const NodePtr node = newest.node(node_id);
    if (node && node->accepts_work() && unchanged(newest, *node, plan.snapshot_index)) continue;
    bool fits = node && node->accepts_work();
    if (fits) {
      const auto index = newest.of_node(node_id);
      Usage usage = index ? index->usage : Usage{};
      const auto give_way = [&](const std::shared_ptr<Allocation>& changed) {
        if (!changed || changed->node_id != node_id) return;
        const AllocPtr now = newest.alloc(changed->id);
        if (!now) return;
        usage.remove(*now);
        usage.add(*changed);
      };
      for (const auto& stop : plan.stops) give_way(stop);
      for (const auto& placement : plan.placements) {
        give_way(placement.replaced);
        for (const auto& preempted : placement.preempted) give_way(preempted);
      }
      for (const size_t i : places) {
        const Allocation& alloc = *plan.placements[i].alloc;
        fits = fits && fits_as_it_is(*node, usage, alloc, now_ns).empty();
        usage.add(alloc);
      }
    }
    if (fits) continue;
    refused.push_back(node_id);
    dropped.insert(places.begin(), places.end());
  }
  if (dropped.empty()) return refused;
  if (plan.job && plan.job->all_at_once) {
    // All of it or nothing.
    for (size_t i = 0; i < plan.placements.size(); ++i) dropped.insert(i);
  }
  std::vector<PlannedPlacement> kept;
  for (size_t i = 0; i < plan.placements.size(); ++i) {
    if (!dropped.contains(i)) {
      kept.push_back(std::move(plan.placements[i]));
      continue;
    }
    const auto& canary = plan.placements[i].alloc;
    const auto forget = [&](Deployment& deployment) {
      std::erase(deployment.groups[canary->group].placed_canaries, canary->id);
    };
    if (canary->is_canary() && plan.deployment) forget(*plan.deployment);
    for (auto& update : plan.deployment_updates) {
      if (canary->is_canary() && update->id == canary->deployment_id) forget(*update);
    }
    for (auto& stop : plan.stops) {
      if (stop->next_alloc == canary->id) stop->next_alloc.clear();
    }
  }
  plan.placements = std::move(kept);
  return refused;
}

Commit commit_of(const Plan& plan) {
  Commit commit;
  commit.allocs = plan.stops;
  for (const auto& placement : plan.placements) {
    if (placement.replaced) commit.allocs.push_back(placement.replaced);
    for (const auto& preempted : placement.preempted) commit.allocs.push_back(preempted);
    commit.allocs.push_back(placement.alloc);
  }
  // An allocation may be both noted and replaced: what stops or replaces it is said instead.
  std::set<std::string_view> said;
  for (const auto& alloc : commit.allocs) said.insert(alloc->id);
  for (const auto& update : plan.updates) {
    if (!said.contains(update->id)) commit.allocs.push_back(update);
  }
  if (plan.deployment) commit.deployments.push_back(plan.deployment);
  for (const auto& update : plan.deployment_updates) commit.deployments.push_back(update);
  for (const auto& followup : plan.followups) commit.evals.push_back(followup);
  return commit;
}

std::string plan_hash(const Plan& plan) {
  std::string text;
  JsonWriter out(text);
  out.begin_array();
  if (plan.job) {
    // What the user said; the server's own fields come later or change on their own.
    Job said = *plan.job;
    said.submit_time_ns = 0;
    said.create_index = said.modify_index = said.job_modify_index = 0;
    said.stable = false;
    encode(out, said, {.compact = true});
  }
  const auto list = [&](std::vector<std::string> lines) {
    std::sort(lines.begin(), lines.end());
    out.begin_array();
    for (const std::string& line : lines) out.value(line);
    out.end_array();
  };
  std::vector<std::string> stops, places;
  for (const auto& stop : plan.stops) stops.push_back(stop->id);
  for (const auto& update : plan.updates) stops.push_back("update " + update->id);
  for (const auto& placement : plan.placements) {
    const Allocation& alloc = *placement.alloc;
    std::string line =
        fmt::format("{} on {} after {}", alloc.name, alloc.node_id, alloc.previous_alloc);
    for (const AssignedPort& port : alloc.ports) {
      line += fmt::format(" {}/{}={}:{}", port.task, port.label, port.host_ip, port.value);
    }
    for (const AssignedCores& each : alloc.cores) {
      line += fmt::format(" {}: cores {}", each.task, format_cpu_list(each.cores));
    }
    places.push_back(std::move(line));
  }
  for (const auto& [group, metric] : plan.failed_groups) {
    places.push_back(fmt::format("{} of {} nowhere", plan.queued.at(group), group));
  }
  list(std::move(stops));
  list(std::move(places));
  out.end_array();
  uint64_t hash = 14695981039346656037ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return fmt::format("{:016x}", hash);
}

}  // namespace sluice::orchestrator
