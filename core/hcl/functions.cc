#include "core/hcl/functions.h"

namespace sluice::hcl {

const FunctionTable& standard_functions() {
  static const FunctionTable table(std::vector<Function>{});
  return table;
}

}  // namespace sluice::hcl
