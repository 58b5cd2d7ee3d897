#include "orchestrator/node/restart_policy.h"

#include <fmt/core.h>

#include "core/duration.h"

namespace sluice::orchestrator {

RestartDecision decide_restart(const RestartPolicy& policy, bool is_batch, bool success,
                               int64_t now_ns, double jitter, RestartHistory& history) {
  if (is_batch && success) return {AfterExit::kComplete, 0, ""};
  if (policy.attempts == 0) {
    return {AfterExit::kFail, 0, "Policy allows no restarts"};
  }
  if (history.attempts == 0 || now_ns - history.interval_started_ns > policy.interval_ns) {
    history = {.interval_started_ns = now_ns, .attempts = 0};
  }
  const auto delay =
      policy.delay_ns + static_cast<int64_t>(jitter * 0.25 * static_cast<double>(policy.delay_ns));
  if (history.attempts < policy.attempts) {
    ++history.attempts;
    return {AfterExit::kRestart, delay, "Restart within policy"};
  }
  if (policy.mode == "delay") {
    const int64_t interval_end = history.interval_started_ns + policy.interval_ns;
    history.attempts = 0;  // the next end begins an interval of its own
    return {AfterExit::kRestart, interval_end > now_ns ? interval_end - now_ns : delay,
            fmt::format("Exceeded allowed attempts {} in interval {} and mode is \"delay\"",
                        policy.attempts, go_duration(policy.interval_ns))};
  }
  return {AfterExit::kFail, 0,
          fmt::format("Exceeded allowed attempts {} in interval {} and mode is \"fail\"",
                      policy.attempts, go_duration(policy.interval_ns))};
}

}  // namespace sluice::orchestrator
