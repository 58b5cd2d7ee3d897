// The text form that listeners and certificate stores share: items separated by commas, options by
// semicolons, values that may be quoted.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice::proxy {

std::string_view trim_spaces(std::string_view text);
/// Splits at a separator that does not stand in quotes; the parts are trimmed.
Result<std::vector<std::string_view>> split_unquoted(std::string_view text, char separator);
std::string_view unquote(std::string_view text);
/// "true", "1", "t" and their opposites.
Result<bool> parse_option_bool(std::string_view text);
/// Go's form; from 0 to a year.
Result<int64_t> parse_option_ms(std::string_view text);

}  // namespace sluice::proxy
