// long: the records and their field tables side by side, read as a reference.
// Records: what the cluster's state is made of (orchestrator/state.h holds them).
//
// Owner: the control loop's State. A record in a snapshot is shared_ptr<const ...>: it never
// changes, a newer one takes its place; so any thread may read it. Every record carries the index
// of the commit that made it (create_index) and of the one that last changed it (modify_index).
//
// Sizes matter for Allocation alone (a million of them): what its job version says is read from
// there and not copied. Empty strings, vectors and maps cost no memory beyond their handles.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/fields.h"
#include "orchestrator/job.h"

namespace sluice::orchestrator {

// ----------------------------------------------------------------------------------------------
// Node

enum class NodeStatus : uint8_t { kInit, kReady, kDown };
template <>
struct EnumNames<NodeStatus> {
  static constexpr std::string_view kNames[] = {"initializing", "ready", "down"};
};

enum class Eligibility : uint8_t { kEligible, kIneligible };
template <>
struct EnumNames<Eligibility> {
  static constexpr std::string_view kNames[] = {"eligible", "ineligible"};
};

/// A (address, port) that nothing scheduled may take. address "" or "0.0.0.0" means every address.
struct ReservedPort {
  std::string address;
  uint16_t port = 0;
  std::string reason;    // "proxy listener", "found busy by alloc 1a2b3c4d"
  int64_t until_ns = 0;  // quarantine ends then (wall clock); 0: for good

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Address", s.address);
    v("Port", s.port);
    v("Reason", s.reason);
    v("Until", s.until_ns);
  }
  bool operator==(const ReservedPort&) const = default;
};

struct NodeDriver {
  bool detected = false;
  bool healthy = false;
  std::string description;
  StringMap attributes;
  TimeStamp update_time;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Attributes", s.attributes);
    v("Detected", s.detected);
    v("HealthDescription", s.description);
    v("Healthy", s.healthy);
    v("UpdateTime", s.update_time);
  }
  bool operator==(const NodeDriver&) const = default;
};

struct DrainStrategy {
  int64_t deadline_ns = 0;  // -1: stop at once; 0: no limit
  bool ignore_system_jobs = false;
  TimeStamp force_deadline;
  TimeStamp started_at;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Deadline", s.deadline_ns);
    v("ForceDeadline", s.force_deadline);
    v("IgnoreSystemJobs", s.ignore_system_jobs);
    v("StartedAt", s.started_at);
  }
  bool operator==(const DrainStrategy&) const = default;
};

struct NodeEvent {
  std::string message;
  std::string subsystem;
  StringMap details;
  TimeStamp timestamp;
  uint64_t create_index = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("CreateIndex", s.create_index);
    v("Details", s.details);
    v("Message", s.message);
    v("Subsystem", s.subsystem);
    v("Timestamp", s.timestamp);
  }
  bool operator==(const NodeEvent&) const = default;
};
inline constexpr size_t kMaxNodeEvents = 10;

struct NodeVolume {
  std::string path;
  bool read_only = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Path", s.path);
    v("ReadOnly", s.read_only);
  }
  bool operator==(const NodeVolume&) const = default;
};

struct Node {
  // What the node says of itself at registration.
  std::string id;
  std::string name;
  std::string datacenter = "dc1";
  std::string node_class;
  std::string node_pool = "default";
  std::string http_addr;  // "": reached through the server
  StringMap
      attributes;  // "kernel.name", "cpu.arch", "driver.docker", "unique.network.ip-address", ...
  StringMap meta;
  std::map<std::string, NodeDriver> drivers;
  std::map<std::string, NodeVolume> host_volumes;
  std::string ip;  // where tasks on the host network are reached
  int64_t cpu_mhz = 0;
  int64_t cpu_cores = 0;
  int64_t memory_mb = 0;
  int64_t disk_mb = 0;
  int64_t reserved_cpu_mhz = 0;
  int64_t reserved_memory_mb = 0;
  int64_t reserved_disk_mb = 0;
  int64_t min_dynamic_port = 20000;
  int64_t max_dynamic_port = 32000;  // inclusive
  std::vector<ReservedPort>
      reserved_ports;  // the agent's own listeners, and what its configuration names

