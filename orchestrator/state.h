// State: the cluster's records with one global index, and Snapshot, an immutable view of them.
//
// A Commit is a batch of upserts and deletes; applying one makes the index grow by one.
// State::apply is the only place that changes records, so the secondary indexes and the sums (what
// a node's allocations take, a job's counts) are kept there and nowhere else.
//
// Thread: State belongs to the control loop. A Snapshot is made in constant time, copied freely,
// and read and dropped on any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/acl.h"
#include "orchestrator/records.h"
#include "orchestrator/table.h"

namespace sluice::orchestrator {

inline RecordKey record_key(const Node& node) {
  return {node.id, {}, 0};
}
inline RecordKey record_key(const Evaluation& eval) {
  return {eval.id, {}, 0};
}
inline RecordKey record_key(const Allocation& alloc) {
  return {alloc.id, {}, 0};
}
inline RecordKey record_key(const Deployment& deployment) {
  return {deployment.id, {}, 0};
}
inline RecordKey record_key(const Job& job) {
  return {job.id, job.namespace_, 0};
}

/// One kept version of a job.
struct JobVersion {
  JobPtr job;
};
inline RecordKey record_key(const JobVersion& version) {
  return {version.job->id, version.job->namespace_, static_cast<uint64_t>(version.job->version)};
}
inline RecordKey record_key(const JobScaling& scaling) {
  return {scaling.job_id, scaling.namespace_, 0};
}
inline RecordKey record_key(const JobSubmission& submission) {
  return {submission.job_id, submission.namespace_, static_cast<uint64_t>(submission.version)};
}
inline constexpr size_t kMaxJobVersions = 6;  // beyond those that an allocation or deployment needs

/// (address, port) pairs in use on a node, sorted.
struct UsedPort {
  uint16_t port = 0;
  uint32_t address = 0;  // 0: every address; else a hash of its text
  auto operator<=>(const UsedPort&) const = default;
};
/// 0 for "", "0.0.0.0" and "::".
uint32_t port_address(std::string_view address);

/// What is taken on a node. An allocation that was told to stop gives its processor, memory and
/// disk back at once, as Nomad has it. Its ports stay with it until the node says that its tasks
/// are gone: no dynamic port is given out before that, and a static one only to an allocation on
/// the same node, which the node does not start before (records.h, Allocation).
struct Usage {
  int64_t cpu_mhz = 0;
  int64_t memory_mb = 0;
  int64_t disk_mb = 0;
  CpuList cores;                   // of allocations that shall run
  std::vector<UsedPort> ports;     // of allocations that shall run
  std::vector<UsedPort> stopping;  // of those that are still stopping

  /// Counts the allocation in, or out, as its state demands; remove() undoes add() of the same
  /// record.
  void add(const Allocation& alloc);
  void remove(const Allocation& alloc);
};

/// Whether binding (address, port) would meet one of `ports`.
bool port_taken(const std::vector<UsedPort>& ports, uint32_t address, uint16_t port);
void take_port(std::vector<UsedPort>& ports, uint32_t address, uint16_t port);
void free_port(std::vector<UsedPort>& ports, uint32_t address, uint16_t port);
void take_cores(CpuList& used, const CpuList& cores);
void free_cores(CpuList& used, const CpuList& cores);

/// What belongs to one node.
struct NodeIndex {
  std::string id;
  Table<Allocation> allocs;
  Usage usage;
  uint64_t last_change = 0;  // of any of its allocations
  uint64_t last_order = 0;   // by the server: what the node's fetch waits for
};
inline RecordKey record_key(const NodeIndex& index) {
  return {index.id, {}, 0};
}

/// What belongs to one job id, also before and after the job's record exists.
struct JobIndex {
  std::string id;
  std::string space;
  Table<Allocation> allocs;
  Table<Evaluation> evals;
  Table<Deployment> deployments;
  JobSummary summary;        // without `queued`
  int64_t live_allocs = 0;   // neither stopped nor over
  int64_t live_evals = 0;    // not terminal
  uint64_t last_change = 0;  // of any of these
};
inline RecordKey record_key(const JobIndex& index) {
  return {index.id, index.space, 0};
}

/// Cluster-wide settings of the store itself.
struct ClusterMeta {
  std::string cluster_id;
  uint64_t term = 0;  // grows at each start of a leader
  AclRecords acl;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("ClusterID", s.cluster_id);
    v("Term", s.term);
    v("ACL", s.acl);
  }
  bool operator==(const ClusterMeta&) const = default;
};

enum class RecordKind : uint8_t { kNode, kJob, kEval, kAlloc, kDeployment };
inline constexpr size_t kRecordKinds = 5;

