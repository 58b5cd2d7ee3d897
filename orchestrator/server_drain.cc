// Drains: a node's allocations move away, a few at a time.
#include <algorithm>

#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

namespace {

/// Notes in the node's last drain how its drain goes on: one begins, changes or ends.
void note_drain(Node& next, const Node& before, DrainStatus status, StringMap meta,
                std::string accessor_id, int64_t wall_ns) {
  if (!before.drain || !next.last_drain) {
    next.last_drain =
        LastDrain{.started_at = before.drain ? before.drain->started_at : TimeStamp{wall_ns}};
  }
  LastDrain& last = *next.last_drain;
  last.status = status;
  last.updated_at.ns = wall_ns;
  // Who changes or ends it need not say again what it is for.
  if (!meta.empty()) last.meta = std::move(meta);
  if (!accessor_id.empty()) last.accessor_id = std::move(accessor_id);
}

}  // namespace

Task<Result<EvalReply>> Server::Impl::drain_node(DrainRequest request) {
  const NodePtr before = state_.snapshot().node(request.node_id);
  if (!before) co_return no_node(request.node_id);
  auto next = std::make_shared<Node>(*before);
  Commit commit;
  EvalReply reply;
  if (request.drain) {
    DrainStrategy& drain = *request.drain;
    drain.started_at.ns = before->drain ? before->drain->started_at.ns : wall_ns();
    drain.force_deadline.ns = drain.deadline_ns > 0 ? wall_ns() + drain.deadline_ns : 0;
    next->drain = drain;
    next->eligibility = Eligibility::kIneligible;
    note_drain(*next, *before, DrainStatus::kDraining, std::move(request.meta),
               std::move(request.accessor_id), wall_ns());
    note(*next, before->drain ? "Node drain strategy updated" : "Node drain strategy set", "Drain");
  } else {
    const bool marked = request.mark_eligible && before->eligibility == Eligibility::kIneligible;
    if (!before->drain && !marked) {
      reply.index = published_.index();
      co_return reply;
    }
    next->drain.reset();
    if (marked) next->eligibility = Eligibility::kEligible;
    if (before->drain) {
      note_drain(*next, *before, DrainStatus::kCanceled, std::move(request.meta),
                 std::move(request.accessor_id), wall_ns());
      note(*next, "Node drain disabled", "Drain");
    } else {
      note(*next, "Node marked as eligible for scheduling", "Cluster");
    }
    // What was asked to move and has not yet stays.
    if (const auto index = state_.snapshot().of_node(request.node_id)) {
      index->allocs.each([&](const AllocPtr& alloc) {
        if (!alloc->migrate || alloc->terminal()) return;
        auto stays = std::make_shared<Allocation>(*alloc);
        stays->migrate = false;
        commit.allocs.push_back(std::move(stays));
      });
    }
    evaluate_node_jobs(*next, kTriggerNodeUpdate, commit);
  }
  commit.nodes.push_back(std::move(next));
  if (!commit.evals.empty()) reply.eval_id = commit.evals.front()->id;
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  reply.index = *done;
  check_drains();
  co_return reply;
}