  // The server's.
  std::vector<ReservedPort> quarantined_ports;  // found busy by a start that failed
  NodeStatus status = NodeStatus::kInit;
  std::string status_description;
  int64_t status_updated_at_s = 0;
  Eligibility eligibility = Eligibility::kEligible;
  std::optional<DrainStrategy> drain;
  std::vector<NodeEvent> events;
  std::string computed_class;  // nodes of the same class are alike for feasibility
  uint64_t create_index = 0;
  uint64_t modify_index = 0;

  /// Flat, for the store and between server and node. The API's form is write_node.
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("ID", s.id);
    v("Name", s.name);
    v("Datacenter", s.datacenter);
    v("NodeClass", s.node_class);
    v("NodePool", s.node_pool);
    v("HTTPAddr", s.http_addr);
    v("Attributes", s.attributes);
    v("Meta", s.meta);
    v("Drivers", s.drivers);
    v("HostVolumes", s.host_volumes);
    v("IP", s.ip);
    v("CpuMHz", s.cpu_mhz);
    v("CpuCores", s.cpu_cores);
    v("MemoryMB", s.memory_mb);
    v("DiskMB", s.disk_mb);
    v("ReservedCpuMHz", s.reserved_cpu_mhz);
    v("ReservedMemoryMB", s.reserved_memory_mb);
    v("ReservedDiskMB", s.reserved_disk_mb);
    v("MinDynamicPort", s.min_dynamic_port);
    v("MaxDynamicPort", s.max_dynamic_port);
    v("ReservedPorts", s.reserved_ports);
    v.meta("QuarantinedPorts", s.quarantined_ports);
    v.meta("Status", s.status);
    v.meta("StatusDescription", s.status_description);
    v.meta("StatusUpdatedAt", s.status_updated_at_s);
    v.meta("SchedulingEligibility", s.eligibility);
    v.meta("DrainStrategy", s.drain);
    v.meta("Events", s.events);
    v.meta("ComputedClass", s.computed_class);
    v.meta("CreateIndex", s.create_index);
    v.meta("ModifyIndex", s.modify_index);
  }
  /// New work may be placed here.
  bool accepts_work() const {
    return status == NodeStatus::kReady && eligibility == Eligibility::kEligible && !drain;
  }
};
using NodePtr = std::shared_ptr<const Node>;

// ----------------------------------------------------------------------------------------
// Evaluation

/// One node's score in a placement, by scorer ("binpack", "job-anti-affinity", ...).
struct NodeScore {
  std::string node_id;
  std::map<std::string, double> scores;
  double norm_score = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("NodeID", s.node_id);
    v("NormScore", s.norm_score);
    v("Scores", s.scores);
  }
  bool operator==(const NodeScore&) const = default;
};

using CountMap = std::map<std::string, int64_t>;

/// Why a placement went where it went, or nowhere.
struct AllocMetric {
  int64_t nodes_evaluated = 0;
  int64_t nodes_filtered = 0;  // not feasible
  int64_t nodes_in_pool = 0;
  CountMap nodes_available;  // by datacenter
  CountMap class_filtered;
  CountMap constraint_filtered;
  int64_t nodes_exhausted = 0;  // feasible and full
  CountMap class_exhausted;
  CountMap dimension_exhausted;
  std::vector<NodeScore> score_meta_data;
  int64_t allocation_time_ns = 0;
  int64_t coalesced_failures = 0;  // further instances of the group that failed alike

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("AllocationTime", s.allocation_time_ns);
    v("ClassExhausted", s.class_exhausted);
    v("ClassFiltered", s.class_filtered);
    v("CoalescedFailures", s.coalesced_failures);
    v("ConstraintFiltered", s.constraint_filtered);
    v("DimensionExhausted", s.dimension_exhausted);
    v("NodesAvailable", s.nodes_available);
    v("NodesEvaluated", s.nodes_evaluated);
    v("NodesExhausted", s.nodes_exhausted);
    v("NodesFiltered", s.nodes_filtered);
    v("NodesInPool", s.nodes_in_pool);
    v("ScoreMetaData", s.score_meta_data);
  }
  bool operator==(const AllocMetric&) const = default;
};

