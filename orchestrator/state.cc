// The writing half of orchestrator/state.h: State.
#include "orchestrator/state.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/check.h"

namespace sluice::orchestrator {

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
  for (const auto& scaling : commit.scalings) {
    for (auto& [group, events] : scaling->groups) {
      if (!events.empty() && events[0].create_index == 0) events[0].create_index = index;
    }
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

/// So that an allocation's version can be read back by its number, whatever happened to its job
/// between the plan and this commit.
void State::keep_named_versions(Commit& commit) {
  std::set<RecordKey> named;
  for (const auto& job : commit.jobs) named.insert(record_key(JobVersion{job}));
  for (const auto& alloc : commit.allocs) {
    const RecordKey key = record_key(JobVersion{alloc->job});
    if (tables_->versions.find(key) || !named.insert(key).second) continue;
    commit.versions.push_back(alloc->job);
  }
}

void State::apply(Commit& commit) {
  commit.index = index() + 1;
  writable();
  fill_indexes(commit);
  keep_named_versions(commit);
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
  for (const auto& job : commit.versions) {
    t.versions.put(std::make_shared<JobVersion>(JobVersion{job}));
  }
  for (const auto& submission : commit.submissions) t.submissions.put(submission);
  for (const auto& scaling : commit.scalings) put_scaling(scaling);
  for (const auto& eval : commit.evals) put_eval(eval);
  for (const auto& deployment : commit.deployments) put_deployment(deployment);
  for (const auto& alloc : commit.allocs) put_alloc(alloc);
  for (const auto& what : commit.deletes) remove(what);
  for (size_t kind = 0; kind < kRecordKinds; ++kind) {
    if (commit.touches(static_cast<RecordKind>(kind))) t.last_change[kind] = commit.index;
  }
  if (commit.marks) restore_marks(*commit.marks);
}

void State::restore_marks(const ChangeMarks& marks) {
  Tables& t = *tables_;
  for (size_t kind = 0; kind < std::min(marks.kinds.size(), kRecordKinds); ++kind) {
    t.last_change[kind] = marks.kinds[kind];
  }
  for (const ChangeMarks::OfNode& mark : marks.nodes) {
    NodeIndex& index = node_index(mark.id);
    index.last_change = mark.last_change;
    index.last_order = mark.last_order;
  }
  for (const ChangeMarks::OfJob& mark : marks.jobs) {
    job_index(mark.space, mark.id).last_change = mark.last_change;
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
  trim_versions(job->namespace_, job->id);
}

/// Keeps the newest few of a job that is there, the last stable one, to which a failed deployment
/// goes back, and what an allocation or a deployment is of.
void State::trim_versions(const std::string& space, const std::string& id) {
  Tables& t = *tables_;
  std::vector<uint64_t> versions;
  std::set<uint64_t> needed;
  const size_t newest = t.jobs.find({id, space}) ? kMaxJobVersions : 0;
  std::optional<uint64_t> stable;
  each_version(t, space, id, [&](const JobPtr& job) {
    versions.push_back(static_cast<uint64_t>(job->version));
    if (job->stable) stable = versions.back();
  });
  if (versions.size() <= newest) return;
  if (stable && newest > 0) needed.insert(*stable);
  if (const auto index = t.by_job.get({id, space})) {
    index->allocs.each(
        [&](const AllocPtr& alloc) { needed.insert(static_cast<uint64_t>(alloc->job->version)); });
    index->deployments.each([&](const DeploymentPtr& deployment) {
      if (deployment->active()) needed.insert(static_cast<uint64_t>(deployment->job_version));
    });
  }
  for (size_t i = 0; i + newest < versions.size(); ++i) {
    if (needed.contains(versions[i])) continue;
    t.versions.remove({id, space, versions[i]});
    t.submissions.remove({id, space, versions[i]});
  }
}

void State::put_scaling(const std::shared_ptr<JobScaling>& scaling) {
  tables_->scalings.put(scaling);
  job_index(scaling->namespace_, scaling->job_id).last_change = tables_->index;
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
                          old->disk_mb == alloc->disk_mb && old->cores == alloc->cores;
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
    const std::string id = index.id, space = index.space;
    const bool no_allocs = index.allocs.empty();
    if (no_allocs && index.evals.empty() && index.deployments.empty()) t.by_job.remove({id, space});
    // A purged job's versions go with the last of what was of them.
    if (no_allocs && !t.jobs.find({id, space})) trim_versions(space, id);
  };
  switch (what.kind) {
    case RecordKind::kNode:
      t.nodes.remove({what.id, {}});
      if (const auto index = t.by_node.get({what.id, {}}); index && index->allocs.empty()) {
        t.by_node.remove({what.id, {}});
      }
      return;
    case RecordKind::kJob:
      t.jobs.remove({what.id, what.space});
      t.scalings.remove({what.id, what.space, 0});
      trim_versions(what.space, what.id);
      return;
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

}  // namespace sluice::orchestrator
