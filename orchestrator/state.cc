#include "orchestrator/state.h"

#include <algorithm>
#include <set>

#include "core/check.h"

namespace sluice::orchestrator {

// ---------------------------------------------------------------------------------------------
// Usage

uint32_t port_address(std::string_view address) {
  if (address.empty() || address == "0.0.0.0" || address == "::" || address == "[::]") return 0;
  uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : address) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash == 0 ? 1 : hash;
}

bool port_taken(const std::vector<UsedPort>& ports, uint32_t address, uint16_t port) {
  auto at = std::lower_bound(ports.begin(), ports.end(), UsedPort{port, 0});
  for (; at != ports.end() && at->port == port; ++at) {
    if (at->address == 0 || address == 0 || at->address == address) return true;
  }
  return false;
}

void take_port(std::vector<UsedPort>& ports, uint32_t address, uint16_t port) {
  const UsedPort used{port, address};
  ports.insert(std::lower_bound(ports.begin(), ports.end(), used), used);
}

void free_port(std::vector<UsedPort>& ports, uint32_t address, uint16_t port) {
  const UsedPort used{port, address};
  const auto at = std::lower_bound(ports.begin(), ports.end(), used);
  if (at != ports.end() && *at == used) ports.erase(at);
}

void Usage::add(const Allocation& alloc) {
  if (!alloc.occupies()) return;
  if (!alloc.terminal()) {
    cpu_mhz += alloc.cpu_mhz;
    memory_mb += alloc.memory_mb;
    disk_mb += alloc.disk_mb;
  }
  auto& into = alloc.terminal() ? stopping : ports;
  for (const AssignedPort& port : alloc.ports) {
    take_port(into, port_address(port.host_ip), port.value);
  }
}

void Usage::remove(const Allocation& alloc) {
  if (!alloc.occupies()) return;
  if (!alloc.terminal()) {
    cpu_mhz -= alloc.cpu_mhz;
    memory_mb -= alloc.memory_mb;
    disk_mb -= alloc.disk_mb;
  }
  auto& from = alloc.terminal() ? stopping : ports;
  for (const AssignedPort& port : alloc.ports) {
    free_port(from, port_address(port.host_ip), port.value);
  }
}

// ------------------------------------------------------------------------------------------
// Snapshot

JobPtr Snapshot::job_version(std::string_view space, std::string_view id, int64_t version) const {
  const auto found = tables_->versions.get({id, space, static_cast<uint64_t>(version)});
  return found ? found->job : nullptr;
}

std::vector<JobPtr> Snapshot::job_versions(std::string_view space, std::string_view id) const {
  std::vector<JobPtr> out;
  tables_->versions.visit_from({id, space, 0}, [&](const std::shared_ptr<const JobVersion>& item) {
    if (item->job->id != id || item->job->namespace_ != space) return false;
    out.push_back(item->job);
    return true;
  });
  std::reverse(out.begin(), out.end());
  return out;
}

DeploymentPtr Snapshot::latest_deployment(std::string_view space, std::string_view id) const {
  DeploymentPtr latest;
  if (const auto index = of_job(space, id)) {
    index->deployments.each([&](const DeploymentPtr& deployment) {
      if (!latest || deployment->create_index > latest->create_index) latest = deployment;
    });
  }
  return latest;
}

std::string_view Snapshot::job_status(const Job& job) const {
  const auto index = of_job(job.namespace_, job.id);
  if (index && index->live_allocs > 0) return "running";
  if (index && index->live_evals > 0) return "pending";
  if (job.is_template() && !job.stop) return "running";
  // Before its first evaluation is committed there is nothing of it; they come in one commit.
  return "dead";
}

JobSummary Snapshot::job_summary(const Job& job) const {
  JobSummary summary;
  const auto index = of_job(job.namespace_, job.id);
  if (index) summary = index->summary;
  for (const TaskGroup& group : job.groups) summary[group.name];
  if (!index) return summary;
  EvalPtr newest;
  index->evals.each([&](const EvalPtr& eval) {
    if (eval->status == EvalStatus::kPending || eval->status == EvalStatus::kCancelled) return;
    if (!newest || eval->modify_index > newest->modify_index ||
        (eval->modify_index == newest->modify_index && eval->status == EvalStatus::kBlocked)) {
      newest = eval;
    }
  });
  if (newest) {
    for (const auto& [group, count] : newest->queued_allocs) {
      if (const auto at = summary.find(group); at != summary.end()) at->second.queued = count;
    }
  }
  return summary;
}

