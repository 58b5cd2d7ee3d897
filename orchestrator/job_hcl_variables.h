// The `variable`, `variables` and `locals` blocks of a job file: from declarations and given values
// to the scope that the job is evaluated in (var.x, local.x).
#pragma once

#include "core/hcl/ast.h"
#include "core/hcl/eval.h"
#include "core/result.h"
#include "orchestrator/job_hcl.h"

namespace sluice::orchestrator {

/// Sets `var` and `local` in the scope.
Result<void> declare_variables(const hcl::File& file, const JobHclOptions& options,
                               hcl::Evaluator& evaluator, hcl::Scope& scope);

/// The values of all `locals` blocks, as one object; the scope has `var`.
Result<hcl::Value> compute_locals(const hcl::File& file, hcl::Evaluator& evaluator,
                                  const hcl::Scope& scope);

}  // namespace sluice::orchestrator
