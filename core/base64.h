// Base64, RFC 4648 section 4, with padding.
//
// Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice {

std::string base64_encode(std::string_view bytes);
/// Strict: no line breaks, whole quartets, padding where it belongs; kInvalid otherwise.
Result<std::string> base64_decode(std::string_view text);

}  // namespace sluice