uint64_t Snapshot::last_change(const Topic& topic) const {
  const Tables& t = *tables_;
  const auto kind = [&](RecordKind of) { return t.last_change[static_cast<size_t>(of)]; };
  const auto record = [&](const auto& table, const RecordKey& key, RecordKind of) {
    const auto* found = table.find(key);
    return found ? (*found)->modify_index : kind(of);
  };
  switch (topic.kind) {
    case Topic::Kind::kNodes:
      return topic.id.empty() ? kind(RecordKind::kNode)
                              : record(t.nodes, {topic.id, {}}, RecordKind::kNode);
    case Topic::Kind::kJobs:
      return topic.id.empty() ? kind(RecordKind::kJob)
                              : record(t.jobs, {topic.id, topic.space}, RecordKind::kJob);
    case Topic::Kind::kEvals:
      return topic.id.empty() ? kind(RecordKind::kEval)
                              : record(t.evals, {topic.id, {}}, RecordKind::kEval);
    case Topic::Kind::kAllocs:
      return topic.id.empty() ? kind(RecordKind::kAlloc)
                              : record(t.allocs, {topic.id, {}}, RecordKind::kAlloc);
    case Topic::Kind::kDeployments:
      return topic.id.empty() ? kind(RecordKind::kDeployment)
                              : record(t.deployments, {topic.id, {}}, RecordKind::kDeployment);
    case Topic::Kind::kAllocsOfNode: {
      const auto* found = t.by_node.find({topic.id, {}});
      return found ? (*found)->last_change : 0;
    }
    case Topic::Kind::kOrdersOfNode: {
      const auto* found = t.by_node.find({topic.id, {}});
      return found ? (*found)->last_order : 0;
    }
    case Topic::Kind::kOfJob: {
      const auto* found = t.by_job.find({topic.id, topic.space});
      return found ? (*found)->last_change : 0;
    }
  }
  return t.index;
}

// ---------------------------------------------------------------------------------------------
// State

bool Commit::touches(RecordKind kind) const {
  switch (kind) {
    case RecordKind::kNode:
      if (!nodes.empty()) return true;
      break;
    case RecordKind::kJob:
      if (!jobs.empty()) return true;
      break;
    case RecordKind::kEval:
      if (!evals.empty()) return true;
      break;
    case RecordKind::kAlloc:
      if (!allocs.empty()) return true;
      break;
    case RecordKind::kDeployment:
      if (!deployments.empty()) return true;
      break;
  }
  return std::any_of(deletes.begin(), deletes.end(),
                     [&](const Delete& what) { return what.kind == kind; });
}

Snapshot State::snapshot() {
  return Snapshot(tables_);
}

void State::reset(const Snapshot& snapshot) {
  tables_ = std::make_shared<Tables>(snapshot.tables());
}

Tables& State::writable() {
  if (tables_.use_count() != 1) tables_ = std::make_shared<Tables>(*tables_);
  return *tables_;
}

NodeIndex& State::node_index(const std::string& id) {
  Tables& t = *tables_;
  if (NodeIndex* found = t.by_node.edit({id, {}})) return *found;
  auto fresh = std::make_shared<NodeIndex>();
  fresh->id = id;
  t.by_node.put(std::move(fresh));
  return *t.by_node.edit({id, {}});
}

JobIndex& State::job_index(const std::string& space, const std::string& id) {
  Tables& t = *tables_;
  if (JobIndex* found = t.by_job.edit({id, space})) return *found;
  auto fresh = std::make_shared<JobIndex>();
  fresh->id = id;
  fresh->space = space;
  t.by_job.put(std::move(fresh));
  return *t.by_job.edit({id, space});
}

