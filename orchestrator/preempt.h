// Preempt: which allocations of a node give way so that one more important fits.
//
// Pure; any thread. Only system jobs ask for it: they belong on each node, while every other job
// finds room elsewhere or waits.
#pragma once

#include <vector>

#include "orchestrator/fit.h"

namespace sluice::orchestrator {

/// Only jobs of a priority this much lower give way.
inline constexpr int64_t kPreemptionGap = 10;

/// Of `standing`, all of which `usage` counts, those that are to stop so that the ask fits: of
/// the lowest priority first, no more than needed. Empty: nothing would help, or nothing is needed.
std::vector<AllocPtr> victims(std::vector<AllocPtr> standing, int64_t priority, const Node& node,
                              const Usage& usage, const GroupAsk& ask, int64_t now_ns);

/// The allocation as it is once its way is given.
std::shared_ptr<Allocation> evicted(const Allocation& alloc, const std::string& by);

}  // namespace sluice::orchestrator
