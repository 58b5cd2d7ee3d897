// The node's side of the server: the direct NodeLink, heartbeats, eligibility.
#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/feasible.h"
#include "orchestrator/fields_json.h"
#include "orchestrator/fit.h"
#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kHeartbeatCheckMs = 1'000;

}  // namespace

void Server::Impl::note(Node& node, std::string message, std::string subsystem,
                        StringMap details) const {
  if (node.events.size() >= kMaxNodeEvents) node.events.erase(node.events.begin());
  node.events.push_back({std::move(message),
                         std::move(subsystem),
                         std::move(details),
                         {wall_ns()},
                         state_.index() + 1});
}

std::unexpected<Error> no_node(std::string_view id) {
  return fail(Code::kNotFound, "node \"{}\" not found", id);
}

int64_t Server::Impl::heartbeat_ttl_ms() const {
  // So many nodes that their heartbeats would be too many a second say them less often.
  const int64_t nodes = static_cast<int64_t>(published_.tables().nodes.size());
  return std::max(options.min_heartbeat_ttl_ms,
                  nodes * 1'000 / std::max<int64_t>(options.max_heartbeats_per_second, 1));
}

void Server::Impl::grant_heartbeat(const std::string& node_id) {
  heartbeat_deadlines_[node_id] = now_ms() + heartbeat_ttl_ms() + options.heartbeat_grace_ms;
}

void Server::Impl::evaluate_node_jobs(const Node& node, std::string_view trigger, Commit& commit) {
  const Snapshot now = state_.snapshot();
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Evaluation>> evals;
  const auto add = [&](const Job& job) {
    auto& eval = evals[{job.namespace_, job.id}];
    if (eval) return;
    eval = make_eval(job, trigger);
    eval->node_id = node.id;
    eval->node_modify_index = node.modify_index;
  };
  if (const auto index = now.of_node(node.id)) {
    index->allocs.each([&](const AllocPtr& alloc) {
      if (!alloc->client_terminal()) add(*alloc->job);
    });
  }
  now.tables().jobs.each([&](const JobPtr& job) {
    if (job->is_system() && !job->is_template() && !job->stop && in_scope(*job, node)) add(*job);
  });
  for (auto& [key, eval] : evals) commit.evals.push_back(std::move(eval));
}

Task<Result<NodeRegistration>> Server::Impl::register_node(Node node, NodeMemory memory) {
  if (node.id.empty()) co_return fail(Code::kInvalid, "a node needs an id");
  if (!knows(memory)) co_return co_await refuse_node(std::move(node), std::move(memory));
  const NodePtr before = state_.snapshot().node(node.id);
  auto next = std::make_shared<Node>(std::move(node));
  next->computed_class = computed_class(*next);
  next->status = NodeStatus::kReady;
  next->status_description.clear();
  bool changed = true;
  if (before) {
    next->eligibility = before->eligibility;
    next->drain = before->drain;
    next->last_drain = before->last_drain;
    next->events = before->events;
    next->status_updated_at_s = before->status_updated_at_s;
    next->quarantined_ports = before->quarantined_ports;
    const int64_t now = wall_ns();
    std::erase_if(next->quarantined_ports, [&](const ReservedPort& port) {
      return port.until_ns != 0 && port.until_ns <= now;
    });
    if (before->status != NodeStatus::kReady) {
      note(*next, "Node reregistered by heartbeat", "Cluster");
    }
    changed = before->status != NodeStatus::kReady || !same_said(*before, *next);
  } else {
    next->events.clear();
    next->last_drain.reset();
    note(*next, "Node registered", "Cluster");
  }
  grant_heartbeat(next->id);
  unsaid_nodes_.erase(next->id);
  NodeRegistration reply;
  if (changed) {
    next->status_updated_at_s = wall_ns() / 1'000'000'000;
    Commit commit;
    evaluate_node_jobs(*next, kTriggerNodeUpdate, commit);
    commit.nodes.push_back(next);
    auto done = co_await this->commit(std::move(commit));
    if (!done) {
      if (!before || before->status != NodeStatus::kReady) co_return pass(done);
      // A store that takes no writes stops no task: the node works on with the facts that are
      // known, and is asked to say them again.
      log.warn("server: what node {} says is not taken in yet: {}", next->id, done.error().message);
      unsaid_nodes_.insert(next->id);
    } else {
      log.info("server: node {} ({}) is ready", next->id, next->name);
    }
  }
  reply.cluster_id = published_.meta().cluster_id;
  reply.heartbeat_ttl_ms = heartbeat_ttl_ms();
  reply.index = published_.index();
  co_return reply;
}

Task<Result<Heartbeat>> Server::Impl::heartbeat(std::string node_id) {
  Heartbeat reply;
  reply.cluster_id = published_.meta().cluster_id;
  reply.heartbeat_ttl_ms = heartbeat_ttl_ms();
  const NodePtr node = state_.snapshot().node(node_id);
  const bool ready = node && node->status == NodeStatus::kReady;
  if (ready) grant_heartbeat(node_id);
  reply.register_again = !ready || unsaid_nodes_.contains(node_id);
  co_return reply;
}

Task<Result<DesiredAllocs>> Server::Impl::fetch_allocs(std::string node_id, uint64_t after_index,
                                                       int64_t wait_ms) {
  const int64_t limit_ms = after_index == 0 ? 0 : std::min(wait_ms, kMaxFetchWaitMs);
  const Snapshot now =
      co_await wait({Topic::Kind::kOrdersOfNode, node_id, {}}, after_index, limit_ms);
  if (!now.node(node_id)) co_return no_node(node_id);
  DesiredAllocs desired;
  desired.cluster_id = now.meta().cluster_id;
  desired.term = now.meta().term;
  desired.index = now.index();
  desired.complete = true;
  if (const auto index = now.of_node(node_id)) {
    desired.allocs.reserve(index->allocs.size());
    index->allocs.each([&](const AllocPtr& alloc) { desired.allocs.push_back(alloc); });
  }
  co_return desired;
}

Task<Result<void>> Server::Impl::update_allocs(std::string node_id,
                                               std::vector<AllocUpdate> updates) {
  const Snapshot now = state_.snapshot();
  Commit commit;
  std::shared_ptr<Node> node;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Evaluation>> evals;
  std::string unknown;
  for (AllocUpdate& update : updates) {
    const AllocPtr before = now.alloc(update.alloc_id);
    if (!before || before->node_id != node_id) {
      unknown = update.alloc_id;
      continue;
    }
    auto next = std::make_shared<Allocation>(*before);
    // What was declared lost stays so: its place was taken.
    if (before->client_status != ClientStatus::kLost) next->client_status = update.client_status;
    next->client_description = std::move(update.client_description);
    if (!update.task_states.empty()) next->task_states = std::move(update.task_states);
    // Health in an earlier deployment, of an allocation updated in place, says nothing of this one.
    // Outside of one (a drain has placed it) there is none to compare.
    if (update.healthy && update.deployment_id == before->deployment_id) {
      if (!next->deployment_status) next->deployment_status.emplace();
      if (next->deployment_status->healthy != update.healthy) {
        next->deployment_status->healthy = update.healthy;
        next->deployment_status->timestamp.ns = update.healthy_at_ns;
        next->deployment_status->modify_index = state_.index() + 1;
      }
    }
    for (const BusyPort& busy : update.busy_ports) {
      if (!node) {
        const NodePtr current = now.node(node_id);
        if (!current) break;
        node = std::make_shared<Node>(*current);
      }
      std::erase_if(node->quarantined_ports, [&](const ReservedPort& port) {
        return port.port == busy.port && port.address == busy.address;
      });
      node->quarantined_ports.push_back(
          {busy.address, busy.port,
           fmt::format("found busy by allocation {}{}{}", next->id.substr(0, 8),
                       busy.detail.empty() ? "" : ": ", busy.detail),
           wall_ns() + options.port_quarantine_ns});
      next->force_reschedule = true;
    }
    const bool same = before->client_status == next->client_status &&
                      before->client_description == next->client_description &&
                      before->task_states == next->task_states &&
                      before->deployment_status == next->deployment_status &&
                      before->force_reschedule == next->force_reschedule;
    if (same) continue;
    const bool ended = !before->client_terminal() && next->client_terminal();
    if (ended && !next->server_terminal()) {
      // It failed, or a service ended by itself: somebody has to look at the job.
      const Job& job = *next->job;
      const JobPtr current = now.job(job.namespace_, job.id);
      if (current && !current->stop && !broker_.has_waiting(job.namespace_, job.id)) {
        auto& eval = evals[{job.namespace_, job.id}];
        if (!eval) eval = make_eval(*current, kTriggerRetryFailedAlloc);
      }
    }
    commit.allocs.push_back(std::move(next));
  }
  if (node) commit.nodes.push_back(std::move(node));
  for (auto& [key, eval] : evals) commit.evals.push_back(std::move(eval));
  if (!commit.empty()) {
    auto done = co_await this->commit(std::move(commit));
    if (!done) co_return pass(done);
  }
  if (!unknown.empty()) {
    co_return fail(Code::kNotFound, "allocation \"{}\" not found on node \"{}\"", unknown, node_id);
  }
  co_return Result<void>();
}

// -------------------------------------------------------------------------------- the operator's

Task<Result<EvalReply>> Server::Impl::set_eligibility(std::string node_id,
                                                      Eligibility eligibility) {
  const NodePtr before = state_.snapshot().node(node_id);
  if (!before) co_return no_node(node_id);
  if (before->drain && eligibility == Eligibility::kEligible) {
    co_return fail(Code::kInvalid,
                   "can not set node's scheduling eligibility to eligible while it is draining");
  }
  EvalReply reply;
  reply.index = published_.index();
  if (before->eligibility == eligibility) co_return reply;
  auto next = std::make_shared<Node>(*before);
  next->eligibility = eligibility;
  note(*next,
       eligibility == Eligibility::kEligible ? "Node marked as eligible for scheduling"
                                             : "Node marked as ineligible for scheduling",
       "Cluster");
  Commit commit;
  if (eligibility == Eligibility::kEligible) evaluate_node_jobs(*next, kTriggerNodeUpdate, commit);
  if (!commit.evals.empty()) reply.eval_id = commit.evals.front()->id;
  commit.nodes.push_back(std::move(next));
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  reply.index = *done;
  co_return reply;
}

Task<Result<void>> Server::Impl::purge_node(std::string node_id) {
  const NodePtr node = state_.snapshot().node(node_id);
  if (!node) co_return no_node(node_id);
  if (node->status == NodeStatus::kReady) {
    co_return fail(Code::kInvalid, "node \"{}\" is up; only a node that is down can be purged",
                   node_id);
  }
  Commit commit;
  evaluate_node_jobs(*node, kTriggerNodeUpdate, commit);
  commit.deletes.push_back({RecordKind::kNode, node_id, {}});
  heartbeat_deadlines_.erase(node_id);
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  co_return Result<void>();
}

Task<Result<EvalReply>> Server::Impl::stop_alloc(std::string alloc_id, bool no_shutdown_delay) {
  const Snapshot now = state_.snapshot();
  const AllocPtr before = now.alloc(alloc_id);
  if (!before) co_return fail(Code::kNotFound, "alloc \"{}\" not found", alloc_id);
  Commit commit;
  auto next = std::make_shared<Allocation>(*before);
  next->migrate = true;
  if (no_shutdown_delay) {
    next->no_shutdown_delay = true;
    next->alloc_modify_index = 0;  // also where it waits already
  }
  commit.allocs.push_back(std::move(next));
  EvalReply reply;
  auto eval = make_eval(*before->job, kTriggerAllocStop);
  reply.eval_id = eval->id;
  commit.evals.push_back(std::move(eval));
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  reply.index = *done;
  co_return reply;
}

// ------------------------------------------------------------------------------------- by time

Task<void> Server::Impl::watch_heartbeats() {
  while (true) {
    co_await sleep_for(env.executor, kHeartbeatCheckMs);
    check_heartbeats();
    check_drains();
    release_ports();
  }
}

/// Quarantines that are over: what waited for such a port is looked at again.
void Server::Impl::release_ports() {
  const int64_t now_ns = wall_ns();
  const auto over = [&](const ReservedPort& port) {
    return port.until_ns != 0 && port.until_ns <= now_ns;
  };
  Commit commit;
  state_.snapshot().tables().nodes.each([&](const NodePtr& node) {
    if (std::none_of(node->quarantined_ports.begin(), node->quarantined_ports.end(), over)) return;
    auto released = std::make_shared<Node>(*node);
    std::erase_if(released->quarantined_ports, over);
    commit.nodes.push_back(std::move(released));
  });
  commit_unwatched(std::move(commit));
}

void Server::Impl::check_heartbeats() {
  const Snapshot now = state_.snapshot();
  for (auto at = heartbeat_deadlines_.begin(); at != heartbeat_deadlines_.end();) {
    if (at->second > now_ms()) {
      ++at;
      continue;
    }
    const std::string id = at->first;
    at = heartbeat_deadlines_.erase(at);
    const NodePtr node = now.node(id);
    if (!node || node->status != NodeStatus::kReady) continue;
    log.warn("server: node {} ({}) missed its heartbeat: down, its allocations are lost", id,
             node->name);
    auto down = std::make_shared<Node>(*node);
    down->status = NodeStatus::kDown;
    down->status_description = "heartbeat missed";
    down->status_updated_at_s = wall_ns() / 1'000'000'000;
    note(*down, "Node heartbeat missed", "Cluster");
    Commit commit;
    evaluate_node_jobs(*down, kTriggerNodeUpdate, commit);
    commit.nodes.push_back(std::move(down));
    commit_unwatched(std::move(commit));
  }
}

}  // namespace sluice::orchestrator