void State::fill_indexes(Commit& commit) {
  Tables& t = *tables_;
  const uint64_t index = commit.index;
  const auto stamp = [&](auto& record, const auto& table) {
    const auto* old = table.find(record_key(record));
    record.create_index = old ? (*old)->create_index : index;
    record.modify_index = index;
  };
  for (const auto& node : commit.nodes) stamp(*node, t.nodes);
  for (const auto& job : commit.jobs) {
    stamp(*job, t.jobs);
    if (job->job_modify_index == 0) job->job_modify_index = index;
  }
  for (const auto& eval : commit.evals) {
    stamp(*eval, t.evals);
    if (eval->create_time_ns == 0) eval->create_time_ns = commit.time_ns;
    eval->modify_time_ns = commit.time_ns;
  }
  for (const auto& alloc : commit.allocs) {
    stamp(*alloc, t.allocs);
    if (alloc->alloc_modify_index == 0) alloc->alloc_modify_index = index;
    if (alloc->create_time_ns == 0) alloc->create_time_ns = commit.time_ns;
    alloc->modify_time_ns = commit.time_ns;
  }
  for (const auto& deployment : commit.deployments) {
    stamp(*deployment, t.deployments);
    if (deployment->create_time_ns == 0) deployment->create_time_ns = commit.time_ns;
  }
}

void State::apply(Commit& commit) {
  commit.index = index() + 1;
  writable();
  fill_indexes(commit);
  install(commit);
}

void State::replay(Commit& commit) {
  CHECK(commit.index >= index());
  writable();
  install(commit);
}

void State::install(const Commit& commit) {
  Tables& t = *tables_;
  t.index = commit.index;
  t.time_ns = std::max(t.time_ns, commit.time_ns);
  if (commit.meta) t.meta = *commit.meta;
  for (const auto& node : commit.nodes) put_node(node);
  for (const auto& job : commit.jobs) put_job(job);
  for (const auto& eval : commit.evals) put_eval(eval);
  for (const auto& deployment : commit.deployments) put_deployment(deployment);
  for (const auto& alloc : commit.allocs) put_alloc(alloc);
  for (const auto& what : commit.deletes) remove(what);
  for (size_t kind = 0; kind < kRecordKinds; ++kind) {
    if (commit.touches(static_cast<RecordKind>(kind))) t.last_change[kind] = commit.index;
  }
}

void State::put_node(const std::shared_ptr<Node>& node) {
  tables_->nodes.put(node);
}

void State::put_job(const std::shared_ptr<Job>& job) {
  Tables& t = *tables_;
  t.versions.put(std::make_shared<JobVersion>(JobVersion{job}));
  const JobPtr* current = t.jobs.find(record_key(*job));
  // An older version may be written again (it became stable); the newest stays the job.
  if (!current || (*current)->version <= job->version) t.jobs.put(job);
  trim_versions(*job);
}

void State::trim_versions(const Job& job) {
  Tables& t = *tables_;
  std::vector<uint64_t> versions;
  t.versions.visit_from({job.id, job.namespace_, 0},
                        [&](const std::shared_ptr<const JobVersion>& item) {
                          if (item->job->id != job.id || item->job->namespace_ != job.namespace_) {
                            return false;
                          }
                          versions.push_back(static_cast<uint64_t>(item->job->version));
                          return true;
                        });
  if (versions.size() <= kMaxJobVersions) return;
  std::set<uint64_t> needed;
  if (const auto index = t.by_job.get({job.id, job.namespace_})) {
    index->allocs.each(
        [&](const AllocPtr& alloc) { needed.insert(static_cast<uint64_t>(alloc->job->version)); });
    index->deployments.each([&](const DeploymentPtr& deployment) {
      if (deployment->active()) needed.insert(static_cast<uint64_t>(deployment->job_version));
    });
  }
  for (size_t i = 0; i + kMaxJobVersions < versions.size(); ++i) {
    if (!needed.contains(versions[i])) t.versions.remove({job.id, job.namespace_, versions[i]});
  }
}

void State::put_eval(const std::shared_ptr<Evaluation>& eval) {
  Tables& t = *tables_;
  const EvalPtr old = t.evals.put(eval);
  JobIndex& index = job_index(eval->namespace_, eval->job_id);
  index.evals.put(eval);
  index.live_evals += (eval->is_terminal() ? 0 : 1) - (old && !old->is_terminal() ? 1 : 0);
  index.last_change = t.index;
}

namespace {

int64_t& count_of(GroupSummary& summary, ClientStatus status) {
  switch (status) {
    case ClientStatus::kPending: return summary.starting;
    case ClientStatus::kRunning: return summary.running;
    case ClientStatus::kComplete: return summary.complete;
    case ClientStatus::kFailed: return summary.failed;
    case ClientStatus::kLost: return summary.lost;
    case ClientStatus::kUnknown: return summary.unknown;
  }
  return summary.unknown;
}

}  // namespace

