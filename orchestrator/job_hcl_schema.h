// The job language as tables: block and argument names of a job file and their names in the API's
// JSON. Constants.
#pragma once

#include "core/hcl/schema.h"

namespace sluice::orchestrator {

/// The body of a `job` block.
extern const hcl::BodySchema kJobSchema;

}  // namespace sluice::orchestrator
