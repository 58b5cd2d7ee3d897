// When a task that ended is started again: the `restart` block of the job language.
// Pure; times and the jitter are arguments. Owner: the task's runner.
#pragma once

#include <cstdint>
#include <string>

#include "orchestrator/job.h"

namespace sluice::orchestrator {

enum class AfterExit : uint8_t { kRestart, kFail, kComplete };

struct RestartDecision {
  AfterExit action = AfterExit::kFail;
  int64_t delay_ns = 0;  // before the restart
  std::string reason;    // for the task's events
};

/// What the policy remembers of the past; kept on disk, so that an agent's restart gives no fresh
/// attempts.
struct RestartHistory {
  int64_t interval_started_ns = 0;
  int64_t attempts = 0;  // restarts within the interval

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("IntervalStarted", s.interval_started_ns);
    v("Attempts", s.attempts);
  }
};

/// Of a task that ended by itself (not because it was told to). A batch task that succeeded is
/// complete; a service's is started again. `jitter` in [0, 1) adds up to a quarter of the delay, so
/// that instances that fail together do not come back together.
RestartDecision decide_restart(const RestartPolicy& policy, bool is_batch, bool success,
                               int64_t now_ns, double jitter, RestartHistory& history);

}  // namespace sluice::orchestrator
