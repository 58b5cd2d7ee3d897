// The part of reconcile.h for system and sysbatch jobs; called by reconcile() alone.
#pragma once

#include <vector>

#include "orchestrator/reconcile.h"

namespace sluice::orchestrator {

/// `nodes`: the eligible ones in the job's scope.
void reconcile_system(const ReconcileInput& input, const std::vector<NodePtr>& nodes,
                      const JobIndex& index, Reconciled& out);

}  // namespace sluice::orchestrator
