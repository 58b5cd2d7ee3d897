// What of a response decides whether it is compressed, and what of a request whether it may be.
// Pure; any thread.
#pragma once

#include "core/http1.h"
#include "core/regex.h"

namespace sluice::proxy {

/// Accept-Encoding names gzip, and not with a weight of 0 (RFC 9110 12.5.3).
[[nodiscard]] bool accepts_gzip(const http1::Head& request);

/// A whole representation of a type that `types` finds, not encoded yet, that nobody forbids to
/// transform (RFC 9110 7.7).
[[nodiscard]] bool is_compressible(const http1::Head& response, const Regex& types);

}  // namespace sluice::proxy
