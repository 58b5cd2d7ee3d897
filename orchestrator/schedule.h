// schedule: from a snapshot and an evaluation to a plan.
//
// Pure: no clock, no I/O, no global, no unordered walk in a decision; the same arguments give the
// same plan. Runs on the pool. `job plan` calls it with the job put into the snapshot's place.
#pragma once

#include <cstdint>

#include "orchestrator/plan.h"
#include "orchestrator/state.h"

namespace sluice::orchestrator {

struct ScheduleInput {
  Snapshot snapshot;
  EvalPtr eval;
  /// The job in the snapshot's place (a dry run); else nullptr.
  JobPtr job_override;
  int64_t now_ns = 0;
  uint64_t seed =
      0;  // of ids only; nodes and ports follow from the job, so that a plan can be repeated
};

Plan schedule(const ScheduleInput& input);

}  // namespace sluice::orchestrator