enum class EvalStatus : uint8_t { kBlocked, kPending, kComplete, kFailed, kCancelled };
template <>
struct EnumNames<EvalStatus> {
  static constexpr std::string_view kNames[] = {"blocked", "pending", "complete", "failed",
                                                "canceled"};
};

inline constexpr std::string_view kTriggerJobRegister = "job-register";
inline constexpr std::string_view kTriggerJobDeregister = "job-deregister";
inline constexpr std::string_view kTriggerPeriodic = "periodic-job";
inline constexpr std::string_view kTriggerNodeDrain = "node-drain";
inline constexpr std::string_view kTriggerNodeUpdate = "node-update";
inline constexpr std::string_view kTriggerAllocStop = "alloc-stop";
inline constexpr std::string_view kTriggerScheduled = "scheduled";
inline constexpr std::string_view kTriggerRollingUpdate = "rolling-update";
inline constexpr std::string_view kTriggerDeploymentWatcher = "deployment-watcher";
inline constexpr std::string_view kTriggerFailedFollowUp = "failed-follow-up";
inline constexpr std::string_view kTriggerMaxPlans = "max-plan-attempts";
inline constexpr std::string_view kTriggerRetryFailedAlloc = "alloc-failure";
inline constexpr std::string_view kTriggerQueuedAllocs = "queued-allocs";
inline constexpr std::string_view kTriggerPreemption = "preemption";

/// "Look at this job again": the only cause of any change to its allocations.
struct Evaluation {
  std::string id;
  std::string namespace_ = "default";
  int64_t priority = 50;
  std::string type;
  std::string triggered_by;
  std::string job_id;
  uint64_t job_modify_index = 0;
  std::string node_id;
  uint64_t node_modify_index = 0;
  std::string deployment_id;
  EvalStatus status = EvalStatus::kPending;
  std::string status_description;
  TimeStamp wait_until;  // not before
  std::string next_eval;
  std::string previous_eval;
  std::string blocked_eval;
  std::map<std::string, AllocMetric> failed_groups;
  CountMap queued_allocs;
  uint64_t snapshot_index = 0;
  uint64_t create_index = 0;
  uint64_t modify_index = 0;
  int64_t create_time_ns = 0;
  int64_t modify_time_ns = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("ID", s.id);
    v("Namespace", s.namespace_);
    v("Priority", s.priority);
    v("Type", s.type);
    v("TriggeredBy", s.triggered_by);
    v("JobID", s.job_id);
    v("JobModifyIndex", s.job_modify_index);
    v("NodeID", s.node_id);
    v("NodeModifyIndex", s.node_modify_index);
    v("DeploymentID", s.deployment_id);
    v("Status", s.status);
    v("StatusDescription", s.status_description);
    v("WaitUntil", s.wait_until);
    v("NextEval", s.next_eval);
    v("PreviousEval", s.previous_eval);
    v("BlockedEval", s.blocked_eval);
    v("FailedTGAllocs", s.failed_groups);
    v("QueuedAllocations", s.queued_allocs);
    v("SnapshotIndex", s.snapshot_index);
    v("CreateIndex", s.create_index);
    v("ModifyIndex", s.modify_index);
    v("CreateTime", s.create_time_ns);
    v("ModifyTime", s.modify_time_ns);
  }
  bool is_terminal() const {
    return status == EvalStatus::kComplete || status == EvalStatus::kFailed ||
           status == EvalStatus::kCancelled;
  }
};
using EvalPtr = std::shared_ptr<const Evaluation>;

// ----------------------------------------------------------------------------------------
// Allocation

enum class DesiredStatus : uint8_t { kRun, kStop, kEvict };
template <>
struct EnumNames<DesiredStatus> {
  static constexpr std::string_view kNames[] = {"run", "stop", "evict"};
};

enum class ClientStatus : uint8_t { kPending, kRunning, kComplete, kFailed, kLost, kUnknown };
template <>
struct EnumNames<ClientStatus> {
  static constexpr std::string_view kNames[] = {"pending", "running", "complete",
                                                "failed",  "lost",    "unknown"};
};
inline constexpr size_t kClientStatusCount = 6;

