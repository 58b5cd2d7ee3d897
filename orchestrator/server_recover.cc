// A store that was lost, or that is another one than the node knew: refusing such a node, and
// taking in what the node has once the operator says so.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "orchestrator/fit.h"
#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kQuietPollMs = 10;
constexpr int64_t kQuietLimitMs = 5'000;

using JobKey = std::pair<std::string, std::string>;

JobKey key_of(const Job& job) {
  return {job.namespace_, job.id};
}

/// A job as the node's allocations tell it.
struct Told {
  JobPtr newest;
  bool wanted = false;  // some of it was not told to stop
};

std::map<JobKey, Told> told_jobs(const std::vector<AllocPtr>& allocs) {
  std::map<JobKey, Told> jobs;
  for (const AllocPtr& alloc : allocs) {
    Told& told = jobs[key_of(*alloc->job)];
    if (!told.newest || told.newest->version < alloc->job->version) told.newest = alloc->job;
    told.wanted |= !alloc->server_terminal();
  }
  return jobs;
}

std::vector<MissingParent> missing_parents(const std::map<JobKey, Told>& jobs,
                                           const Snapshot& now) {
  std::map<JobKey, size_t> children;
  for (const auto& [key, told] : jobs) {
    const JobKey parent{key.first, told.newest->parent_id};
    if (parent.second.empty() || jobs.contains(parent)) continue;
    if (!now.job(parent.first, parent.second)) ++children[parent];
  }
  std::vector<MissingParent> missing;
  for (const auto& [key, count] : children) missing.push_back({key.first, key.second, count});
  return missing;
}

/// The allocations' versions of the jobs, each once, as the store is to have them.
class Versions {
 public:
  Versions(const Snapshot& now, bool same_cluster, uint64_t index)
      : now_(now), same_cluster_(same_cluster), index_(index) {}

  Result<void> add(const Job& job) {
    const JobPtr current = now_.job(job.namespace_, job.id);
    const JobPtr kept = current ? now_.job_version(job.namespace_, job.id, job.version) : nullptr;
    for (const JobPtr& same : {current, kept}) {
      if (!same || !same_spec(*same, job)) continue;
      versions_[{key_of(job), job.version}] = same;
      return {};
    }
    if (kept || (current && !same_cluster_)) {
      return fail(Code::kConflict,
                  "job \"{0}\" is in the store already, and it is another one than what runs on "
                  "the node: nothing is changed. `sluice job stop -purge {0}` makes room for it",
                  job.id);
    }
    auto copy = std::make_shared<Job>(job);
    // What has the job's own first index is a version of it.
    copy->create_index = current ? current->create_index : index_;
    versions_[{key_of(job), job.version}] = std::move(copy);
    return {};
  }
  void put(JobPtr job) {
    const std::pair<JobKey, int64_t> key{key_of(*job), job->version};
    versions_[key] = std::move(job);
  }
  JobPtr of(const Job& job) const { return versions_.at({key_of(job), job.version}); }

 private:
  const Snapshot& now_;
  const bool same_cluster_;
  const uint64_t index_;
  std::map<std::pair<JobKey, int64_t>, JobPtr> versions_;
};

}  // namespace

/// A store that was put back is of the right cluster and has forgotten what it said last.
bool Server::Impl::knows(const NodeMemory& memory) const {
  if (memory.cluster_id.empty()) return true;
  return memory.cluster_id == published_.meta().cluster_id &&
         std::pair(memory.term, memory.index) <= begun_after_;
}

Task<Result<NodeRegistration>> Server::Impl::refuse_node(Node node, NodeMemory memory) {
  const std::string& own = published_.meta().cluster_id;
  const std::string what =
      memory.cluster_id != own
          ? fmt::format(
                "it is of cluster {}, and the server's store is of cluster {}: its own was "
                "lost or replaced",
                memory.cluster_id, own)
          : fmt::format(
                "it knows term {} index {}, and the server's store began after term {} "
                "index {}: an older copy was put in its place",
                memory.term, memory.index, begun_after_.first, begun_after_.second);
  const std::string text = fmt::format(
      "{}. What runs there ({} allocations) runs on, and nothing is started or stopped, until the "
      "right store is back or `sluice operator recover` takes the node's allocations into this one",
      what, memory.allocs);
  const NodePtr before = state_.snapshot().node(node.id);
  if (!before || before->status_description != text) {
    auto next = std::make_shared<Node>(before ? *before : std::move(node));
    next->computed_class = computed_class(*next);
    next->status = NodeStatus::kInit;
    next->status_description = text;
    next->status_updated_at_s = wall_ns() / 1'000'000'000;
    if (!before) next->events.clear();
    note(*next, "Not taken in: " + text, "Cluster");
    const std::string id = next->id;
    Commit commit;
    commit.nodes.push_back(std::move(next));
    auto done = co_await this->commit(std::move(commit));
    if (!done) co_return pass(done);
    heartbeat_deadlines_.erase(id);
  }
  co_return fail(Code::kConflict, "this node is not taken in: {}", text);
}