void State::put_alloc(const std::shared_ptr<Allocation>& alloc) {
  Tables& t = *tables_;
  CHECK(alloc->job);
  const AllocPtr old = t.allocs.put(alloc);
  CHECK(!old || (old->node_id == alloc->node_id && old->job_id() == alloc->job_id()));

  NodeIndex& node = node_index(alloc->node_id);
  node.allocs.put(alloc);
  // Most updates are a change of status: then nothing moves in the sums.
  const bool same_share = old && old->occupies() == alloc->occupies() &&
                          old->terminal() == alloc->terminal() && old->ports == alloc->ports &&
                          old->cpu_mhz == alloc->cpu_mhz && old->memory_mb == alloc->memory_mb &&
                          old->disk_mb == alloc->disk_mb;
  if (!same_share) {
    if (old) node.usage.remove(*old);
    node.usage.add(*alloc);
  }
  node.last_change = t.index;
  if (alloc->alloc_modify_index == t.index) node.last_order = t.index;

  JobIndex& job = job_index(alloc->namespace_name(), alloc->job_id());
  job.allocs.put(alloc);
  if (old) {
    --count_of(job.summary[old->group], old->client_status);
    if (!old->terminal()) --job.live_allocs;
  }
  ++count_of(job.summary[alloc->group], alloc->client_status);
  if (!alloc->terminal()) ++job.live_allocs;
  job.last_change = t.index;
}

void State::put_deployment(const std::shared_ptr<Deployment>& deployment) {
  Tables& t = *tables_;
  t.deployments.put(deployment);
  JobIndex& index = job_index(deployment->namespace_, deployment->job_id);
  index.deployments.put(deployment);
  index.last_change = t.index;
}

void State::remove(const Commit::Delete& what) {
  Tables& t = *tables_;
  const auto forget_job_index = [&](const JobIndex& index) {
    if (index.allocs.empty() && index.evals.empty() && index.deployments.empty()) {
      const std::string id = index.id, space = index.space;
      t.by_job.remove({id, space});
    }
  };
  switch (what.kind) {
    case RecordKind::kNode:
      t.nodes.remove({what.id, {}});
      if (const auto index = t.by_node.get({what.id, {}}); index && index->allocs.empty()) {
        t.by_node.remove({what.id, {}});
      }
      return;
    case RecordKind::kJob: remove_job(what.space, what.id); return;
    case RecordKind::kEval:
      if (const EvalPtr old = t.evals.remove({what.id, {}})) {
        JobIndex& index = job_index(old->namespace_, old->job_id);
        index.evals.remove({what.id, {}});
        if (!old->is_terminal()) --index.live_evals;
        index.last_change = t.index;
        forget_job_index(index);
      }
      return;
    case RecordKind::kAlloc:
      if (const AllocPtr old = t.allocs.remove({what.id, {}})) {
        NodeIndex& node = node_index(old->node_id);
        node.allocs.remove({what.id, {}});
        node.usage.remove(*old);
        node.last_change = node.last_order = t.index;
        if (node.allocs.empty() && !t.nodes.find({old->node_id, {}})) {
          t.by_node.remove({old->node_id, {}});
        }
        JobIndex& job = job_index(old->namespace_name(), old->job_id());
        job.allocs.remove({what.id, {}});
        --count_of(job.summary[old->group], old->client_status);
        if (!old->terminal()) --job.live_allocs;
        job.last_change = t.index;
        forget_job_index(job);
      }
      return;
    case RecordKind::kDeployment:
      if (const DeploymentPtr old = t.deployments.remove({what.id, {}})) {
        JobIndex& index = job_index(old->namespace_, old->job_id);
        index.deployments.remove({what.id, {}});
        index.last_change = t.index;
        forget_job_index(index);
      }
      return;
  }
}

void State::remove_job(const std::string& space, const std::string& id) {
  Tables& t = *tables_;
  t.jobs.remove({id, space});
  std::vector<uint64_t> versions;
  t.versions.visit_from({id, space, 0}, [&](const std::shared_ptr<const JobVersion>& item) {
    if (item->job->id != id || item->job->namespace_ != space) return false;
    versions.push_back(static_cast<uint64_t>(item->job->version));
    return true;
  });
  for (const uint64_t version : versions) t.versions.remove({id, space, version});
}

}  // namespace sluice::orchestrator
