// Waiting for a pulse, or for a time.
#pragma once

#include "core/scope.h"

namespace sluice::orchestrator {

/// Until the event's next pulse, or for `limit_ms`, when the event is pulsed itself: who waits for
/// pulses looks again anyway. Listens from the call on; until() does a turn later, and what is
/// pulsed between a look and that turn would be lost.
inline Task<void> pulse_within(Executor& executor, int64_t limit_ms, Event& event) {
  auto timer = [](Executor& on, int64_t ms, Event& pulsed) -> Task<void> {
    co_await sleep_for(on, ms);
    pulsed.pulse();
  };
  Scope scope(executor);
  scope.spawn(timer(executor, limit_ms, event));
  co_await event.wait();
}

}  // namespace sluice::orchestrator