/// In the background, so that whoever asked may go away: what the store counts from and what the
/// state does must not part.
Task<void> Server::Impl::rise(uint64_t index, std::shared_ptr<Waiter> waiter) {
  checkpointing_ = rising_ = true;
  auto tables = std::make_shared<Tables>(published_.tables());
  tables->index = index;
  const Snapshot high(std::move(tables));
  auto done = co_await store.checkpoint(high);
  checkpointing_ = rising_ = false;
  if (done) {
    published_ = high;
    state_.reset(high);
  } else {
    waiter->result = pass(done);
  }
  waiter->done.set();
}

Task<Result<void>> Server::Impl::rise_above(uint64_t index) {
  const int64_t end_ms = now_ms() + kQuietLimitMs;
  while (!pending_.empty() || checkpointing_) {
    if (now_ms() > end_ms) co_return fail(Code::kUnavailable, "the store is busy; try again");
    co_await sleep_for(env.executor, kQuietPollMs);
  }
  if (published_.index() >= index) co_return Result<void>();
  auto waiter = std::make_shared<Waiter>(env.executor);
  background_.spawn(rise(index, waiter));
  co_await waiter->done.wait();
  if (!waiter->result) co_return pass(waiter->result);
  co_return Result<void>();
}

Result<void> Server::Impl::recover_into(const Recovery& from, RecoverReply& reply, Commit& commit) {
  const Snapshot now = state_.snapshot();
  const NodePtr node = now.node(from.node_id);
  if (!node) return no_node(from.node_id);
  Versions versions(now, now.meta().cluster_id == from.memory.cluster_id, state_.index() + 1);
  for (const AllocPtr& alloc : from.allocs) {
    Result<void> added = versions.add(*alloc->job);
    if (!added) return added;
  }
  commit.meta = std::make_shared<ClusterMeta>(now.meta());
  commit.meta->cluster_id = from.memory.cluster_id;
  commit.meta->term = std::max(commit.meta->term, from.memory.term) + 1;
  const std::map<JobKey, Told> jobs = told_jobs(from.allocs);
  for (const auto& [key, told] : jobs) {
    const JobPtr current = now.job(key.first, key.second);
    JobPtr job = current;
    if (!current ||
        (current->version < told.newest->version && versions.of(*told.newest) != current)) {
      auto back = std::make_shared<Job>(*told.newest);
      back->stop = !told.wanted;
      back->job_modify_index = 0;
      versions.put(back);
      commit.jobs.push_back(back);
      job = back;
    }
    if (!job->is_template()) commit.evals.push_back(make_eval(*job, kTriggerJobRegister));
  }
  std::set<std::string> told;
  for (const AllocPtr& alloc : from.allocs) {
    told.insert(alloc->id);
    auto back = std::make_shared<Allocation>(*alloc);
    back->job = versions.of(*alloc->job);
    back->node_id = from.node_id;
    back->alloc_modify_index = 0;
    back->followup_eval_id.clear();
    if (!now.deployment(back->deployment_id)) back->deployment_id.clear();
    const AllocPtr before = now.alloc(alloc->id);
    if (before && before->server_terminal()) {
      back->desired_status = before->desired_status;
      back->desired_description = before->desired_description;
    }
    commit.allocs.push_back(std::move(back));
  }
  // What only the store thinks to be there was replaced, or is over, since it was saved.
  if (const auto index = now.of_node(from.node_id)) {
    index->allocs.each([&](const AllocPtr& alloc) {
      if (alloc->client_terminal() || told.contains(alloc->id)) return;
      auto gone = std::make_shared<Allocation>(*alloc);
      gone->desired_status = DesiredStatus::kStop;
      gone->client_status = ClientStatus::kLost;
      gone->client_description = "its node does not know it";
      gone->alloc_modify_index = 0;
      commit.allocs.push_back(std::move(gone));
    });
  }
  auto ready = std::make_shared<Node>(*node);
  ready->status = NodeStatus::kReady;
  ready->status_description.clear();
  note(*ready, "Recovered by the operator", "Cluster");
  commit.nodes.push_back(std::move(ready));
  reply.cluster_id = from.memory.cluster_id;
  reply.jobs = jobs.size();
  reply.allocs = from.allocs.size();
  reply.missing_parents = missing_parents(jobs, now);
  return {};
}

Task<Result<RecoverReply>> Server::Impl::recover(Recovery from) {
  if (knows(from.memory)) {
    co_return fail(Code::kConflict,
                   "there is nothing to recover: the store has all that the node knows");
  }
  RecoverReply reply;
  Commit rehearsal;
  Result<void> fits = recover_into(from, reply, rehearsal);
  if (!fits) co_return pass(fits);
  Result<void> risen = co_await rise_above(from.memory.index);
  if (!risen) co_return pass(risen);
  Commit commit;
  fits = recover_into(from, reply, commit);
  if (!fits) co_return pass(fits);
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  reply.index = *done;
  begun_after_ = {published_.meta().term, *done};
  grant_heartbeat(from.node_id);
  log.info("server: recovered from node {} at index {}: {} jobs, {} allocations", from.node_id,
           *done, reply.jobs, reply.allocs);
  for (const MissingParent& parent : reply.missing_parents) {
    log.warn("server: job \"{}\" (namespace {}), the parent of {} recovered jobs, is not known",
             parent.id, parent.namespace_, parent.children);
  }
  co_return reply;
}

}  // namespace sluice::orchestrator
