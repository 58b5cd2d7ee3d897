#include "orchestrator/node/task_runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "core/duration.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kMillisecondNs = 1'000'000;

// Of looks for what a start that was cut off has left, with doubling pauses: ten seconds in all.
constexpr int kForgetTries = 10;
constexpr int64_t kForgetPauseMs = 10;

}  // namespace

TaskRunner::TaskRunner(NodeContext& context, AllocPtr alloc, const TaskConfig& task,
                       TaskFolders folders, LocalTask local, Hooks hooks)
    : context_(context),
      alloc_(std::move(alloc)),
      task_(&task),
      name_(task.name),
      folders_(std::move(folders)),
      local_(std::move(local)),
      hooks_(std::move(hooks)),
      driver_(context.driver(task.driver)),
      kill_wanted_(context.env.executor),
      stop_wanted_(context.env.executor) {
  environment_.emplace(context_.node, *alloc_, *task_, folders_, context_.options.region);
}

void TaskRunner::set_alloc(AllocPtr alloc, const TaskConfig& task) {
  alloc_ = std::move(alloc);
  task_ = &task;
  environment_.emplace(context_.node, *alloc_, *task_, folders_, context_.options.region);
}

void TaskRunner::add_event(std::string type, std::string message, StringMap details,
                           bool fails_task) {
  auto& events = local_.state.events;
  if (events.size() >= kMaxTaskEvents) events.erase(events.begin());
  events.push_back(TaskEvent{.type = std::move(type),
                             .time_ns = now_ns(),
                             .message = std::move(message),
                             .details = std::move(details),
                             .fails_task = fails_task});
  hooks_.changed();
}

void TaskRunner::kill(std::string reason, bool fail_task) {
  if (dead() || kill_wanted_.is_set()) return;
  kill_wanted_.set();  // before the event, whose hook looks at it
  stop_wanted_.set();
  if (fail_task) local_.state.failed = true;
  if (!reason.empty()) add_event("Killing", std::move(reason), {}, fail_task);
}

void TaskRunner::restart(std::string reason) {
  if (dead() || kill_wanted_.is_set()) return;
  add_event("Restart Signaled", std::move(reason));
  restart_wanted_ = true;
  stop_wanted_.set();
}

Task<Result<void>> TaskRunner::signal(std::string name) {
  if (!running() || !local_.handle) {
    co_return fail(Code::kConflict, "task {} is not running", name_);
  }
  add_event("Signaling", fmt::format("Task being sent signal {}", name));
  co_return co_await driver_->signal(*local_.handle, name);
}

TaskSpec TaskRunner::make_spec() const {
  TaskSpec spec;
  spec.key = {.alloc_id = alloc_->id, .task = name_, .run = local_.run};
  spec.cluster_id = context_.cluster_id;
  spec.node_id = context_.node.id;
  spec.job_id = alloc_->job->id;
  spec.group = alloc_->group;
  spec.config = environment_->expand_json(task_->config);
  spec.env = environment_->variables();
  spec.user = task_->user;
  spec.task_folder = folders_.task;
  spec.alloc_folder = folders_.alloc;
  spec.log_folder = folders_.logs;
  if (task_->log) {
    spec.log_max_files = task_->log->max_files;
    spec.log_max_file_bytes = task_->log->max_file_size_mb * 1024 * 1024;
  }
  for (const AssignedPort& port : alloc_->ports) {
    if (!port.task.empty() && port.task != name_) continue;
    spec.ports.push_back(
        {.label = port.label, .host_ip = port.host_ip, .host_port = port.value, .to = port.to});
  }
  if (task_->resources) {
    spec.cpu_mhz = task_->resources->cpu_mhz;
    spec.memory_mb = task_->resources->memory_mb;
    spec.memory_max_mb = task_->resources->memory_max_mb;
  }
  return spec;
}

Task<void> TaskRunner::set_running() {
  Result<std::string> address = co_await driver_->address(*local_.handle);
  driver_address_ = address ? std::move(*address) : std::string();
  local_.state.state = TaskRunState::kRunning;
  last_driver_message_.clear();
  co_await hooks_.save();
  hooks_.changed();
}

Task<void> TaskRunner::set_dead(bool failed) {
  local_.state.state = TaskRunState::kDead;
  local_.state.failed = failed;
  local_.state.finished_at = TimeStamp{now_ns()};
  if (local_.handle) {
    Result<void> removed = co_await driver_->remove(*local_.handle);
    if (!removed) {
      context_.log.warn("alloc {} task {}: remove: {}", alloc_->id.substr(0, 8), name_,
                        removed.error().message);
    }
    local_.handle.reset();
  }
  local_.ended.reset();
  co_await hooks_.save();
  hooks_.changed();
}