enum class TaskRunState : uint8_t { kPending, kRunning, kDead };
template <>
struct EnumNames<TaskRunState> {
  static constexpr std::string_view kNames[] = {"pending", "running", "dead"};
};

/// Nomad's type names: "Received", "Task Setup", "Driver", "Started", "Terminated", "Restarting",
/// "Not Restarting", "Killing", "Killed", "Restart Signaled", "Signaling", "Driver Failure",
/// "Setup Failure", "Alloc Unhealthy", "Leader Task Dead", "Sibling Task Failed".
struct TaskEvent {
  std::string type;
  int64_t time_ns = 0;
  std::string message;  // also DisplayMessage
  StringMap details;    // "exit_code", "signal", "kill_timeout", "oom_killed", ...
  bool fails_task = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Type", s.type);
    v("Time", s.time_ns);
    v("DisplayMessage", s.message);
    v("Details", s.details);
    v("FailsTask", s.fails_task);
  }
  bool operator==(const TaskEvent&) const = default;
};
inline constexpr size_t kMaxTaskEvents = 10;  // the oldest go first

struct TaskState {
  TaskRunState state = TaskRunState::kPending;
  bool failed = false;
  int64_t restarts = 0;
  TimeStamp last_restart;
  TimeStamp started_at;
  TimeStamp finished_at;
  std::vector<TaskEvent> events;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("State", s.state);
    v("Failed", s.failed);
    v("Restarts", s.restarts);
    v("LastRestart", s.last_restart);
    v("StartedAt", s.started_at);
    v("FinishedAt", s.finished_at);
    v("Events", s.events);
  }
  bool operator==(const TaskState&) const = default;
};
using TaskStates = std::map<std::string, TaskState>;

/// A port given to an allocation.
struct AssignedPort {
  std::string task;  // "": the group's network
  std::string label;
  std::string host_ip;
  uint16_t value = 0;  // on the host
  uint16_t to = 0;     // inside the task; 0: the driver's port_map decides

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Task", s.task);
    v("Label", s.label);
    v("HostIP", s.host_ip);
    v("Value", s.value);
    v("To", s.to);
  }
  bool operator==(const AssignedPort&) const = default;
};

struct AllocDeploymentStatus {
  std::optional<bool> healthy;
  TimeStamp timestamp;
  bool canary = false;
  uint64_t modify_index = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Healthy", s.healthy);
    v("Timestamp", s.timestamp);
    v("Canary", s.canary);
    v("ModifyIndex", s.modify_index);
  }
  bool operator==(const AllocDeploymentStatus&) const = default;
};

struct RescheduleEvent {
  int64_t time_ns = 0;
  std::string prev_alloc_id;
  std::string prev_node_id;
  int64_t delay_ns = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("RescheduleTime", s.time_ns);
    v("PrevAllocID", s.prev_alloc_id);
    v("PrevNodeID", s.prev_node_id);
    v("Delay", s.delay_ns);
  }
  bool operator==(const RescheduleEvent&) const = default;
};
inline constexpr size_t kMaxRescheduleEvents = 5;

/// One instance of a group on one node.
///
/// The node's part: where another allocation of the node that was told to stop still holds one of
/// its ports, it starts once that one is over (a rolling update of a static port on the only node).
struct Allocation {
  std::string id;
  std::string name;  // "job.group[2]"
  JobPtr job;        // the version it was made (or last updated in place) from; never null
  std::string group;
  std::string node_id;
  std::string node_name;
  std::string eval_id;
  // Taken on the node, tasks and group together.
  int64_t cpu_mhz = 0;
  int64_t memory_mb = 0;
  int64_t disk_mb = 0;
  std::vector<AssignedPort> ports;

  DesiredStatus desired_status = DesiredStatus::kRun;
  std::string desired_description;
  bool migrate = false;  // desired transition: stop, and place elsewhere (drain, `alloc stop`)
  bool force_reschedule = false;  // desired transition: replace even if the policy says no

