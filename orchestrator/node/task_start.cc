// How a task comes to run: started anew, or taken over from an earlier agent.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "orchestrator/node/task_runner.h"

namespace sluice::orchestrator {

namespace {

// Of looks for what a start that was cut off has left, with doubling pauses: ten seconds in all.
constexpr int kForgetTries = 10;
constexpr int64_t kForgetPauseMs = 10;

}  // namespace

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
  for (const VolumeMount& mount : task_->volume_mounts) {
    const auto& volumes = alloc_->task_group().volumes;
    const auto volume = volumes.find(mount.volume);
    if (volume == volumes.end()) continue;  // validated
    const auto host = context_.node.host_volumes.find(volume->second.source);
    if (host == context_.node.host_volumes.end()) continue;  // feasibility saw it
    spec.mounts.push_back(
        {.source = host->second.path,
         .destination = environment_->expand(mount.destination),
         .read_only = mount.read_only || volume->second.read_only || host->second.read_only});
  }
  if (task_->resources) {
    spec.cpu_mhz = alloc_->task_cpu_mhz(*task_);
    spec.memory_mb = task_->resources->memory_mb;
    spec.memory_max_mb = task_->resources->memory_max_mb;
  }
  spec.core_mhz = context_.node.core_mhz();
  const AssignedCores* own = alloc_->cores_of(name_);
  spec.own_cpus = own != nullptr;
  spec.cpus = own ? format_cpu_list(own->cores) : context_.shared_cpus;
  spec.oneshot = oneshot();
  return spec;
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
    const TaskSpec spec = make_spec();
    local_.cpus = spec.cpus;
    std::optional<Result<TaskHandle>> started = co_await until(
        context_.env.executor,
        driver_->start(spec, [this](std::string text) { add_event("Driver", text); }),
        kill_wanted_);
    if (!started) {
      co_await forget_unfinished_start();
      co_return Begin::kKilled;
    }
    if (*started) {
      local_.handle = std::move(**started);
      local_.starting = false;
      if (local_.state.started_at.ns == 0) local_.state.started_at = TimeStamp{now_ns()};
      count("start");
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

void TaskRunner::follow_cpus() {
  if (!running() || confining_ || alloc_->cores_of(name_) != nullptr) return;
  if (local_.cpus == context_.shared_cpus) return;
  confining_ = true;
  scope_.spawn(confine());
}

/// Once a run keeps to the cores that it should, or once its driver refused: the node asks again.
Task<void> TaskRunner::confine() {
  while (running() && local_.handle && local_.cpus != context_.shared_cpus) {
    const std::string wanted = context_.shared_cpus;
    const TaskHandle handle = *local_.handle;  // the run may end, and this with it, meanwhile
    const Result<void> done = co_await driver_->confine(
        handle, make_spec().config, wanted.empty() ? context_.all_cpus : wanted);
    if (!done) {
      context_.log.warn("alloc {} task {}: cores {}: {}", alloc_->id.substr(0, 8), name_,
                        wanted.empty() ? context_.all_cpus : wanted, done.error().message);
      break;
    }
    if (!local_.handle || local_.handle->key != handle.key) continue;
    local_.cpus = wanted;
    co_await hooks_.save();
  }
  confining_ = false;
}

/// A start was cut off: whatever it left is found by its key and removed. The driver may still be
/// about to make it, and then it cannot be stopped yet.
Task<void> TaskRunner::forget_unfinished_start() {
  local_.starting = false;
  const std::string kill_signal = task_->kill_signal;  // the record may be another one meanwhile
  int64_t pause_ms = kForgetPauseMs;
  for (int tries = 0; tries < kForgetTries; ++tries) {
    Result<std::vector<FoundTask>> found = co_await driver_->list();
    if (!found) co_return;  // the periodic mending finds it
    bool left = false;
    for (const FoundTask& task : *found) {
      if (task.handle.key.alloc_id != alloc_->id || task.handle.key.task != name_) continue;
      Result<void> gone = co_await driver_->stop(task.handle, kill_signal, 0);
      if (gone) gone = co_await driver_->remove(task.handle);
      left = left || !gone;
    }
    if (!left) co_return;
    co_await sleep_for(context_.env.executor, pause_ms);
    pause_ms *= 2;
  }
}

Task<TaskRunner::Begin> TaskRunner::begin() {
  if (local_.handle && local_.state.state != TaskRunState::kDead) {
    co_return co_await recover();
  }
  const bool again = !ready_ || task_->restart.value_or(RestartPolicy{}).render_templates;
  // A start whose outcome is not known was prepared before it was said.
  if (again && !local_.starting && !co_await prepare()) co_return Begin::kFailed;
  if (kill_wanted_.is_set() && !local_.starting) co_return Begin::kKilled;
  co_return co_await start();
}

}  // namespace sluice::orchestrator
