// TaskDriver: what the node asks of a system that runs tasks (drivers/docker, drivers/exec).
//
// Owner: the node owns its drivers. Thread: the control loop.
//
// Every call is level-triggered and may be said again: start() of a run that exists returns its
// handle, stop() and remove() of one that is gone succeed. A driver touches only what carries its
// own cluster id and node id (in labels or handles); anything else on the machine is foreign.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/result.h"
#include "core/task.h"

namespace sluice::orchestrator {

/// Names one start of one task: unique in the cluster.
struct TaskKey {
  std::string alloc_id;
  std::string task;
  uint64_t run = 0;  // grows by one at each (re)start of the task in its alloc

  auto operator<=>(const TaskKey&) const = default;
};

/// A port the scheduler gave the task.
struct TaskPort {
  std::string label;
  std::string host_ip;  // where it is reachable on the node
  uint16_t host_port = 0;
  uint16_t to = 0;  // inside the task (group network `to`); 0 where the driver decides (port_map)
};

/// A folder of the machine that the task sees.
struct TaskMount {
  std::string source;       // absolute, on the machine
  std::string destination;  // inside the task
  bool read_only = false;
};

struct TaskSpec {
  TaskKey key;
  std::string cluster_id;
  std::string node_id;
  std::string job_id;
  std::string group;
  Json config;                             // the driver's own block, interpolated
  std::map<std::string, std::string> env;  // complete; values may be secret: never logged
  std::string user;
  std::string task_folder;   // absolute; working folder of raw_exec; holds local/, secrets/
  std::string alloc_folder;  // absolute; shared by the alloc's tasks
  std::string log_folder;    // absolute; files <task>.stdout.<n>, <task>.stderr.<n>
  int64_t log_max_files = 10;
  int64_t log_max_file_bytes = 10 * 1024 * 1024;
  std::vector<TaskPort> ports;
  std::vector<TaskMount> mounts;
  int64_t cpu_mhz = 100;
  int64_t core_mhz = 0;   // of one of the node's cores; 0: not known
  std::string cpus;       // the cores it may run on (core/cpu_list.h); "": all
  bool own_cpus = false;  // it has them for itself
  int64_t memory_mb = 300;
  int64_t memory_max_mb = 0;  // 0: no more than memory_mb
  bool oneshot = false;       // its work is done once it ends with success: not run again
};

/// What the node keeps on disk to find the run again after a restart of the agent.
struct TaskHandle {
  TaskKey key;
  std::string driver;
  Json state;  // the driver's own
};

struct TaskExit {
  int64_t exit_code = 0;
  int64_t signal = 0;
  bool oom_killed = false;
  std::string error;  // set where the outcome is not known: "supervisor lost the task"
  int64_t finished_at_ns = 0;
  std::string output_missing;  // why some of its output may not be in its files

  bool success() const { return exit_code == 0 && signal == 0 && error.empty(); }
};

struct DriverHealth {
  bool detected = false;  // the system is installed
  bool healthy = false;   // and answers now
  std::string description;
  std::map<std::string, std::string> attributes;  // "driver.docker.version" = "20.10.24"
};

/// A run found on the machine that carries our cluster id and node id.
struct FoundTask {
  TaskHandle handle;
  bool running = false;
};

struct TaskStats {
  double cpu_percent = 0;
  uint64_t memory_rss_bytes = 0;
};

/// Where a task is reached by its own ports, without the host's.
struct TaskNetwork {
  std::string address;  // "": nowhere
  bool advertised =
      false;  // and services that leave the choice (address_mode auto) are found there

