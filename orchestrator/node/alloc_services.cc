// AllocRunner's services: what the catalog should hold of the allocation, draining before a signal,
// and the restarts that failing checks ask for.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "orchestrator/node/alloc_runner.h"
#include "orchestrator/node/pulse.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kMillisecondNs = 1'000'000;
constexpr int64_t kReportAgainMs = 500;
constexpr size_t kScriptOutputBytes = 4 * 1024;

std::string check_key(const std::string& service_id, const std::string& check_id) {
  return service_id + "/" + check_id;
}

}  // namespace

void AllocRunner::refresh_registrations() {
  std::vector<ServiceRegistration> wanted;
  std::vector<NodeCheck> checks;
  std::vector<std::string> problems;
  const TaskGroup& group = alloc_->task_group();
  const std::string prefix = registration_prefix(context_.cluster_id, context_.node.id);
  bool all_running = true;
  for (const auto& task : tasks_) {
    const bool up = task->running() && !restarting_.contains(task->name());
    if (phase_of(task->config()) == Phase::kMain && !up) all_running = false;
    if (stopping_ || !up || task->killed()) continue;
    std::vector<ServiceRegistration> made =
        make_registrations(prefix, *alloc_, &task->config(), task->config().services,
                           task->environment(), task->network(), checks, problems);
    std::move(made.begin(), made.end(), std::back_inserter(wanted));
  }
  if (!stopping_ && all_running && !tasks_.empty() && !group.services.empty()) {
    std::vector<ServiceRegistration> made =
        make_registrations(prefix, *alloc_, nullptr, group.services, tasks_.front()->environment(),
                           TaskNetwork(), checks, problems);
    std::move(made.begin(), made.end(), std::back_inserter(wanted));
  }
  checks_ = std::move(checks);
  follow_scripts();
  if (wanted == registrations_) return;
  for (const std::string& problem : problems) {
    context_.log.warn("alloc {}: {}", alloc_->id.substr(0, 8), problem);
  }
  // What a check said of a run that is gone says nothing of the next one.
  std::erase_if(seen_, [&](const auto& item) {
    return std::none_of(wanted.begin(), wanted.end(), [&](const ServiceRegistration& one) {
      return item.first.starts_with(one.id + "/");
    });
  });
  registrations_ = std::move(wanted);
}

/// What an earlier agent has registered stays as it is until its tasks are taken over, or are found
/// to be gone: a service that is taken out and put in again loses requests, and what somebody meant
/// by its maintenance.
void AllocRunner::restore_registrations() {
  const bool known = std::ranges::all_of(tasks_, [](const auto& task) {
    return !task->running() || task->local().network.has_value();
  });
  if (known) refresh_registrations();
}

/// The task in which it runs.
const std::string& AllocRunner::script_task(const NodeCheck& check) const {
  return check.task.empty() ? alloc_->task_group().tasks.front().name : check.task;
}

void AllocRunner::follow_scripts() {
  std::map<std::string, const NodeCheck*> wanted;
  for (const NodeCheck& check : checks_) {
    if (check.check.command.empty()) continue;
    TaskRunner* runner = task(script_task(check));
    if (runner != nullptr && !runner->taken_up()) continue;
    wanted[check_key(check.service_id, check.check_id)] = &check;
  }
  std::erase_if(scripts_, [&](const auto& item) {
    const auto found = wanted.find(item.first);
    return found == wanted.end() || *found->second != item.second.check;
  });
  for (const auto& [key, check] : wanted) {
    const auto [at, fresh] = scripts_.try_emplace(key);
    if (!fresh) continue;
    at->second = {*check, std::make_unique<Scope>(context_.env.executor)};
    at->second.loop->spawn(run_script(*check));
  }
}

namespace {

struct ScriptResult {
  CheckStatus status = CheckStatus::kCritical;
  std::string output;
};

/// As Consul judges a script: 0 passes, 1 warns, all else is critical.
Task<Result<ScriptResult>> script_result(TaskRunner& task, std::vector<std::string> command) {
  Result<std::unique_ptr<ExecSession>> session =
      co_await task.exec({.command = std::move(command)});
  if (!session) co_return pass(session);
  (void)(*session)->end_input();
  ScriptResult result;
  while (true) {
    Result<std::optional<ExecSession::Piece>> piece = co_await (*session)->read();
    if (!piece) co_return pass(piece);
    if (!*piece) break;
    const std::string& bytes = (*piece)->bytes;
    result.output += bytes.substr(0, kScriptOutputBytes - result.output.size());
  }
  Result<int64_t> code = co_await (*session)->wait();
  if (!code) co_return pass(code);
  if (*code == 0) result.status = CheckStatus::kPassing;
  if (*code == 1) result.status = CheckStatus::kWarning;
  co_return result;
}

}  // namespace

