// Durations as people write and read them in this field: Go's text form ("1h30m0s", "15s",
// "250ms"), which job files, flags and Nomad's output use. Units in, nanoseconds out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice {

/// As Go prints a time.Duration: "0s", "1.5s", "250ms", "30m0s", "1h0m0s".
std::string go_duration(int64_t ns);

/// Reads what Go's time.ParseDuration reads: a sign, then numbers with a unit each (h m s ms us
/// ns).
Result<int64_t> parse_go_duration(std::string_view text);

}  // namespace sluice
