// AllocRunner's health: whether an instance came up, for its deployment or for the drain that
// placed it.
#include <algorithm>

#include "orchestrator/node/alloc_runner.h"
#include "orchestrator/node/pulse.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kMillisecondNs = 1'000'000;

}  // namespace

std::optional<AllocRunner::Strategy> AllocRunner::strategy() const {
  const TaskGroup& group = alloc_->task_group();
  if (!alloc_->deployment_id.empty() && group.update) {
    return Strategy{group.update->health_check, group.update->min_healthy_time_ns / kMillisecondNs,
                    group.update->healthy_deadline_ns / kMillisecondNs};
  }
  if (alloc_->deployment_id.empty() && group.migrate) {
    return Strategy{group.migrate->health_check,
                    group.migrate->min_healthy_time_ns / kMillisecondNs,
                    group.migrate->healthy_deadline_ns / kMillisecondNs};
  }
  return std::nullopt;
}

bool AllocRunner::healthy_now(const Strategy& strategy) const {
  for (const auto& task : tasks_) {
    const Phase phase = phase_of(task->config());
    const bool sidecar = task->config().lifecycle && task->config().lifecycle->sidecar;
    if (phase == Phase::kPoststop) continue;
    if (phase != Phase::kMain && !sidecar) {
      // It runs once: not to have failed is all that is asked of it.
      if (task->dead() && task->state().failed) return false;
      if (phase == Phase::kPrestart && !task->dead()) return false;
      continue;
    }
    if (!task->running()) return false;
    // Whatever is asked for, an instance that its own image calls ill has not come up.
    const TaskHealth health = task->health();
    if (health == TaskHealth::kStarting || health == TaskHealth::kUnhealthy) return false;
  }
  if (strategy.health_check != "checks") return true;
  return std::all_of(checks_.begin(), checks_.end(), [&](const NodeCheck& check) {
    if (check.on_update == "ignore") return true;
    const auto seen = seen_.find(check.service_id + "/" + check.check_id);
    if (seen == seen_.end()) return false;
    if (seen->second.status == CheckStatus::kPassing) return true;
    return seen->second.status == CheckStatus::kWarning && check.on_update == "ignore_warnings";
  });
}

void AllocRunner::set_healthy(bool healthy, const std::string& why) {
  local_.healthy = healthy;
  local_.healthy_at_ns = context_.env.executor.wall_ns();
  if (!healthy && !tasks_.empty()) tasks_.front()->add_event("Alloc Unhealthy", why);
  ++save_wanted_;
  save_event_.pulse();
  changed_hook_(alloc_->id);
}

/// Says once whether this instance came up: healthy for min_healthy_time on end before
/// healthy_deadline.
Task<void> AllocRunner::watch_health() {
  const std::optional<Strategy> judged = strategy();
  const std::string deployment = alloc_->deployment_id;
  if (local_.healthy || !judged || stopping_ || judged->health_check == "manual") co_return;
  Executor& executor = context_.env.executor;
  const int64_t deadline_ms = executor.now_ms() + judged->healthy_deadline_ms;
  int64_t healthy_since_ms = -1;
  while (!local_.healthy && !stopping_ && alloc_->deployment_id == deployment) {
    const int64_t now_ms = executor.now_ms();
    if (any_failed()) co_return set_healthy(false, "Unhealthy because of failed task");
    refresh_registrations();  // a task that has just come up has checks to pass
    if (!healthy_now(*judged)) {
      healthy_since_ms = -1;
    } else if (healthy_since_ms < 0) {
      healthy_since_ms = now_ms;
    }
    if (healthy_since_ms >= 0 && now_ms - healthy_since_ms >= judged->min_healthy_time_ms) {
      co_return set_healthy(true, "");
    }
    if (now_ms >= deadline_ms) {
      co_return set_healthy(false, "Task not running and healthy by healthy_deadline");
    }
    const int64_t next_ms =
        healthy_since_ms >= 0
            ? std::min(healthy_since_ms + judged->min_healthy_time_ms, deadline_ms)
            : deadline_ms;
    co_await pulse_within(executor, std::max<int64_t>(next_ms - now_ms, 1), changed_);
  }
}

}  // namespace sluice::orchestrator
