#include "orchestrator/node/alloc_runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "orchestrator/node/services.h"
#include "orchestrator/node/shutdown_delay.h"

namespace sluice::orchestrator {

AllocRunner::AllocRunner(NodeContext& context, LocalState& disk, AllocPtr alloc, LocalAlloc local,
                         Hooks hooks)
    : context_(context),
      disk_(disk),
      alloc_(std::move(alloc)),
      local_(std::move(local)),
      changed_hook_(std::move(hooks.changed)),
      ports_held_(std::move(hooks.ports_held)),
      changed_(context.env.executor),
      stop_wanted_(context.env.executor),
      save_event_(context.env.executor),
      scope_(context.env.executor) {
  local_.alloc_id = alloc_->id;
  begin_deployment();
  keep_order();
  make_tasks();
  restore_registrations();
}

AllocRunner::Phase AllocRunner::phase_of(const TaskConfig& task) {
  if (!task.lifecycle || task.lifecycle->hook.empty()) return Phase::kMain;
  if (task.lifecycle->hook == "prestart") return Phase::kPrestart;
  if (task.lifecycle->hook == "poststart") return Phase::kPoststart;
  return Phase::kPoststop;
}

TaskFolders AllocRunner::folders(std::string_view task) const {
  const std::string root = context_.options.data_folder + "/alloc/" + alloc_->id;
  const std::string own = root + "/" + std::string(task);
  return TaskFolders{.alloc = root + "/alloc",
                     .local = own + "/local",
                     .secrets = own + "/secrets",
                     .task = own,
                     .logs = root + "/alloc/logs"};
}

Result<void> AllocRunner::make_folders() {
  // Tasks may run as other users, so the shared folders are open; secrets are not.
  const std::string root = context_.options.data_folder + "/alloc/" + alloc_->id;
  for (const char* part : {"/alloc/logs", "/alloc/data", "/alloc/tmp"}) {
    Result<void> made = context_.env.disk.make_folders(root + part, 0755);
    if (!made) return made;
  }
  for (const TaskConfig& task : alloc_->task_group().tasks) {
    const TaskFolders own = folders(task.name);
    for (const auto& [path, mode] :
         {std::pair(own.local, 0755u), std::pair(own.task + "/tmp", 0777u),
          std::pair(own.secrets, 0700u)}) {
      Result<void> made = context_.env.disk.make_folders(path, mode);
      if (!made) return made;
    }
  }
  return {};
}

void AllocRunner::make_tasks() {
  for (const TaskConfig& task : alloc_->task_group().tasks) {
    LocalTask local;
    if (const auto found = local_.tasks.find(task.name); found != local_.tasks.end()) {
      local = found->second;
    }
    tasks_.push_back(std::make_unique<TaskRunner>(
        context_, alloc_, task, folders(task.name), std::move(local),
        TaskRunner::Hooks{
            .changed = [this] { task_changed(); },
            .save = [this] { return save(); },
            .restart = [this, name = task.name](
                           std::string reason) { restart({name}, std::move(reason)); }}));
  }
}

TaskRunner* AllocRunner::task(std::string_view name) {
  for (const auto& task : tasks_) {
    if (task->name() == name) return task.get();
  }
  return nullptr;
}

Task<void> AllocRunner::save() {
  const uint64_t mine = ++save_wanted_;
  save_event_.pulse();
  while (saved_ < mine) co_await save_event_.wait();
}

Task<void> AllocRunner::save_loop() {
  for (;;) {
    while (saved_ == save_wanted_) co_await save_event_.wait();
    const uint64_t version = save_wanted_;
    for (const auto& task : tasks_) local_.tasks[task->name()] = task->local();
    Result<void> saved = co_await disk_.save(local_);
    if (!saved) {
      // The tasks go on. What is lost if the agent ends now is found again by the driver's own
      // list.
      context_.log.error("alloc {}: {}", alloc_->id.substr(0, 8), saved.error().message);
    }
    saved_ = version;
    save_event_.pulse();
  }
}

void AllocRunner::task_changed() {
  for (const auto& task : tasks_) {
    if (!task->dead()) continue;
    if (task->state().failed) {
      kill_where([&](const TaskRunner& other) { return &other != task.get(); },
                 fmt::format("Task's sibling '{}' failed", task->name()));
    } else if (task->config().leader) {
      kill_where([&](const TaskRunner& other) { return &other != task.get(); },
                 "Leader Task in Group dead");
    }
  }
  refresh_registrations();
  changed_.pulse();
  changed_hook_(alloc_->id);
}

void AllocRunner::kill_where(const std::function<bool(const TaskRunner&)>& which,
                             const std::string& reason) {
  for (const auto& task : tasks_) {
    // Poststop tasks run after the end of the others, whatever ended them.
    if (phase_of(task->config()) == Phase::kPoststop) continue;
    if (!task->dead() && !task->killed() && which(*task)) task->kill(reason);
  }
}

template <class Condition>
Task<void> AllocRunner::wait_for(Condition condition) {
  while (!condition()) co_await changed_.wait();
}

bool AllocRunner::any_failed() const {
  return std::any_of(tasks_.begin(), tasks_.end(),
                     [](const auto& task) { return task->dead() && task->state().failed; });
}

void AllocRunner::start_phase(Phase phase) {
  for (const auto& task : tasks_) {
    if (phase_of(task->config()) == phase) scope_.spawn(task->run());
  }
}

Task<void> AllocRunner::run() {
  scope_.spawn(save_loop());
  Result<void> made = make_folders();
  if (!made) {
    setup_error_ = made.error().message;
    finished_ = true;
    changed_hook_(alloc_->id);
    co_return;
  }
  scope_.spawn(watch_stop());
  if (!co_await claim_ports()) {
    finished_ = true;
    changed_hook_(alloc_->id);
    co_return;
  }
  scope_.spawn(watch_health());
  scope_.spawn(watch_check_restarts());
  const auto all = [this](Phase phase, auto condition) {
    return std::all_of(tasks_.begin(), tasks_.end(), [&](const auto& task) {
      return phase_of(task->config()) != phase || condition(*task);
    });
  };
  const auto dead = [](const TaskRunner& task) { return task.dead(); };
  for (;;) {
    start_phase(Phase::kPrestart);
    co_await wait_for([&] {
      return all(Phase::kPrestart, [](const TaskRunner& task) {
        return task.dead() || (is_sidecar(task.config()) && task.running());
      });
    });
    // A kill that came before a task's start is seen by its run(): it ends at once and says so.
    start_phase(Phase::kMain);
    co_await wait_for([&] {
      return all(Phase::kMain,
                 [](const TaskRunner& task) { return task.dead() || task.running(); });
    });
    start_phase(Phase::kPoststart);
    // What runs once behind the start goes on to its own end.
    co_await wait_for([&] {
      return all(Phase::kMain, dead) && all(Phase::kPoststart, [](const TaskRunner& task) {
               return task.dead() || is_sidecar(task.config());
             });
    });
    kill_where([](const TaskRunner&) { return true; }, "Main tasks in the group are done");
    co_await wait_for([&] { return all(Phase::kPrestart, dead) && all(Phase::kPoststart, dead); });
    if (again_.empty() || stopping_ || any_failed()) break;
    const std::string reason = std::exchange(again_, {});
    for (const auto& task : tasks_) {
      if (phase_of(task->config()) != Phase::kPoststop) task->begin_anew();
    }
    // Said once none looks dead, for what is dead ends others.
    for (const auto& task : tasks_) {
      if (phase_of(task->config()) != Phase::kPoststop) task->add_event("Restart Signaled", reason);
    }
  }
  again_.clear();
  start_phase(Phase::kPoststop);
  co_await wait_for([&] { return all(Phase::kPoststop, dead); });
  co_await save();
  finished_ = true;
  if (context_.drainer != nullptr) {
    context_.drainer->forget({draining_.begin(), draining_.end()});
  }
  registrations_.clear();
  changed_.pulse();
  changed_hook_(alloc_->id);
}

/// Waits until the ports are free of what is stopping here, and looks whether anything else holds
/// one. False: it does; it is told, and the allocation is placed anew.
Task<bool> AllocRunner::claim_ports() {
  const bool started = std::any_of(tasks_.begin(), tasks_.end(), [](const auto& task) {
    return task->local().handle || task->local().starting || task->dead();
  });
  if (started) co_return true;  // taken over: the ports are its own tasks'
  waits_for_ports_ = true;
  while (ports_held_(*alloc_) && !stop_wanted_.is_set()) co_await changed_.wait();
  waits_for_ports_ = false;
  if (stop_wanted_.is_set()) co_return true;
  for (const AssignedPort& port : alloc_->ports) {
    const Address at{.ip = port.host_ip, .port = port.value};
    Result<std::unique_ptr<Listener>> free = context_.env.network.listen(at);
    if (free || free.error().code != Code::kConflict) continue;
    busy_ports_.push_back(
        {.address = port.host_ip, .port = port.value, .detail = "another process listens there"});
    setup_error_ =
        fmt::format("port {} ({}) is taken by another process", to_string(at), port.label);
  }
  co_return busy_ports_.empty();
}

void AllocRunner::stop() {
  stop_wanted_.set();
  changed_.pulse();
}

Task<void> AllocRunner::watch_stop() {
  co_await stop_wanted_.wait();
  // Out of the catalog and the balancers first; the signal follows their last answer or the limit.
  std::set<std::string> out;
  for (const auto& registration : registrations_) out.insert(registration.id);
  if (context_.drainer != nullptr) {
    // Before its tasks were taken over, a balancer may know it from the agent's last life.
    out.merge(context_.drainer->instances_of(
        registration_prefix(context_.cluster_id, context_.node.id) + alloc_->id + "-"));
  }
  stopping_ = true;
  refresh_registrations();
  changed_hook_(alloc_->id);
  co_await drain({out.begin(), out.end()});
  co_await shutdown_delay(context_.env.executor, alloc_, alloc_->task_group().shutdown_delay_ns,
                          changed_);
  // The leader first, then the others, and what stands beside them for as long as they need it.
  co_await kill_and_wait([](const TaskRunner& task) { return task.config().leader; });
  co_await kill_and_wait([](const TaskRunner& task) { return !is_sidecar(task.config()); });
  kill_where([](const TaskRunner&) { return true; }, "");
}

/// Ends them and waits until nothing of them runs.
Task<void> AllocRunner::kill_and_wait(std::function<bool(const TaskRunner&)> which) {
  kill_where(which, "");
  co_await wait_for([&] { return none_runs(which); });
}

/// One that has not begun is dead only when its turn has come, which others may hold up: nobody
/// waits for it.
bool AllocRunner::none_runs(const std::function<bool(const TaskRunner&)>& which) const {
  return std::all_of(tasks_.begin(), tasks_.end(), [&](const auto& task) {
    const bool begun = task->running() || task->local().handle || task->local().starting;
    return phase_of(task->config()) == Phase::kPoststop || !which(*task) || task->dead() || !begun;
  });
}

/// What an instance was found to be in one deployment says nothing of the next one.
void AllocRunner::begin_deployment() {
  if (local_.deployment_id == alloc_->deployment_id) return;
  local_.deployment_id = alloc_->deployment_id;
  local_.healthy.reset();
  local_.healthy_at_ns = 0;
}

bool AllocRunner::keep_order() {
  if (!local_.order.empty() && local_.order_index == alloc_->alloc_modify_index) return false;
  local_.order = encode_order(*alloc_);
  local_.order_index = alloc_->alloc_modify_index;
  return true;
}

void AllocRunner::update(AllocPtr alloc) {
  const bool other_deployment = alloc->deployment_id != alloc_->deployment_id;
  alloc_ = std::move(alloc);
  begin_deployment();
  const bool other_order = keep_order();
  const TaskGroup& group = alloc_->task_group();
  for (const auto& task : tasks_) {
    if (const TaskConfig* config = group.task(task->name())) task->set_alloc(alloc_, *config);
  }
  refresh_registrations();
  if (alloc_->server_terminal()) stop();
  if (other_order || other_deployment) {
    ++save_wanted_;
    save_event_.pulse();
  }
  if (other_deployment) {
    changed_hook_(alloc_->id);  // what was said of its health no longer holds
    scope_.spawn(watch_health());
  }
  changed_.pulse();
}

AllocUpdate AllocRunner::report() const {
  AllocUpdate update{.alloc_id = alloc_->id,
                     .client_status = ClientStatus::kPending,
                     .client_description = {},
                     .task_states = {},
                     .healthy = local_.healthy,
                     .deployment_id = local_.deployment_id,
                     .healthy_at_ns = local_.healthy_at_ns,
                     .busy_ports = busy_ports_};
  bool pending = false;
  bool running = false;
  for (const auto& task : tasks_) {
    update.task_states[task->name()] = task->state();
    if (phase_of(task->config()) == Phase::kPoststop && !task->running()) continue;
    pending |= task->state().state == TaskRunState::kPending;
    running |= task->running();
  }
  if (!setup_error_.empty()) {
    update.client_status = ClientStatus::kFailed;
    update.client_description = setup_error_;
  } else if (finished_) {
    update.client_status = any_failed() ? ClientStatus::kFailed : ClientStatus::kComplete;
    update.client_description = any_failed() ? "Failed tasks" : "All tasks have completed";
  } else if (running) {
    update.client_status = ClientStatus::kRunning;
    update.client_description = "Tasks are running";
  } else if (pending) {
    update.client_description = "No tasks have started";
  } else {
    // All dead, the last one's state not yet on disk.
    update.client_status = ClientStatus::kRunning;
  }
  return update;
}

}  // namespace sluice::orchestrator
