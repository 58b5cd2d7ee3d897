#include "orchestrator/node/task_runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>
#include <utility>

#include "core/check.h"
#include "core/duration.h"
#include "orchestrator/node/shutdown_delay.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kMillisecondNs = 1'000'000;

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
      setup_(context_, *alloc_->job, task, folders_,
             {.event = [this](std::string type,
                              std::string text) { add_event(std::move(type), std::move(text)); },
              .restart = [this](std::string reason) { hooks_.restart(std::move(reason)); },
              .signal =
                  [this](std::string name) {
                    auto send = [](TaskRunner& self, std::string which) -> Task<void> {
                      Result<void> sent = co_await self.signal(std::move(which));
                      if (!sent) self.add_event("Signaling", sent.error().message);
                    };
                    scope_.spawn(send(*this, std::move(name)));
                  }}),
      scope_(context.env.executor),
      driver_(context.driver(task.driver)),
      kill_wanted_(context.env.executor),
      stop_wanted_(context.env.executor),
      alloc_changed_(context.env.executor) {
  exited_ = local_.ended.has_value();
  make_environment();
}

void TaskRunner::make_environment() {
  environment_.emplace(context_.node, *alloc_, *task_, folders_, context_.options.region);
  environment_->add(setup_.variables());
}

/// Payload, artifacts and templates, before a start. False: it failed, and the events say why.
Task<bool> TaskRunner::prepare() {
  std::optional<Result<void>> done = co_await until(
      context_.env.executor, setup_.prepare(*environment_, local_.prepared), kill_wanted_);
  if (!done) co_return true;  // killed: the start sees it
  if (!*done) {
    add_event("Setup Failure", done->error().message);
    co_return false;
  }
  local_.prepared = ready_ = true;
  make_environment();
  co_return true;
}

void TaskRunner::set_alloc(AllocPtr alloc, const TaskConfig& task) {
  alloc_ = std::move(alloc);
  task_ = &task;
  make_environment();
  alloc_changed_.pulse();
}

void TaskRunner::count(std::string_view what) {
  if (context_.options.metrics == nullptr) return;
  context_.options.metrics->count("nomad.client.allocs." + std::string(what),
                                  {{"job", alloc_->job_id()},
                                   {"namespace", alloc_->namespace_name()},
                                   {"task_group", alloc_->group},
                                   {"task", name_}});
}