namespace {

/// The allocations of a node that a drain may ask to move now: max_parallel a group at a time,
/// system jobs last, batch jobs not before the deadline.
struct DrainStep {
  std::vector<AllocPtr> move;
  bool done = true;
};

DrainStep drain_step(const Node& node, const Snapshot& now, int64_t wall_ns) {
  DrainStep step;
  const auto index = now.of_node(node.id);
  if (!index) return step;
  const DrainStrategy& drain = *node.drain;
  const bool force =
      drain.deadline_ns < 0 || (drain.force_deadline.ns != 0 && drain.force_deadline.ns <= wall_ns);
  std::vector<AllocPtr> system;
  bool others_left = false;
  std::map<std::pair<std::string, std::string>, std::vector<AllocPtr>> services;
  index->allocs.each([&](const AllocPtr& alloc) {
    if (alloc->client_terminal()) return;
    if (alloc->job->is_system()) {
      if (!drain.ignore_system_jobs) system.push_back(alloc);
      return;
    }
    others_left = true;
    if (alloc->terminal() || alloc->migrate) return;
    if (force) {
      step.move.push_back(alloc);
    } else if (!alloc->job->is_batch()) {
      services[{alloc->namespace_name() + '\n' + alloc->job_id(), alloc->group}].push_back(alloc);
    }
  });
  for (const auto& [key, allocs] : services) {
    const Allocation& first = *allocs.front();
    const TaskGroup& group = first.task_group();
    const int64_t parallel = group.migrate ? group.migrate->max_parallel : 1;
    // At most `parallel` of the group's instances are away at a time, on whichever nodes.
    int64_t healthy = 0;
    if (const auto of_job = now.of_job(first.namespace_name(), first.job_id())) {
      of_job->allocs.each([&](const AllocPtr& alloc) {
        if (alloc->group != first.group || alloc->terminal() || alloc->migrate) return;
        // In a deployment its health counts; outside of one the node says when it was judged
        // (`migrate`), and a judgement is enough: nothing else would come.
        const bool judged = alloc->deployment_status && alloc->deployment_status->healthy;
        const bool settled =
            alloc->client_status == ClientStatus::kRunning &&
            (alloc->deployment_id.empty() ? judged || !group.migrate
                                          : alloc->is_healthy() || !alloc->deployment_status);
        if (settled) ++healthy;
      });
    }
    const JobPtr job = now.job(first.namespace_name(), first.job_id());
    const TaskGroup* current = job ? job->group(first.group) : nullptr;
    const int64_t wanted = current ? current->count : 0;
    int64_t may_move = healthy - (wanted - parallel);
    for (const AllocPtr& alloc : allocs) {
      if (may_move-- <= 0) break;
      step.move.push_back(alloc);
    }
  }
  if (!others_left || force) {
    for (const AllocPtr& alloc : system) {
      if (!alloc->terminal() && !alloc->migrate) step.move.push_back(alloc);
    }
  }
  step.done = !others_left && system.empty();
  return step;
}

}  // namespace

void Server::Impl::check_drains() {
  const Snapshot now = state_.snapshot();
  now.tables().nodes.each([&](const NodePtr& node) {
    if (!node->drain) return;
    const DrainStep step = drain_step(*node, now, wall_ns());
    Commit commit;
    if (step.done) {
      auto drained = std::make_shared<Node>(*node);
      drained->drain.reset();
      note_drain(*drained, *node, DrainStatus::kComplete, {}, {}, wall_ns());
      const int64_t deadline_ns = node->drain->force_deadline.ns;
      const bool late = deadline_ns != 0 && deadline_ns <= wall_ns();
      note(*drained, "Node drain complete", "Drain",
           late ? StringMap{{"deadline_reached", "true"}} : StringMap());
      commit.nodes.push_back(std::move(drained));
    }
    std::map<std::pair<std::string, std::string>, std::shared_ptr<Evaluation>> evals;
    const bool overdue =
        node->drain->force_deadline.ns != 0 && node->drain->force_deadline.ns <= wall_ns();
    const auto evaluate = [&](const Allocation& alloc) {
      auto& eval = evals[{alloc.namespace_name(), alloc.job_id()}];
      if (!eval) eval = make_eval(*alloc.job, kTriggerNodeDrain);
      eval->node_id = node->id;
    };
    for (const AllocPtr& alloc : step.move) {
      auto moving = std::make_shared<Allocation>(*alloc);
      moving->migrate = true;
      evaluate(*alloc);
      commit.allocs.push_back(std::move(moving));
    }
    if (overdue) {  // those that waited for a stand-in in vain go now, or once the server is back
      if (const auto index = now.of_node(node->id)) {
        index->allocs.each([&](const AllocPtr& alloc) {
          if (alloc->terminal() || !alloc->migrate) return;
          if (!broker_.has_waiting(alloc->namespace_name(), alloc->job_id())) evaluate(*alloc);
        });
      }
    }
    for (auto& [key, eval] : evals) commit.evals.push_back(std::move(eval));
    commit_unwatched(std::move(commit));
  });
}

}  // namespace sluice::orchestrator
