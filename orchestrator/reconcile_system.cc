// Reconcile for system and sysbatch jobs: an instance of each group on every node that may run it.
#include "orchestrator/reconcile_system.h"

#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/feasible.h"
#include "orchestrator/reconcile_parts.h"

namespace sluice::orchestrator {

namespace {

class SystemReconciler {
 public:
  SystemReconciler(const ReconcileInput& input, const std::vector<NodePtr>& nodes, Reconciled& out)
      : in_(input), nodes_(nodes), out_(out), job_(*input.job) {}

  void run(const JobIndex& index);

 private:
  using ByNode = std::map<std::string, std::vector<AllocPtr>>;
  void stop(const AllocPtr& alloc, const char* reason, bool lost = false);
  void group(const TaskGroup& group, ByNode& allocs);
  [[nodiscard]] bool tried_again(const Allocation& failed) const;
  /// True where the node has, or had, its instance of this version; else `previous` is what one
  /// that is placed now comes after.
  bool keep_one(const TaskGroup& group, std::vector<AllocPtr>& allocs,
                std::vector<AllocPtr>& destructive, AllocPtr& previous);

  const ReconcileInput& in_;
  const std::vector<NodePtr>& nodes_;
  Reconciled& out_;
  const Job& job_;
};

void SystemReconciler::stop(const AllocPtr& alloc, const char* reason, bool lost) {
  out_.stop.push_back({alloc, reason, lost ? std::optional(ClientStatus::kLost) : std::nullopt});
  ++out_.desired_updates[alloc->group].stop;
}

/// What failed for good (its restarts are used up) is tried again where somebody runs the job anew,
/// or where its node comes (back), and not because another instance ended.
bool SystemReconciler::tried_again(const Allocation& failed) const {
  const std::string_view trigger = in_.eval.triggered_by;
  return trigger == kTriggerJobRegister ||
         (trigger == kTriggerNodeUpdate && in_.eval.node_id == failed.node_id);
}

bool SystemReconciler::keep_one(const TaskGroup& group, std::vector<AllocPtr>& allocs,
                                std::vector<AllocPtr>& destructive, AllocPtr& previous) {
  DesiredUpdates& updates = out_.desired_updates[group.name];
  AllocPtr live, over;
  std::sort(allocs.begin(), allocs.end(), [](const AllocPtr& a, const AllocPtr& b) {
    if (a->create_index != b->create_index) return a->create_index > b->create_index;
    return a->id < b->id;
  });
  for (const AllocPtr& alloc : allocs) {
    if (alloc->server_terminal()) continue;
    if (alloc->client_terminal()) {
      if (!over) over = alloc;
    } else if (alloc->migrate) {
      stop(alloc, kStopMigrating);
    } else if (live) {
      stop(alloc, kStopNotNeeded);  // two on one node
    } else {
      live = alloc;
    }
  }
  if (live) {
    if (same_version(*live, job_)) {
      ++updates.ignore;
    } else if (!in_.still_feasible(*live, group)) {
      stop(live, kStopNotNeeded);  // the new version leaves this node out
      return false;
    } else if (needs_new_alloc(*live->job, job_, group.name)) {
      destructive.push_back(live);
    } else {
      out_.in_place.push_back({live});
      ++updates.in_place_update;
    }
    return true;
  }
  // What is done stays so until the job changes, or until somebody asks for it.
  const bool stays = job_.is_batch() ||
                     (over && over->client_status == ClientStatus::kFailed && !tried_again(*over));
  if (over && same_version(*over, job_) && !over->force_reschedule && !over->migrate && stays) {
    ++updates.ignore;
    return true;
  }
  previous = over;
  return false;
}

void SystemReconciler::group(const TaskGroup& group, ByNode& allocs) {
  DesiredUpdates& updates = out_.desired_updates[group.name];
  std::vector<AllocPtr> destructive;
  int64_t starting = 0;
  const std::string name = fmt::format("{}.{}[0]", job_.id, group.name);
  for (const NodePtr& node : nodes_) {
    auto& here = allocs[node->id];
    if (group.count == 0) continue;
    AllocPtr previous;
    const bool settled = keep_one(group, here, destructive, previous);
    for (const AllocPtr& alloc : here) {
      if (same_version(*alloc, job_) && !alloc->terminal() &&
          alloc->client_status == ClientStatus::kPending) {
        ++starting;
      }
    }
    here.clear();
    if (settled) continue;
    PlaceRequest& request = out_.place.emplace_back();
    request.job = in_.job;
    request.group = &group;
    request.name = name;
    request.previous = std::move(previous);
    request.node = node;
    ++updates.place;
  }
  // What is left is on nodes that shall not run it (any more).
  for (auto& [node_id, here] : allocs) {
    const NodePtr node = in_.snapshot.node(node_id);
    const bool lost = is_lost(node);
    const bool scoped = node && in_scope(job_, *node);
    for (const AllocPtr& alloc : here) {
      if (lost) {
        if (!alloc->client_terminal()) stop(alloc, kStopLost, true);
      } else if (alloc->terminal()) {
        continue;
      } else if (!scoped || group.count == 0) {
        stop(alloc, kStopNotNeeded);
      } else if (alloc->migrate) {
        stop(alloc, kStopTainted);
      }
      // Ineligible, or draining and not yet asked to move: it runs on.
    }
  }
  int64_t limit = static_cast<int64_t>(destructive.size());
  const bool rolling = group.update && group.update->max_parallel > 0;
  if (rolling) limit = std::max<int64_t>(group.update->max_parallel - starting, 0);
  int64_t done = 0;
  for (const AllocPtr& alloc : destructive) {
    if (done == limit) {
      ++updates.ignore;
      continue;
    }
    ++done;
    PlaceRequest& request = out_.place.emplace_back();
    request.job = in_.job;
    request.group = &group;
    request.name = name;
    request.previous = alloc;
    request.stop_previous = true;
    request.stop_reason = kStopUpdating;
    request.node = in_.snapshot.node(alloc->node_id);
    ++updates.destructive_update;
  }
  if (rolling && done < static_cast<int64_t>(destructive.size())) {
    out_.followups.push_back(
        follow_up(in_, kTriggerRollingUpdate, in_.now_ns + group.update->stagger_ns));
  }
}

void SystemReconciler::run(const JobIndex& index) {
  std::map<std::string, ByNode> by_group;
  index.allocs.each(
      [&](const AllocPtr& alloc) { by_group[alloc->group][alloc->node_id].push_back(alloc); });
  for (const auto& [name, by_node] : by_group) {
    if (job_.group(name)) continue;
    for (const auto& [node_id, allocs] : by_node) {
      const bool lost = is_lost(in_.snapshot.node(node_id));
      for (const AllocPtr& alloc : allocs) {
        if (alloc->client_terminal() || (alloc->server_terminal() && !lost)) continue;
        stop(alloc, lost ? kStopLost : kStopNotNeeded, lost);
      }
    }
  }
  for (const TaskGroup& item : job_.groups) group(item, by_group[item.name]);
}

}  // namespace

void reconcile_system(const ReconcileInput& input, const std::vector<NodePtr>& nodes,
                      const JobIndex& index, Reconciled& out) {
  SystemReconciler(input, nodes, out).run(index);
}

}  // namespace sluice::orchestrator