/// When what was changed last, of everything that keeps it beside its records: the end of a
/// checkpoint, so that blocking queries and nodes go on where they were.
struct ChangeMarks {
  struct OfNode {
    std::string id;
    uint64_t last_change = 0;
    uint64_t last_order = 0;
  };
  struct OfJob {
    std::string id;
    std::string space;
    uint64_t last_change = 0;
  };
  std::vector<uint64_t> kinds;  // by RecordKind
  std::vector<OfNode> nodes;
  std::vector<OfJob> jobs;
};

/// A batch of changes. Pointers are records as they shall be, but for their indexes, which
/// State::apply fills in (create_index where it is 0, modify_index always).
struct Commit {
  uint64_t index = 0;  // filled by State::apply
  int64_t time_ns = 0;
  std::vector<std::shared_ptr<Node>> nodes;
  std::vector<std::shared_ptr<Job>>
      jobs;  // a new version where job->version is new, else its fields
  /// Kept beside the job's own record. State::apply adds what its allocations name and the state
  /// has not; a checkpoint says the older versions so.
  std::vector<JobPtr> versions;
  std::vector<std::shared_ptr<JobScaling>> scalings;
  std::vector<std::shared_ptr<JobSubmission>> submissions;  // of versions that are there
  std::vector<std::shared_ptr<Evaluation>> evals;
  std::vector<std::shared_ptr<Allocation>> allocs;
  std::vector<std::shared_ptr<Deployment>> deployments;
  struct Delete {
    RecordKind kind;
    std::string id;
    std::string space;
  };
  // After the upserts. A deleted job's versions stay as long as an allocation or a deployment is of
  // them.
  std::vector<Delete> deletes;
  std::shared_ptr<ClusterMeta> meta;
  std::shared_ptr<const ChangeMarks> marks;  // of a checkpoint alone

  [[nodiscard]] bool touches(RecordKind kind) const;
  [[nodiscard]] bool empty() const {
    return nodes.empty() && jobs.empty() && evals.empty() && allocs.empty() &&
           deployments.empty() && scalings.empty() && submissions.empty() && deletes.empty() &&
           !meta;
  }
};

/// What a blocking query waits for. An empty id is the whole kind.
struct Topic {
  enum class Kind : uint8_t {
    kNodes,         // id: a node
    kJobs,          // id, space: a job and its versions
    kEvals,         // id: an evaluation
    kAllocs,        // id: an allocation
    kDeployments,   // id: a deployment
    kAllocsOfNode,  // id: a node
    kOrdersOfNode,  // id: a node; only what the server changed
    kOfJob,         // id, space: the job's allocations, evaluations, deployments, scaling events
  };
  Kind kind = Kind::kJobs;
  std::string id;
  std::string space;
  auto operator<=>(const Topic&) const = default;
};

/// The records and indexes; Snapshot and State are made of it.
struct Tables {
  uint64_t index = 0;
  int64_t time_ns = 0;  // of the last commit
  ClusterMeta meta;
  Table<Node> nodes;
  Table<Job> jobs;
  Table<JobVersion> versions;
  Table<JobScaling> scalings;
  Table<JobSubmission> submissions;
  Table<Evaluation> evals;
  Table<Allocation> allocs;
  Table<Deployment> deployments;
  Table<NodeIndex> by_node;
  Table<JobIndex> by_job;
  uint64_t last_change[kRecordKinds] = {};  // by RecordKind, deletes too
};

/// Calls visit(job) for each kept version, oldest first.
template <class F>
void each_version(const Tables& tables, std::string_view space, std::string_view id, F&& visit) {
  tables.versions.visit_from({id, space, 0}, [&](const std::shared_ptr<const JobVersion>& item) {
    if (item->job->id != id || item->job->namespace_ != space) return false;
    visit(item->job);
    return true;
  });
}

class Snapshot {
 public:
  Snapshot() : tables_(std::make_shared<Tables>()) {}
  explicit Snapshot(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}

  [[nodiscard]] uint64_t index() const { return tables_->index; }
  [[nodiscard]] const ClusterMeta& meta() const { return tables_->meta; }
  [[nodiscard]] const Tables& tables() const { return *tables_; }