Task<void> AllocRunner::run_script(NodeCheck check) {
  Executor& executor = context_.env.executor;
  const std::string task_name = script_task(check);
  std::vector<std::string> command{check.check.command};
  command.insert(command.end(), check.check.args.begin(), check.check.args.end());
  for (;;) {
    CheckState state{.service_id = check.service_id,
                     .check_id = check.check_id,
                     .name = check.check.name,
                     .status = CheckStatus::kCritical,
                     .output = {}};
    if (TaskRunner* runner = task(task_name)) {
      Result<ScriptResult> result =
          co_await with_timeout(executor, check.check.timeout_ms, script_result(*runner, command));
      if (result) state.status = result->status;
      state.output = result ? std::move(result->output) : result.error().message;
    }
    context_.catalog.report(state);
    // A catalog that does not know the registration yet is told again.
    const int64_t next_ms = executor.now_ms() + check.check.interval_ms;
    const std::string key = check_key(check.service_id, check.check_id);
    while (executor.now_ms() < next_ms) {
      co_await sleep_for(executor, std::min(kReportAgainMs, next_ms - executor.now_ms()));
      const auto seen = seen_.find(key);
      if (seen == seen_.end()) context_.catalog.report(state);
    }
  }
}

void AllocRunner::on_check(const CheckState& check) {
  for (const auto& registration : registrations_) {
    if (registration.id != check.service_id) continue;
    const auto [at, fresh] = seen_.try_emplace(check_key(check.service_id, check.check_id));
    if (!fresh && at->second.status == check.status) continue;
    const Executor& executor = context_.env.executor;
    at->second = {check.status, executor.now_ms(), executor.wall_ns(), check.output};
    changed_.pulse();
  }
}

std::vector<AllocRunner::CheckView> AllocRunner::checks() const {
  std::vector<CheckView> views;
  for (const NodeCheck& check : checks_) {
    CheckView& view = views.emplace_back();
    view.check = &check;
    for (const ServiceRegistration& registration : registrations_) {
      if (registration.id == check.service_id) view.service = registration.name;
    }
    const auto seen = seen_.find(check_key(check.service_id, check.check_id));
    if (seen == seen_.end()) continue;
    view.status = seen->second.status;
    view.since_ns = seen->second.since_wall_ns;
    view.output = seen->second.output;
  }
  return views;
}

/// Marks the instances draining and waits for their last answer, or for drain_timeout.
Task<void> AllocRunner::drain(std::vector<std::string> instances) {
  draining_.insert(instances.begin(), instances.end());
  if (context_.drainer == nullptr || instances.empty()) co_return;
  auto drained = [](Drainer& drainer, std::vector<std::string> which) -> Task<Result<void>> {
    co_await drainer.drain(std::move(which));
    co_return Result<void>();
  };
  Result<void> done =
      co_await with_timeout(context_.env.executor, context_.options.drain_timeout_ms,
                            drained(*context_.drainer, std::move(instances)));
  if (!done) {
    context_.log.warn("alloc {}: requests still under way after drain_timeout; stopping it now",
                      alloc_->id.substr(0, 8));
  }
}

void AllocRunner::restart(std::vector<std::string> tasks, std::string reason, bool is_failure) {
  scope_.spawn(restart_tasks(std::move(tasks), std::move(reason), is_failure));
}

Task<void> AllocRunner::restart_tasks(std::vector<std::string> names, std::string reason,
                                      bool is_failure) {
  std::erase_if(names, [&](const std::string& name) {
    TaskRunner* found = task(name);
    return stopping_ || found == nullptr || !found->running() || restarting_.contains(name);
  });
  if (names.empty()) co_return;
  const std::vector<std::string> gone = co_await take_out(names);
  std::map<std::string, uint64_t> runs;
  for (const std::string& name : names) {
    runs[name] = task(name)->local().run;
    task(name)->restart(reason, is_failure);
  }
  const auto back = [&](const auto& item) {
    const TaskRunner& one = *task(item.first);
    return one.dead() || one.killed() || (one.running() && one.local().run > item.second);
  };
  while (!std::all_of(runs.begin(), runs.end(), back)) co_await changed_.wait();
  put_back(names, gone);
}