Task<bool> TaskRunner::pause(int64_t delay_ms) {
  auto body = [](Executor& executor, int64_t ms) -> Task<bool> {
    co_await sleep_for(executor, ms);
    co_return true;
  };
  co_await until(context_.env.executor, body(context_.env.executor, delay_ms), stop_wanted_);
  if (kill_wanted_.is_set()) co_return false;
  restart_wanted_ = false;  // the wait ends now, and so does the reason to stop
  stop_wanted_.clear();
  co_return true;
}

/// Takes over the run that an earlier agent started.
Task<TaskRunner::Begin> TaskRunner::recover() {
  int64_t retry_ms = context_.options.driver_retry_ms;
  for (;;) {
    Result<void> taken = co_await driver_->recover(*local_.handle, make_spec());
    if (taken) {
      context_.log.info("alloc {} task {}: taken over", alloc_->id.substr(0, 8), name_);
      co_await set_running();
      co_return Begin::kRunning;
    }
    if (taken.error().code != Code::kUnavailable) {
      add_event("Driver Failure",
                fmt::format("failed to recover the task: {}", taken.error().message));
      local_.handle.reset();
      co_return Begin::kFailed;
    }
    if (!co_await pause(retry_ms)) co_return Begin::kKilled;
    retry_ms = std::min(retry_ms * 2, context_.options.driver_retry_max_ms);
  }
}

Task<TaskRunner::Begin> TaskRunner::start() {
  if (!local_.starting) {
    ++local_.run;
    local_.starting = true;
  }
  co_await hooks_.save();
  int64_t retry_ms = context_.options.driver_retry_ms;
  for (;;) {
    std::optional<Result<TaskHandle>> started = co_await until(
        context_.env.executor,
        driver_->start(make_spec(), [this](std::string text) { add_event("Driver", text); }),
        kill_wanted_);
    if (!started) {
      co_await forget_unfinished_start();
      co_return Begin::kKilled;
    }
    if (*started) {
      local_.handle = std::move(**started);
      local_.starting = false;
      if (local_.state.started_at.ns == 0) local_.state.started_at = TimeStamp{now_ns()};
      add_event("Started", "Task started by client");
      co_await set_running();
      co_return Begin::kRunning;
    }
    const Error& error = started->error();
    if (error.code != Code::kUnavailable) {
      local_.starting = false;
      add_event("Driver Failure", error.message);
      co_return Begin::kFailed;
    }
    // The system is not there now: that uses up no attempt, and is said once.
    if (error.message != last_driver_message_) {
      add_event("Driver", fmt::format("{}; trying again", error.message));
      context_.log.warn("alloc {} task {}: {}", alloc_->id.substr(0, 8), name_, error.message);
      last_driver_message_ = error.message;
    }
    if (!co_await pause(retry_ms)) co_return Begin::kKilled;
    retry_ms = std::min(retry_ms * 2, context_.options.driver_retry_max_ms);
  }
}

/// A start was cut off: whatever it left is found by its key and removed. The driver may still be
/// about to make it, and then it cannot be stopped yet.
Task<void> TaskRunner::forget_unfinished_start() {
  local_.starting = false;
  int64_t pause_ms = kForgetPauseMs;
  for (int tries = 0; tries < kForgetTries; ++tries) {
    Result<std::vector<FoundTask>> found = co_await driver_->list();
    if (!found) co_return;  // the periodic mending finds it
    bool left = false;
    for (const FoundTask& task : *found) {
      if (task.handle.key.alloc_id != alloc_->id || task.handle.key.task != name_) continue;
      Result<void> gone = co_await driver_->stop(task.handle, task_->kill_signal, 0);
      if (gone) gone = co_await driver_->remove(task.handle);
      left = left || !gone;
    }
    if (!left) co_return;
    co_await sleep_for(context_.env.executor, pause_ms);
    pause_ms *= 2;
  }
}

Task<TaskRunner::Begin> TaskRunner::begin() {
  if (local_.handle && local_.state.state != TaskRunState::kDead) co_return co_await recover();
  co_return co_await start();
}

Task<void> TaskRunner::stop_task() {
  const int64_t timeout_ms = task_->kill_timeout_ns / kMillisecondNs;
  int64_t retry_ms = context_.options.driver_retry_ms;
  add_event("Killing", fmt::format("Sent interrupt. Waiting {} before force killing",
                                   go_duration(task_->kill_timeout_ns)));
  for (;;) {
    Result<void> stopped = co_await driver_->stop(*local_.handle, task_->kill_signal, timeout_ms);
    if (stopped) co_return;
    context_.log.warn("alloc {} task {}: stop: {}; trying again", alloc_->id.substr(0, 8), name_,
                      stopped.error().message);
    co_await sleep_for(context_.env.executor, retry_ms);
    retry_ms = std::min(retry_ms * 2, context_.options.driver_retry_max_ms);
  }
}

