// Allocation: one instance of a group on one node: what it is to do, and what the node says of it
// (orchestrator/records.h).
//
// Owner: the control loop's State. In a snapshot it is shared and never changes; any thread may
// read it.
//
// Sizes matter here alone (a million of them): what its job version says is read from there and not
// copied. Empty strings, vectors and maps cost no memory beyond their handles.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/cpu_list.h"
#include "orchestrator/fields.h"
#include "orchestrator/job.h"
#include "orchestrator/record_evaluation.h"

namespace sluice::orchestrator {

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

/// Cores that one task of an allocation has for itself.
struct AssignedCores {
  std::string task;
  CpuList cores;
  int64_t cpu_mhz = 0;  // what they are worth on their node

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Task", s.task);
    v("Cores", s.cores);
    v("CpuMHz", s.cpu_mhz);
  }
  bool operator==(const AssignedCores&) const = default;
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
  std::vector<AssignedCores> cores;

  DesiredStatus desired_status = DesiredStatus::kRun;
  std::string desired_description;
  bool migrate = false;  // desired transition: stop, and place elsewhere (drain, `alloc stop`)
  bool no_shutdown_delay = false;  // desired transition: its tasks stop without shutdown_delay
  bool force_reschedule = false;   // desired transition: replace even if the policy says no

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
    v("Cores", s.cores);
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
    v("NoShutdownDelay", s.no_shutdown_delay);
  }

  const std::string& job_id() const { return job->id; }
  const std::string& namespace_name() const { return job->namespace_; }
  const TaskGroup& task_group() const;
  /// nullptr: the task has none for itself.
  const AssignedCores* cores_of(std::string_view task) const;
  /// The processor share of one of its tasks.
  int64_t task_cpu_mhz(const TaskConfig& task) const;
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

}  // namespace sluice::orchestrator