  // What the node reported.
  ClientStatus client_status = ClientStatus::kPending;
  std::string client_description;
  TaskStates task_states;
  std::optional<AllocDeploymentStatus> deployment_status;

  std::string deployment_id;
  std::string followup_eval_id;
  std::string previous_alloc;
  std::string next_alloc;
  std::vector<RescheduleEvent> reschedules;
  std::string preempted_by;
  std::shared_ptr<const AllocMetric> metric;

  uint64_t create_index = 0;
  uint64_t modify_index = 0;
  uint64_t alloc_modify_index = 0;  // last change by the server; what the node follows
  int64_t create_time_ns = 0;
  int64_t modify_time_ns = 0;

  /// Flat, for the store, which says job and metric beside it. The API's form is write_allocation.
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("ID", s.id);
    v("Name", s.name);
    v("Group", s.group);
    v("NodeID", s.node_id);
    v("NodeName", s.node_name);
    v("EvalID", s.eval_id);
    v("CpuMHz", s.cpu_mhz);
    v("MemoryMB", s.memory_mb);
    v("DiskMB", s.disk_mb);
    v("Ports", s.ports);
    v("DesiredStatus", s.desired_status);
    v("DesiredDescription", s.desired_description);
    v("Migrate", s.migrate);
    v("ForceReschedule", s.force_reschedule);
    v("ClientStatus", s.client_status);
    v("ClientDescription", s.client_description);
    v("TaskStates", s.task_states);
    v("DeploymentStatus", s.deployment_status);
    v("DeploymentID", s.deployment_id);
    v("FollowupEvalID", s.followup_eval_id);
    v("PreviousAlloc", s.previous_alloc);
    v("NextAlloc", s.next_alloc);
    v("Reschedules", s.reschedules);
    v("PreemptedBy", s.preempted_by);
    v("CreateIndex", s.create_index);
    v("ModifyIndex", s.modify_index);
    v("AllocModifyIndex", s.alloc_modify_index);
    v("CreateTime", s.create_time_ns);
    v("ModifyTime", s.modify_time_ns);
  }

  const std::string& job_id() const { return job->id; }
  const std::string& namespace_name() const { return job->namespace_; }
  const TaskGroup& task_group() const;
  /// The instance number in the name; -1 if the name is not of that form.
  int64_t name_index() const;

  bool client_terminal() const {
    return client_status == ClientStatus::kComplete || client_status == ClientStatus::kFailed ||
           client_status == ClientStatus::kLost;
  }
  bool server_terminal() const { return desired_status != DesiredStatus::kRun; }
  /// Over, or told to be.
  bool terminal() const { return server_terminal() || client_terminal(); }
  /// Still takes its resources and ports: until the node says that its tasks are gone.
  bool occupies() const { return !client_terminal(); }
  bool is_canary() const { return deployment_status && deployment_status->canary; }
  bool is_healthy() const {
    return deployment_status && deployment_status->healthy.value_or(false);
  }
  bool is_unhealthy() const {
    return deployment_status && deployment_status->healthy && !*deployment_status->healthy;
  }
};
using AllocPtr = std::shared_ptr<const Allocation>;

// ----------------------------------------------------------------------------------------
// Deployment

enum class DeploymentStatus : uint8_t { kRunning, kPaused, kFailed, kSuccessful, kCancelled };
template <>
struct EnumNames<DeploymentStatus> {
  static constexpr std::string_view kNames[] = {"running", "paused", "failed", "successful",
                                                "cancelled"};
};

struct DeploymentGroup {
  bool auto_revert = false;
  bool auto_promote = false;
  int64_t progress_deadline_ns = 0;
  TimeStamp require_progress_by;
  bool promoted = false;
  StringList placed_canaries;
  int64_t desired_canaries = 0;
  int64_t desired_total = 0;
  int64_t placed_allocs = 0;
  int64_t healthy_allocs = 0;
  int64_t unhealthy_allocs = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("AutoPromote", s.auto_promote);
    v("AutoRevert", s.auto_revert);
    v("DesiredCanaries", s.desired_canaries);
    v("DesiredTotal", s.desired_total);
    v("HealthyAllocs", s.healthy_allocs);
    v("PlacedAllocs", s.placed_allocs);
    v("PlacedCanaries", s.placed_canaries);
    v("ProgressDeadline", s.progress_deadline_ns);
    v("Promoted", s.promoted);
    v("RequireProgressBy", s.require_progress_by);
    v("UnhealthyAllocs", s.unhealthy_allocs);
  }
  bool operator==(const DeploymentGroup&) const = default;
};

