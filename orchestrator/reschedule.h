// When an allocation that failed is replaced, by its group's reschedule policy.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "orchestrator/records.h"

namespace sluice::orchestrator {

/// The time at which it is to be replaced; nullopt: never, by its policy. `delay_ns` is how long
/// after its end that is.
std::optional<int64_t> reschedule_at(const Allocation& alloc, int64_t& delay_ns);

/// More attempts than these in an interval are not told apart: there are no more.
inline constexpr int64_t kMaxAttemptsCounted = 500;

/// What its replacement remembers of it, and of those before.
std::vector<RescheduleEvent> rescheduled(const Allocation& failed, int64_t now_ns);

}  // namespace sluice::orchestrator
