// The job language as tables: block and argument names of a job file and their names in the API's
// JSON; a file for each level of the language: job_hcl_schema_*.cc.
//
// Constants, all of them initialised by the compiler, so that they may point to each other.
#pragma once

#include "core/hcl/schema.h"

namespace sluice::orchestrator {

/// The body of a `job` block.
extern const hcl::BodySchema kJobSchema;

// What stands in it, for the levels above.
extern const hcl::BodySchema kGroupSchema;
extern const hcl::BodySchema kTaskSchema;
extern const hcl::BodySchema kNetworkSchema;
extern const hcl::BodySchema kServiceSchema;

extern const hcl::BodySchema kConstraintSchema;
extern const hcl::BodySchema kAffinitySchema;
extern const hcl::BodySchema kSpreadSchema;
extern const hcl::BodySchema kUpdateSchema;
extern const hcl::BodySchema kMigrateSchema;
extern const hcl::BodySchema kRestartSchema;
extern const hcl::BodySchema kRescheduleSchema;
extern const hcl::BodySchema kGroupScalingSchema;

}  // namespace sluice::orchestrator