/// Their services leave the catalog and the balancers; the instances, once their requests are over.
Task<std::vector<std::string>> AllocRunner::take_out(const std::vector<std::string>& names) {
  restarting_.insert(names.begin(), names.end());
  const std::vector<ServiceRegistration> before = registrations_;
  refresh_registrations();
  changed_hook_(alloc_->id);
  std::vector<std::string> gone;
  for (const ServiceRegistration& one : before) {
    const bool stays = std::any_of(registrations_.begin(), registrations_.end(),
                                   [&](const auto& now) { return now.id == one.id; });
    if (!stays) gone.push_back(one.id);
  }
  co_await drain(gone);
  co_return gone;
}

void AllocRunner::put_back(const std::vector<std::string>& names,
                           const std::vector<std::string>& gone) {
  for (const std::string& name : names) restarting_.erase(name);
  if (!stopping_) {
    if (context_.drainer != nullptr) context_.drainer->resume(gone);
    for (const std::string& id : gone) draining_.erase(id);
  }
  task_changed();
}

void AllocRunner::restart_all(std::string reason) {
  scope_.spawn(restart_whole(std::move(reason)));
}

Task<void> AllocRunner::restart_whole(std::string reason) {
  // A restart that is under way comes first.
  while (!restarting_.empty() && !stopping_ && !finished_) co_await changed_.wait();
  if (stopping_ || finished_) co_return;
  std::vector<std::string> names;
  for (const auto& task : tasks_) names.push_back(task->name());
  const std::vector<std::string> gone = co_await take_out(names);
  if (!stopping_ && !finished_) {
    again_ = reason;
    const auto first = [](const TaskRunner& task) { return !is_sidecar(task.config()); };
    kill_where(first, "");
    // run() may see it before us, and begin anew: those are not meant.
    while (!again_.empty() && !none_runs(first)) co_await changed_.wait();
    if (!again_.empty()) kill_where([](const TaskRunner&) { return true; }, reason);
  }
  const auto up = [](const auto& task) {
    return phase_of(task->config()) != Phase::kMain || task->dead() || task->running();
  };
  while (!again_.empty() || !std::all_of(tasks_.begin(), tasks_.end(), up)) {
    co_await changed_.wait();
  }
  put_back(names, gone);
}

std::optional<int64_t> AllocRunner::restart_due(const NodeCheck& check) const {
  if (!check.restart) return std::nullopt;
  const auto seen = seen_.find(check_key(check.service_id, check.check_id));
  if (seen == seen_.end()) return std::nullopt;
  const bool bad =
      seen->second.status == CheckStatus::kCritical ||
      (seen->second.status == CheckStatus::kWarning && !check.restart->ignore_warnings);
  if (!bad) return std::nullopt;
  int64_t up_since_ms = 0;
  for (const auto& task : tasks_) {
    if (!check.task.empty() && task->name() != check.task) continue;
    up_since_ms = std::max(up_since_ms, task->running_since_ms());
  }
  // The first bad result counts at once; the grace ends before any does.
  const int64_t grace_end_ms = up_since_ms + check.restart->grace_ns / kMillisecondNs;
  return std::max(seen->second.since_ms, grace_end_ms) +
         check.check.interval_ms * (check.restart->limit - 1);
}

Task<void> AllocRunner::watch_check_restarts() {
  Executor& executor = context_.env.executor;
  for (;;) {
    std::optional<int64_t> next_ms;
    for (const NodeCheck& check : checks_) {
      const std::optional<int64_t> due_ms = restart_due(check);
      if (!due_ms) continue;
      if (*due_ms > executor.now_ms()) {
        next_ms = std::min(next_ms.value_or(*due_ms), *due_ms);
        continue;
      }
      std::vector<std::string> tasks;
      for (const auto& task : tasks_) {
        if (check.task.empty() || task->name() == check.task) tasks.push_back(task->name());
      }
      seen_.erase(check_key(check.service_id, check.check_id));
      restart(std::move(tasks),
              fmt::format("healthcheck: check \"{}\" unhealthy", check.check.name), true);
    }
    if (!next_ms) {
      co_await changed_.wait();
      continue;
    }
    co_await pulse_within(executor, std::max<int64_t>(*next_ms - executor.now_ms(), 1), changed_);
  }
}

}  // namespace sluice::orchestrator