void TaskRunner::add_event(std::string type, std::string message, StringMap details,
                           bool fails_task) {
  context_.log.debug("alloc {} task {}: {}: {}", alloc_->id.substr(0, 8), name_, type, message);
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

void TaskRunner::restart(std::string reason, bool is_failure) {
  if (dead() || kill_wanted_.is_set()) return;
  add_event("Restart Signaled", std::move(reason));
  restart_wanted_ = true;
  restart_is_failure_ = is_failure;
  stop_wanted_.set();
}

void TaskRunner::begin_anew() {
  CHECK(dead());
  kill_wanted_.clear();
  stop_wanted_.clear();
  restart_wanted_ = restart_is_failure_ = exited_ = false;
  local_.ended.reset();
  local_.state.state = TaskRunState::kPending;
  local_.state.finished_at = {};
  ++local_.state.restarts;
  local_.state.last_restart = TimeStamp{now_ns()};
}

Task<Result<void>> TaskRunner::signal(std::string name) {
  if (!running() || !local_.handle) {
    co_return fail(Code::kConflict, "task {} is not running", name_);
  }
  add_event("Signaling", fmt::format("Task being sent signal {}", name));
  const TaskHandle handle = *local_.handle;  // the run may end, and this with it, meanwhile
  co_return co_await driver_->signal(handle, name);
}

Task<Result<std::unique_ptr<ExecSession>>> TaskRunner::exec(ExecRequest request) {
  if (!running() || !local_.handle) {
    co_return fail(Code::kConflict, "task {} is not running", name_);
  }
  const TaskHandle handle = *local_.handle;  // the run may end, and this with it, meanwhile
  co_return co_await driver_->exec(handle, make_spec(), std::move(request));
}

Task<void> TaskRunner::set_running() {
  Result<TaskNetwork> network = co_await driver_->network(*local_.handle);
  local_.network = network ? std::move(*network) : TaskNetwork();
  taken_up_ = true;
  local_.state.state = TaskRunState::kRunning;
  exited_ = false;
  health_ = driver_->probes_health() ? TaskHealth::kStarting : TaskHealth::kUnchecked;
  running_since_ms_ = context_.env.executor.now_ms();
  last_driver_message_.clear();
  setup_.watch(*environment_, !ready_);
  co_await hooks_.save();
  hooks_.changed();
  follow_cpus();
}

Task<void> TaskRunner::set_dead(bool failed) {
  local_.state.state = TaskRunState::kDead;
  local_.state.failed = failed;
  local_.state.finished_at = TimeStamp{now_ns()};
  count(failed ? "failed" : "complete");
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

Task<void> TaskRunner::stop_task() {
  const int64_t timeout_ms = task_->kill_timeout_ns / kMillisecondNs;
  const std::string kill_signal = task_->kill_signal;  // the record may be another one meanwhile
  int64_t retry_ms = context_.options.driver_retry_ms;
  add_event("Killing", fmt::format("Sent interrupt. Waiting {} before force killing",
                                   go_duration(task_->kill_timeout_ns)));
  for (;;) {
    Result<void> stopped = co_await driver_->stop(*local_.handle, kill_signal, timeout_ms);
    if (stopped) co_return;
    context_.log.warn("alloc {} task {}: stop: {}; trying again", alloc_->id.substr(0, 8), name_,
                      stopped.error().message);
    co_await sleep_for(context_.env.executor, retry_ms);
    retry_ms = std::min(retry_ms * 2, context_.options.driver_retry_max_ms);
  }
}

Task<void> TaskRunner::watch_health(TaskHandle handle) {
  for (;;) {
    Result<HealthReport> report = co_await driver_->health_change(handle, health_);
    if (!report && report.error().code == Code::kNotFound) co_return;
    if (!report) {
      co_await sleep_for(context_.env.executor, context_.options.driver_retry_max_ms);
      continue;
    }
    health_ = report->health;
    switch (health_) {
      case TaskHealth::kUnchecked: hooks_.changed(); co_return;
      case TaskHealth::kStarting: hooks_.changed(); break;
      case TaskHealth::kHealthy: say_health("Healthy", "passes"); break;
      case TaskHealth::kUnhealthy: say_health("Unhealthy", "fails: " + report->output); break;
    }
  }
}

/// An event, unless an earlier agent has said the same of this run.
void TaskRunner::say_health(const std::string& type, const std::string& how) {
  for (const TaskEvent& event : std::views::reverse(local_.state.events)) {
    if (event.type == type) return hooks_.changed();
    if (event.type == "Healthy" || event.type == "Unhealthy" || event.type == "Started") break;
  }
  add_event(type, "The image's health check " + how);
}

Task<TaskExit> TaskRunner::wait_for_end() {
  Executor& executor = context_.env.executor;
  int64_t retry_ms = context_.options.driver_retry_ms;
  Scope stopping(executor);
  auto watch = [](TaskRunner& self) -> Task<void> {
    co_await self.stop_wanted_.wait();
    // Out of the catalog by now: whoever still has its address gets the time to hear of it.
    if (const int64_t delay_ns = self.task_->shutdown_delay_ns;
        delay_ns > 0 && !self.alloc_->no_shutdown_delay) {
      self.add_event("Waiting for shutdown delay",
                     fmt::format("Waiting for shutdown_delay of {} before killing the task.",
                                 go_duration(delay_ns)));
      co_await shutdown_delay(self.context_.env.executor, self.alloc_, delay_ns,
                              self.alloc_changed_);
    }
    co_await self.stop_task();
  };
  stopping.spawn(watch(*this));
  if (driver_->probes_health()) stopping.spawn(watch_health(*local_.handle));
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
  if (exit.oom_killed) count("oom_killed");
  add_event("Terminated", std::move(message), std::move(details));
  if (!exit.output_missing.empty()) add_event("Driver", exit.output_missing);
}

/// Over once it ends with success.
bool TaskRunner::oneshot() const {
  return alloc_->job->is_batch() || (task_->lifecycle && !task_->lifecycle->sidecar);
}

/// True: start again. Has waited the policy's delay by then.
Task<bool> TaskRunner::decide_next(const TaskExit& exit) {
  const bool asked = restart_wanted_ && !kill_wanted_.is_set();
  const bool failed_restart = asked && restart_is_failure_;
  if (asked) {
    restart_wanted_ = restart_is_failure_ = false;
    stop_wanted_.clear();
  }
  if (asked && !failed_restart) {
    local_.state.state = TaskRunState::kPending;
    local_.ended.reset();
    hooks_.changed();
  } else {
    const double jitter = static_cast<double>(context_.env.random.next() >> 11) * 0x1.0p-53;
    const RestartDecision decision = decide_restart(
        task_->restart.value_or(RestartPolicy{.attempts = 0, .mode = "fail"}), oneshot(),
        exit.success() && !failed_restart, now_ns(), jitter, local_.history);
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
  count("restart");
  local_.state.last_restart = TimeStamp{now_ns()};
  co_return true;
}

/// The run's end, on disk before the driver forgets it: an agent that is killed in between must
/// neither lose the exit code nor run the task once more.
Task<TaskExit> TaskRunner::finish_run() {
  if (!local_.ended) {
    local_.ended = co_await wait_for_end();
    exited_ = true;
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
