// Server: the server component. Registers jobs, runs the scheduler's loop (evaluation -> plan ->
// commit), watches nodes and deployments, and answers reads from snapshots.
//
// Owner: main.cc (or the simulation). Thread: the control loop; schedule() itself runs on the pool.
// The API (orchestrator/api) calls these methods and nothing else of the server.
//
// Every write returns once it is durable. Errors carry the text that Nomad's client expects; codes:
// kInvalid (400), kNotFound (404), kConflict (500 with Nomad's own text), kUnavailable (503: the
// store takes no writes now), kLimit (429).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/env.h"
#include "core/log.h"
#include "core/result.h"
#include "core/scope.h"
#include "core/task.h"
#include "orchestrator/job.h"
#include "orchestrator/metrics.h"
#include "orchestrator/node_link.h"
#include "orchestrator/plan.h"
#include "orchestrator/state.h"
#include "orchestrator/store.h"

namespace sluice::orchestrator {

struct ServerOptions {
  std::string region = "global";
  std::string datacenter = "dc1";
  StringList drivers;  // that jobs may name; empty: any
  /// Checks a task's driver block (TaskDriver::validate); pure.
  std::function<Result<void>(std::string_view driver, const Json& config)> validate_config;
  /// The kinds of checks that the catalog asks (Catalog::check_kinds); empty: any.
  StringList check_kinds;
  int64_t min_heartbeat_ttl_ms = 10'000;
  int64_t max_heartbeats_per_second = 50;
  int64_t heartbeat_grace_ms = 10'000;
  int64_t nack_timeout_ms = 60'000;
  int64_t eval_delivery_limit = 3;
  int64_t plan_attempts_service = 5;
  int64_t plan_attempts_batch = 2;
  int64_t port_quarantine_ns = 5 * kMinuteNs;
  int64_t gc_interval_ms = 5 * 60'000;
  int64_t eval_gc_threshold_ns = kHourNs;
  int64_t job_gc_threshold_ns = 4 * kHourNs;
  size_t max_pending_commits = 4096;
  Metrics* metrics = nullptr;
  size_t max_source_bytes = 1'000'000;  // of a job's text with its variables, to be kept
};

struct RegisterRequest {
  Job job;
  bool enforce_index = false;
  uint64_t job_modify_index = 0;  // with enforce_index: 0 means "must not exist"
  bool preserve_counts = false;
  int64_t eval_priority = 0;
  std::optional<JobSubmission> submission;  // what the job came from
  /// A group and what is said of its count, which this changes.
  std::optional<std::pair<std::string, ScalingEvent>> scaling;
  /// `job run -check-plan`: refuse unless a dry run now gives this hash. Empty: no check.
  std::string plan_hash;
};
struct RegisterReply {
  std::string eval_id;  // "" for periodic and parameterized parents
  uint64_t eval_create_index = 0;
  uint64_t job_modify_index = 0;
  std::string warnings;
  uint64_t index = 0;
};

struct PlanReply {
  uint64_t job_modify_index = 0;  // 0: the job does not exist
  Json diff;                      // Nomad's JobDiff
  std::map<std::string, DesiredUpdates> desired_updates;
  std::map<std::string, AllocMetric> failed_groups;
  std::vector<AllocPtr> preempted;
  /// What a run's own evaluation would leave behind: for later, and the one that waits for room.
  std::vector<EvalPtr> created_evals;
  std::string warnings;
  TimeStamp next_periodic_launch;
  std::string plan_hash;
  uint64_t index = 0;
};
/// The reply of PUT /v1/job/:id/plan.
void write_plan_reply(JsonWriter& out, const PlanReply& reply);

struct DispatchRequest {
  std::string space;
  std::string id;
  StringMap meta;
  std::string payload_base64;
  /// Of several dispatches with one token the first counts, as long as its child is known.
  std::string idempotency_token;
  std::string id_prefix;  // stands in the child's id, after "dispatch-"
};

struct ScaleRequest {
  std::string space;
  std::string id;
  std::string group;
  std::optional<int64_t> count;  // nullopt: nothing changes but the events
  std::string message;
  bool error = false;
  Json meta;
  /// Also while a deployment is under way: requests wait for it.
  bool at_once = false;
};

struct DrainRequest {
  std::string node_id;
  std::optional<DrainStrategy> drain;  // nullopt: it ends
  bool mark_eligible = false;
  StringMap meta;
  std::string accessor_id;  // of whoever asks
};

struct EvalReply {
  std::string eval_id;
  uint64_t index = 0;
  int64_t reverted_job_version = -1;  // deployment fail
};

/// A periodic or parameterized job that nobody knows any more: it has left children, and nothing of
/// its own, on the node.
struct MissingParent {
  std::string namespace_;
  std::string id;
  size_t children = 0;
};

struct RecoverReply {
  std::string cluster_id;
  size_t jobs = 0;
  size_t allocs = 0;
  std::vector<MissingParent> missing_parents;
  uint64_t index = 0;
};

class Server {
 public:
  Server(Env env, Log& log, Store& store, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;

  /// Loads the store and opens a new term. Before run() and anything else.
  Task<Result<void>> start();
  /// Works until cancelled: scheduler, heartbeats, deployments, periodic jobs, garbage.
  Task<void> run();

  /// The newest durable state.
  [[nodiscard]] Snapshot snapshot() const;
  /// The snapshot once `topic` has changed after `after_index`, or after `wait_ms`.
  Task<Snapshot> wait(Topic topic, uint64_t after_index, int64_t wait_ms);
  [[nodiscard]] const ServerOptions& options() const;
  /// Empty while the store takes writes, else why it does not.
  [[nodiscard]] std::string_view write_trouble() const;

  // Jobs. `job` need not be canonical.
  Task<Result<RegisterReply>> register_job(RegisterRequest request);
  /// Validation, diff and scheduler's dry run; changes nothing. The very functions that a run uses.
  Task<Result<PlanReply>> plan_job(Job job, bool with_diff);
  /// Canonicalize and validate only. The problems, one a line, or the warnings.
  [[nodiscard]] Result<std::string> validate_job(Job job) const;
  Task<Result<EvalReply>> deregister_job(std::string space, std::string id, bool purge,
                                         int64_t eval_priority = 0, bool no_shutdown_delay = false);
  Task<Result<EvalReply>> evaluate_job(std::string space, std::string id, bool force_reschedule);
  Task<Result<EvalReply>> revert_job(std::string space, std::string id, int64_t version,
                                     std::optional<int64_t> enforce_prior_version);
  /// Changes a group's count, or only says something about it; either way an event of the job.
  Task<Result<RegisterReply>> scale_job(ScaleRequest request);
  Task<Result<EvalReply>> force_periodic(std::string space, std::string id);
  struct DispatchReply {
    std::string child_id;
    std::string eval_id;
    uint64_t job_create_index = 0;
    uint64_t eval_create_index = 0;
    uint64_t index = 0;
  };
  Task<Result<DispatchReply>> dispatch_job(DispatchRequest request);
  /// Whether a failed deployment may go back to this version. The commit's index.
  Task<Result<uint64_t>> set_stable(std::string space, std::string id, int64_t version,
                                    bool stable);

  // Nodes.
  Task<Result<EvalReply>> set_eligibility(std::string node_id, Eligibility eligibility);
  Task<Result<EvalReply>> drain_node(DrainRequest request);
  Task<Result<void>> purge_node(std::string node_id);

  // Allocations.
  Task<Result<EvalReply>> stop_alloc(std::string alloc_id, bool no_shutdown_delay = false);

  // Deployments.
  Task<Result<EvalReply>> promote_deployment(std::string id, bool all, StringList groups);
  Task<Result<EvalReply>> fail_deployment(std::string id,
                                          std::string why = "Deployment marked as failed");
  Task<Result<EvalReply>> pause_deployment(std::string id, bool pause);
  /// The operator's word, which `health_check = "manual"` waits for.
  Task<Result<EvalReply>> set_alloc_health(std::string id, StringList healthy,
                                           StringList unhealthy);

  /// Changes the access records in one commit; `change` may refuse. The commit's index.
  using AclChange = std::move_only_function<Result<void>(AclRecords& records, uint64_t index)>;
  Task<Result<uint64_t>> change_acl(AclChange change);

  /// What the operator said (jobs, nodes' eligibility, access), as text for restore_snapshot.
  Task<Result<std::string>> save_snapshot();
  Task<Result<void>> restore_snapshot(std::string text);

  /// `operator recover`: what the node has becomes this store's, which from then on is of the
  /// node's cluster and goes on above every term and index that the node has seen. kConflict:
  /// there is nothing to recover, or a job of the node is another one here; nothing was changed.
  Task<Result<RecoverReply>> recover(Recovery from);

  /// `system gc`: collects everything that is over, however new.
  Task<Result<void>> collect_garbage();

  /// The direct transport; valid as long as the server.
  [[nodiscard]] NodeLink& node_link();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::orchestrator