  bool operator==(const TaskNetwork&) const = default;
};

/// What the system itself finds of a running task by probes of its own (Docker's HEALTHCHECK).
enum class TaskHealth : uint8_t { kUnchecked, kStarting, kHealthy, kUnhealthy };

struct HealthReport {
  TaskHealth health = TaskHealth::kUnchecked;
  std::string output;  // of the last probe
};

/// A line for the task's events: "Downloading image x:1", "Container name taken over".
using TaskEvents = std::function<void(std::string message)>;

struct ExecRequest {
  std::vector<std::string> command;
  bool terminal = false;
  uint16_t rows = 24, columns = 80;
};

/// A command that runs beside a task, in its surroundings. Destroying it ends the command, where
/// the system can.
class ExecSession {
 public:
  struct Piece {
    bool errors = false;
    std::string bytes;  // empty: that stream has ended
  };
  virtual ~ExecSession() = default;
  /// The next output; nullopt: all of it has come. One at a time.
  virtual Task<Result<std::optional<Piece>>> read() = 0;
  virtual Task<Result<void>> write(std::string_view input) = 0;
  virtual Result<void> end_input() = 0;
  virtual Task<Result<void>> resize(uint16_t rows, uint16_t columns) = 0;
  /// The command's exit code; 128 and the signal's number where one ended it.
  virtual Task<Result<int64_t>> wait() = 0;
};

class TaskDriver {
 public:
  virtual ~TaskDriver() = default;
  virtual std::string_view name() const = 0;

  /// Bounded in time (a few seconds); an absent system is not an error but a health.
  virtual Task<DriverHealth> fingerprint() = 0;
  /// Refuses an unknown or wrong key of `config` by name. Pure; also used by the server through the
  /// schema that main.cc hands it.
  virtual Result<void> validate(const Json& config) const = 0;

  /// Idempotent by key. `on_event` gets progress for the task's events ("Downloading image ...").
  /// kUnavailable: the system does not answer now, trying again may help; other errors are the
  /// task's.
  virtual Task<Result<TaskHandle>> start(const TaskSpec& spec, TaskEvents on_event) = 0;
  /// Takes a run over after a restart of the agent: kNotFound if nothing of it is left.
  virtual Task<Result<void>> recover(const TaskHandle& handle, const TaskSpec& spec) = 0;
  /// Ready when the run has ended, also if it ended while no agent was there. kUnavailable where
  /// the system went away: ask again.
  virtual Task<Result<TaskExit>> wait(const TaskHandle& handle) = 0;
  /// Signal, then SIGKILL after `kill_timeout_ms`. Returns once the run has ended.
  virtual Task<Result<void>> stop(const TaskHandle& handle, const std::string& kill_signal,
                                  int64_t kill_timeout_ms) = 0;
  virtual Task<Result<void>> signal(const TaskHandle& handle, const std::string& name) = 0;
  /// Forgets an ended run and removes what the system keeps of it. Log files stay.
  virtual Task<Result<void>> remove(const TaskHandle& handle) = 0;
  /// All runs of ours that are there, for mending.
  virtual Task<Result<std::vector<FoundTask>>> list() = 0;
  virtual Task<Result<TaskStats>> stats(const TaskHandle& handle) = 0;
  /// From now on the run keeps to these cores (core/cpu_list.h, not empty). `config` as at its
  /// start. A driver that cannot leaves it where it is.
  virtual Task<Result<void>> confine(const TaskHandle&, const Json& /*config*/,
                                     const std::string& /*cpus*/) {
    co_return Result<void>();
  }
  /// Whether the system may probe tasks: until health_change has said so, one that runs is
  /// starting.
  virtual bool probes_health() const { return false; }
  /// Ready when the run's health is another than `seen`. One that is kUnchecked stays so.
  virtual Task<Result<HealthReport>> health_change(const TaskHandle&, TaskHealth) {
    co_return HealthReport{};
  }
  /// `spec` as at the start of the run.
  virtual Task<Result<std::unique_ptr<ExecSession>>> exec(const TaskHandle&, const TaskSpec&,
                                                          ExecRequest) {
    co_return fail(Code::kUnsupported, "the driver {} runs no further commands in a task", name());
  }
  virtual Task<Result<TaskNetwork>> network(const TaskHandle& handle) = 0;
};

}  // namespace sluice::orchestrator
