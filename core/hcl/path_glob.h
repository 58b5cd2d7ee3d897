// Paths by their text alone, and patterns for them. Pure.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice::hcl {

/// Without "//", "." and, as far as the text tells, ".."; "" is ".".
std::string clean_path(std::string_view path);

/// * and ? within one name, [a-z] [^a-z], {a,b}, and ** for any number of folders. kInvalid: the
/// pattern is wrong or takes too many steps.
Result<bool> glob_matches(std::string_view pattern, std::string_view path);

}  // namespace sluice::hcl