Task<TaskExit> TaskRunner::wait_for_end() {
  Executor& executor = context_.env.executor;
  int64_t retry_ms = context_.options.driver_retry_ms;
  Scope stopping(executor);
  auto watch = [](TaskRunner& self) -> Task<void> {
    co_await self.stop_wanted_.wait();
    co_await self.stop_task();
  };
  stopping.spawn(watch(*this));
  for (;;) {
    Result<TaskExit> exit = co_await driver_->wait(*local_.handle);
    if (exit) co_return *exit;
    if (exit.error().code != Code::kUnavailable) {
      co_return TaskExit{
          .exit_code = -1, .error = exit.error().message, .finished_at_ns = now_ns()};
    }
    co_await sleep_for(executor, retry_ms);
    retry_ms = std::min(retry_ms * 2, context_.options.driver_retry_max_ms);
  }
}

void TaskRunner::report_exit(const TaskExit& exit) {
  std::string message = fmt::format("Exit Code: {}", exit.exit_code);
  StringMap details = {{"exit_code", fmt::format("{}", exit.exit_code)},
                       {"signal", fmt::format("{}", exit.signal)},
                       {"oom_killed", exit.oom_killed ? "true" : "false"}};
  if (exit.signal != 0) message += fmt::format(", Signal: {}", exit.signal);
  if (exit.oom_killed) message += ", OOM Killed";
  if (!exit.error.empty()) {
    message += fmt::format(", Exit Message: \"{}\"", exit.error);
    details["exit_message"] = exit.error;
  }
  add_event("Terminated", std::move(message), std::move(details));
}

/// True: start again. Has waited the policy's delay by then.
Task<bool> TaskRunner::decide_next(const TaskExit& exit) {
  if (restart_wanted_ && !kill_wanted_.is_set()) {
    restart_wanted_ = false;
    stop_wanted_.clear();
  } else {
    const bool oneshot =
        alloc_->job->is_batch() || (task_->lifecycle && !task_->lifecycle->sidecar);
    const double jitter = static_cast<double>(context_.env.random.next() >> 11) * 0x1.0p-53;
    const RestartDecision decision =
        decide_restart(task_->restart.value_or(RestartPolicy{.attempts = 0, .mode = "fail"}),
                       oneshot, exit.success(), now_ns(), jitter, local_.history);
    if (decision.action == AfterExit::kComplete) {
      co_await set_dead(false);
      co_return false;
    }
    if (decision.action == AfterExit::kFail) {
      add_event("Not Restarting", decision.reason, {}, true);
      co_await set_dead(true);
      co_return false;
    }
    local_.state.state = TaskRunState::kPending;
    add_event("Restarting", fmt::format("Task restarting in {}", go_duration(decision.delay_ns)),
              {{"restart_reason", decision.reason}});
    local_.ended.reset();
    co_await hooks_.save();
    if (!co_await pause(decision.delay_ns / kMillisecondNs)) {
      co_await set_dead(false);
      co_return false;
    }
  }
  ++local_.state.restarts;
  local_.state.last_restart = TimeStamp{now_ns()};
  co_return true;
}

/// The run's end, on disk before the driver forgets it: an agent that is killed in between must
/// neither lose the exit code nor run the task once more.
Task<TaskExit> TaskRunner::finish_run() {
  if (!local_.ended) {
    local_.ended = co_await wait_for_end();
    report_exit(*local_.ended);
    co_await hooks_.save();
  }
  const TaskExit exit = *local_.ended;
  if (local_.handle) {
    // Forgotten before its successor starts, so that names and ports are free.
    (void)co_await driver_->remove(*local_.handle);
    local_.handle.reset();
  }
  co_return exit;
}

Task<void> TaskRunner::run() {
  if (dead()) co_return;
  if (driver_ == nullptr) {
    add_event("Driver Failure", fmt::format("this node has no driver '{}'", task_->driver), {},
              true);
    local_.state.state = TaskRunState::kDead;
    local_.state.failed = true;
    hooks_.changed();
    co_return;
  }
  if (local_.state.events.empty()) add_event("Received", "Task received by client");
  for (;;) {
    Begin begun = Begin::kRunning;
    if (local_.ended) {
      // An earlier agent saw its end.
    } else if (kill_wanted_.is_set() && !local_.handle) {
      if (local_.starting) co_await forget_unfinished_start();
      begun = Begin::kKilled;
    } else {
      begun = co_await begin();
    }
    TaskExit exit{.exit_code = -1, .error = "the task did not start"};
    switch (begun) {
      case Begin::kKilled:
        if (local_.handle) {
          co_await stop_task();
        }
        add_event("Killed", "Task successfully killed");
        co_await set_dead(local_.state.failed);
        co_return;
      case Begin::kFailed: break;
      case Begin::kRunning: exit = co_await finish_run(); break;
    }
    if (kill_wanted_.is_set()) {
      add_event("Killed", "Task successfully killed");
      co_await set_dead(local_.state.failed);
      co_return;
    }
    if (!co_await decide_next(exit)) co_return;
  }
}

}  // namespace sluice::orchestrator
