// The reading half of orchestrator/state.h: usage, ports, Snapshot.
#include "orchestrator/state.h"

#include <algorithm>

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

void take_cores(CpuList& used, const CpuList& cores) {
  for (const int64_t core : cores) used.insert(std::ranges::lower_bound(used, core), core);
}

void free_cores(CpuList& used, const CpuList& cores) {
  for (const int64_t core : cores) {
    const auto at = std::ranges::lower_bound(used, core);
    if (at != used.end() && *at == core) used.erase(at);
  }
}

void Usage::add(const Allocation& alloc) {
  if (!alloc.occupies()) return;
  if (!alloc.terminal()) {
    cpu_mhz += alloc.cpu_mhz;
    memory_mb += alloc.memory_mb;
    disk_mb += alloc.disk_mb;
    for (const AssignedCores& each : alloc.cores) take_cores(cores, each.cores);
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
    for (const AssignedCores& each : alloc.cores) free_cores(cores, each.cores);
  }
  auto& from = alloc.terminal() ? stopping : ports;
  for (const AssignedPort& port : alloc.ports) {
    free_port(from, port_address(port.host_ip), port.value);
  }
}

// ------------------------------------------------------------------------------------------
// Snapshot

JobPtr Snapshot::job_version(std::string_view space, std::string_view id, int64_t version) const {
  const JobPtr current = job(space, id);
  const auto found = tables_->versions.get({id, space, static_cast<uint64_t>(version)});
  if (!current || !found || found->job->create_index != current->create_index) return nullptr;
  return found->job;
}

std::vector<JobPtr> Snapshot::job_versions(std::string_view space, std::string_view id) const {
  std::vector<JobPtr> out;
  const JobPtr current = job(space, id);
  if (!current) return out;
  each_version(*tables_, space, id, [&](const JobPtr& version) {
    if (version->create_index == current->create_index) out.push_back(version);
  });
  std::reverse(out.begin(), out.end());
  return out;
}

int64_t Snapshot::last_job_version(std::string_view space, std::string_view id) const {
  int64_t last = -1;
  each_version(*tables_, space, id, [&](const JobPtr& version) { last = version->version; });
  return last;
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

JobChildren Snapshot::job_children(const Job& job) const {
  JobChildren children;
  if (!job.is_template()) return children;
  const std::string prefix = job.id + "/";
  tables_->jobs.visit_from({prefix, {}, 0}, [&](const JobPtr& child) {
    if (!child->id.starts_with(prefix)) return false;
    if (child->parent_id != job.id || child->namespace_ != job.namespace_) return true;
    const std::string_view status = job_status(*child);
    ++(status == "running" ? children.running
       : status == "dead"  ? children.dead
                           : children.pending);
    return true;
  });
  return children;
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

}  // namespace sluice::orchestrator
