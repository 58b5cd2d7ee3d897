// Waiting for a shutdown_delay, of a group or of a task.
#pragma once

#include <cstdint>

#include "core/executor.h"
#include "orchestrator/node/pulse.h"
#include "orchestrator/record_allocation.h"

namespace sluice::orchestrator {

/// No longer than the allocation's newest version, each of which pulses `alloc_changed`, wants it:
/// the operator may say meanwhile that there shall be no delay. `alloc` is read again each time.
inline Task<void> shutdown_delay(Executor& executor, const AllocPtr& alloc, int64_t delay_ns,
                                 Event& alloc_changed) {
  constexpr int64_t kMillisecondNs = 1'000'000;
  const int64_t end_ms = executor.now_ms() + delay_ns / kMillisecondNs;
  while (!alloc->no_shutdown_delay && executor.now_ms() < end_ms) {
    co_await pulse_within(executor, end_ms - executor.now_ms(), alloc_changed);
  }
}

}  // namespace sluice::orchestrator