struct Deployment {
  std::string id;
  std::string namespace_ = "default";
  std::string job_id;
  int64_t job_version = 0;
  uint64_t job_modify_index = 0;
  uint64_t job_spec_modify_index = 0;
  uint64_t job_create_index = 0;
  std::map<std::string, DeploymentGroup> groups;
  DeploymentStatus status = DeploymentStatus::kRunning;
  std::string status_description;
  int64_t eval_priority = 50;
  uint64_t create_index = 0;
  uint64_t modify_index = 0;
  int64_t create_time_ns = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("ID", s.id);
    v("Namespace", s.namespace_);
    v("JobID", s.job_id);
    v("JobVersion", s.job_version);
    v("JobModifyIndex", s.job_modify_index);
    v("JobSpecModifyIndex", s.job_spec_modify_index);
    v("JobCreateIndex", s.job_create_index);
    v("TaskGroups", s.groups);
    v("Status", s.status);
    v("StatusDescription", s.status_description);
    v("EvalPriority", s.eval_priority);
    v("CreateIndex", s.create_index);
    v("ModifyIndex", s.modify_index);
    v("CreateTime", s.create_time_ns);
  }
  bool active() const {
    return status == DeploymentStatus::kRunning || status == DeploymentStatus::kPaused;
  }
  bool needs_promotion() const {
    for (const auto& [name, group] : groups) {
      if (group.desired_canaries > 0 && !group.promoted) return true;
    }
    return false;
  }
};
using DeploymentPtr = std::shared_ptr<const Deployment>;

// ------------------------------------------------------------------------------- Nomad's API
// shapes

/// Counts of a group's allocations, as `job status` prints them.
struct GroupSummary {
  int64_t queued = 0;
  int64_t starting = 0;
  int64_t running = 0;
  int64_t failed = 0;
  int64_t complete = 0;
  int64_t lost = 0;
  int64_t unknown = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Queued", s.queued);
    v("Starting", s.starting);
    v("Running", s.running);
    v("Failed", s.failed);
    v("Complete", s.complete);
    v("Lost", s.lost);
    v("Unknown", s.unknown);
  }
  bool operator==(const GroupSummary&) const = default;
};
using JobSummary = std::map<std::string, GroupSummary>;  // by group

/// Counts of the jobs that a periodic or parameterized job has made.
struct JobChildren {
  int64_t pending = 0;
  int64_t running = 0;
  int64_t dead = 0;
  [[nodiscard]] int64_t live() const { return pending + running; }
};

/// `status`: "pending", "running", "dead" (Snapshot::job_status).
void write_job(JsonWriter& out, const Job& job, std::string_view status,
               std::string_view status_description);
/// An item of /v1/jobs.
void write_job_stub(JsonWriter& out, const Job& job, std::string_view status,
                    const JobSummary& summary, const JobChildren& children);
void write_job_summary(JsonWriter& out, const Job& job, const JobSummary& summary,
                       const JobChildren& children);
void write_node(JsonWriter& out, const Node& node);
void write_node_stub(JsonWriter& out, const Node& node);
void write_evaluation(JsonWriter& out, const Evaluation& eval);
/// /v1/allocation/:id, and (Nomad sends them whole) /v1/node/:id/allocations.
void write_allocation(JsonWriter& out, const Allocation& alloc);
/// Items of /v1/allocations, /v1/job/:id/allocations, ...
void write_allocation_stub(JsonWriter& out, const Allocation& alloc);
void write_deployment(JsonWriter& out, const Deployment& deployment);
void write_alloc_metric(JsonWriter& out, const AllocMetric& metric);

/// The node's registration from its flat form, and out (the HTTP transport between machines).
Result<Node> decode_node(const Json& json);

}  // namespace sluice::orchestrator
