// The functions that job files may call, under the names and with the results of Nomad's.
//
// One immutable table; any thread.
#pragma once

#include "core/hcl/eval.h"

namespace sluice::hcl {

const FunctionTable& standard_functions();

}  // namespace sluice::hcl
