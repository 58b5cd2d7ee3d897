// TaskRunner: one task of an allocation from start to its last end: start, wait, restart by policy,
// kill.
//
// Owner: the AllocRunner, whose scope holds run(). Thread: the control loop. Destroying it leaves
// the task running: the agent restarts without touching tasks, and the next agent recovers the
// handle.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/scope.h"
#include "orchestrator/node/context.h"
#include "orchestrator/node/restart_policy.h"
#include "orchestrator/node/task_env.h"
#include "orchestrator/node/task_setup.h"

namespace sluice::orchestrator {

/// What the node keeps on disk of a task: written before a start, so that a start whose outcome is
/// unknown is said again with the same run number (TaskDriver::start is idempotent by it).
struct LocalTask {
  uint64_t run = 0;
  bool prepared = false;  // payload and artifacts are there
  bool starting = false;  // start() of `run` was said, its handle is not known yet
  std::optional<TaskHandle> handle;
  // How `run` ended, until what follows from it is on disk: the driver forgets the run before that.
  std::optional<TaskExit> ended;
  RestartHistory history;
  TaskState state;
  std::optional<TaskNetwork> network;  // of the run, once it was asked for
  std::string cpus;                    // the cores that the run keeps to; "": all
};

class TaskRunner {
 public:
  /// `changed`: the state changed (report it). `save`: ready once the local state is durable.
  /// `restart`: out of the balancers first, then restart().
  struct Hooks {
    std::function<void()> changed;
    std::function<Task<void>()> save;
    std::function<void(std::string reason)> restart;
  };

  TaskRunner(NodeContext& context, AllocPtr alloc, const TaskConfig& task, TaskFolders folders,
             LocalTask local, Hooks hooks);

  /// Ends when the task is dead for good.
  Task<void> run();
  /// The task goes down, once: signal, kill_timeout, SIGKILL. `reason` for its events.
  void kill(std::string reason, bool fail_task = false);
  /// Down and up again: as the operator asks for it, or as a failure, which its policy judges.
  void restart(std::string reason, bool is_failure = false);
  /// One that is dead is to run once more: run() may be called again.
  void begin_anew();
  Task<Result<void>> signal(std::string name);
  /// Another command in the running task's surroundings. kConflict: it does not run.
  Task<Result<std::unique_ptr<ExecSession>>> exec(ExecRequest request);
  /// A service's instances changed: a template may read it.
  void service_changed(const std::string& service) { setup_.service_changed(service); }
  /// Moves a running task without cores of its own to those that are left to such, if it is not
  /// there already.
  void follow_cpus();
  /// A newer version of the allocation that changes nothing of the running task.
  void set_alloc(AllocPtr alloc, const TaskConfig& task);

  const std::string& name() const { return name_; }
  const TaskConfig& config() const { return *task_; }
  const LocalTask& local() const { return local_; }
  const TaskState& state() const { return local_.state; }
  const TaskEnv& environment() const { return *environment_; }
  /// Where the running task is reached without the host's ports.
  /// As an earlier agent knew it, until the run is taken over.
  TaskNetwork network() const { return local_.network.value_or(TaskNetwork()); }
  bool dead() const { return local_.state.state == TaskRunState::kDead; }
  /// Up; false from the moment of its end, also while what it left is cleared away.
  bool running() const { return local_.state.state == TaskRunState::kRunning && !exited_; }
  /// It runs, and this agent has seen it do so.
  bool taken_up() const { return running() && taken_up_; }
  /// What its system finds of it, while it runs.
  TaskHealth health() const { return health_; }
  bool killed() const { return kill_wanted_.is_set(); }
  /// Monotonic; of the present run.
  int64_t running_since_ms() const { return running_since_ms_; }

  void add_event(std::string type, std::string message, StringMap details = {},
                 bool fails_task = false);

 private:
  /// One more of nomad.client.allocs.WHAT.
  void count(std::string_view what);
  Task<bool> prepare();
  void make_environment();

  enum class Begin : uint8_t { kRunning, kFailed, kKilled };

  TaskSpec make_spec() const;
  bool oneshot() const;
  Task<Begin> begin();
  Task<Begin> recover();
  Task<Begin> start();
  Task<TaskExit> wait_for_end();
  Task<void> stop_task();
  Task<void> watch_health(TaskHandle handle);
  void say_health(const std::string& type, const std::string& how);
  Task<void> forget_unfinished_start();
  Task<void> confine();
  Task<bool> decide_next(const TaskExit& exit);
  Task<TaskExit> finish_run();
  Task<void> set_running();
  Task<void> set_dead(bool failed);
  /// False when the task was killed meanwhile.
  Task<bool> pause(int64_t delay_ms);
  void report_exit(const TaskExit& exit);
  int64_t now_ns() const { return context_.env.executor.wall_ns(); }

  NodeContext& context_;
  AllocPtr alloc_;
  const TaskConfig* task_;
  const std::string name_;
  TaskFolders folders_;
  LocalTask local_;
  Hooks hooks_;
  std::optional<TaskEnv> environment_;
  TaskSetup setup_;
  Scope scope_;  // of signals that templates ask for, and of confine()
  bool confining_ = false;
  TaskDriver* driver_;
  Event kill_wanted_;
  Event stop_wanted_;  // kill or restart
  Event alloc_changed_;
  bool ready_ = false;  // prepared by this process
  bool taken_up_ = false;
  bool exited_ = false;
  TaskHealth health_ = TaskHealth::kUnchecked;
  bool restart_wanted_ = false;
  bool restart_is_failure_ = false;
  int64_t running_since_ms_ = 0;
  std::string last_driver_message_;
};

}  // namespace sluice::orchestrator