  // nullptr: not there.
  [[nodiscard]] NodePtr node(std::string_view id) const { return tables_->nodes.get({id}); }
  [[nodiscard]] EvalPtr eval(std::string_view id) const { return tables_->evals.get({id}); }
  [[nodiscard]] AllocPtr alloc(std::string_view id) const { return tables_->allocs.get({id}); }
  [[nodiscard]] DeploymentPtr deployment(std::string_view id) const {
    return tables_->deployments.get({id});
  }
  [[nodiscard]] JobPtr job(std::string_view space, std::string_view id) const {
    return tables_->jobs.get({id, space});
  }
  /// Versions of the job that is there now; those of a purged one of the same name are not its own.
  [[nodiscard]] JobPtr job_version(std::string_view space, std::string_view id,
                                   int64_t version) const;
  /// Newest first.
  [[nodiscard]] std::vector<JobPtr> job_versions(std::string_view space, std::string_view id) const;
  [[nodiscard]] std::shared_ptr<const JobScaling> scaling(std::string_view space,
                                                          std::string_view id) const {
    return tables_->scalings.get({id, space, 0});
  }
  /// Of a version that job_version() has.
  [[nodiscard]] std::shared_ptr<const JobSubmission> submission(std::string_view space,
                                                                std::string_view id,
                                                                int64_t version) const {
    return tables_->submissions.get({id, space, static_cast<uint64_t>(version)});
  }
  /// The highest number that a kept version has, a purged job's too; -1: none is kept.
  [[nodiscard]] int64_t last_job_version(std::string_view space, std::string_view id) const;
  [[nodiscard]] std::shared_ptr<const JobIndex> of_job(std::string_view space,
                                                       std::string_view id) const {
    return tables_->by_job.get({id, space});
  }
  [[nodiscard]] std::shared_ptr<const NodeIndex> of_node(std::string_view id) const {
    return tables_->by_node.get({id});
  }
  /// The job's newest deployment, or nullptr.
  [[nodiscard]] DeploymentPtr latest_deployment(std::string_view space, std::string_view id) const;

  /// "pending", "running" or "dead".
  [[nodiscard]] std::string_view job_status(const Job& job) const;
  /// Counts by group, `queued` from the job's newest evaluations included.
  [[nodiscard]] JobSummary job_summary(const Job& job) const;
  /// Of a periodic or parameterized job; zeros for every other.
  [[nodiscard]] JobChildren job_children(const Job& job) const;

  /// The index of the last commit that touched it; for X-Nomad-Index. Of something that is not
  /// there: of its kind.
  [[nodiscard]] uint64_t last_change(const Topic& topic) const;

 private:
  std::shared_ptr<const Tables> tables_;
};

class State {
 public:
  State() : tables_(std::make_shared<Tables>()) {}
  /// Continues from what a store loaded, or from before a failed commit.
  explicit State(const Snapshot& snapshot) : tables_(std::make_shared<Tables>(snapshot.tables())) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[nodiscard]] uint64_t index() const { return tables_->index; }
  [[nodiscard]] Snapshot snapshot();
  void reset(const Snapshot& snapshot);

  /// Applies the commit as index() + 1. CHECKs that what it refers to exists (an allocation's job).
  void apply(Commit& commit);
  /// Takes the commit's and its records' indexes as they are: a store's log or checkpoint being
  /// read.
  void replay(Commit& commit);

 private:
  void fill_indexes(Commit& commit);
  void keep_named_versions(Commit& commit);
  void install(const Commit& commit);
  void put_node(const std::shared_ptr<Node>& node);
  void put_job(const std::shared_ptr<Job>& job);
  void put_scaling(const std::shared_ptr<JobScaling>& scaling);
  void put_eval(const std::shared_ptr<Evaluation>& eval);
  void put_alloc(const std::shared_ptr<Allocation>& alloc);
  void put_deployment(const std::shared_ptr<Deployment>& deployment);
  void remove(const Commit::Delete& what);
  void trim_versions(const std::string& space, const std::string& id);
  void restore_marks(const ChangeMarks& marks);
  Tables& writable();
  NodeIndex& node_index(const std::string& id);
  JobIndex& job_index(const std::string& space, const std::string& id);

  std::shared_ptr<Tables> tables_;
};

/// Calls visit(Topic::Kind, id, space) for each topic that an applied commit touched but for the
/// whole kinds; some more than once.
template <class F>
void visit_touched(const Commit& commit, F&& visit) {
  using Kind = Topic::Kind;
  for (const auto& node : commit.nodes) visit(Kind::kNodes, node->id, "");
  for (const auto& job : commit.jobs) visit(Kind::kJobs, job->id, job->namespace_);
  for (const auto& scaling : commit.scalings) {
    visit(Kind::kOfJob, scaling->job_id, scaling->namespace_);
  }
  for (const auto& eval : commit.evals) {
    visit(Kind::kEvals, eval->id, "");
    visit(Kind::kOfJob, eval->job_id, eval->namespace_);
  }
  for (const auto& alloc : commit.allocs) {
    visit(Kind::kAllocs, alloc->id, "");
    visit(Kind::kAllocsOfNode, alloc->node_id, "");
    if (alloc->alloc_modify_index == commit.index) visit(Kind::kOrdersOfNode, alloc->node_id, "");
    visit(Kind::kOfJob, alloc->job_id(), alloc->namespace_name());
  }
  for (const auto& deployment : commit.deployments) {
    visit(Kind::kDeployments, deployment->id, "");
    visit(Kind::kOfJob, deployment->job_id, deployment->namespace_);
  }
}

}  // namespace sluice::orchestrator
