// What the reconciling of every type of job asks and makes.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "orchestrator/reconcile.h"

namespace sluice::orchestrator {

/// Whether it was made from, or taken over by, this version of the job.
inline bool same_version(const Allocation& alloc, const Job& job) {
  return alloc.job->version == job.version && alloc.job->create_index == job.create_index;
}

/// Nobody will report the end of what ran there.
inline bool is_lost(const NodePtr& node) {
  return !node || node->status == NodeStatus::kDown;
}

/// An evaluation of the job that comes after the present one, at that time.
std::shared_ptr<Evaluation> follow_up(const ReconcileInput& in, std::string_view trigger,
                                      int64_t at_ns);

}  // namespace sluice::orchestrator
