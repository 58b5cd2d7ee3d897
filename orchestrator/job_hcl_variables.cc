#include "orchestrator/job_hcl_variables.h"

#include "core/hcl/parser.h"

namespace sluice::orchestrator {

using hcl::Value;

Result<void> declare_variables(const hcl::File& file, const JobHclOptions&,
                               hcl::Evaluator& evaluator, hcl::Scope& scope) {
  for (const hcl::Block& block : file.body.blocks) {
    if (block.type == "variable" || block.type == "variables" || block.type == "locals") {
      return hcl::fail_at(block.type_span, "\"{}\" is not supported yet", block.type);
    }
  }
  static_cast<void>(evaluator);
  scope.set("var", Value::object({}));
  scope.set("local", Value::object({}));
  return {};
}

}  // namespace sluice::orchestrator
