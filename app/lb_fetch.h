// The properties file of `-cfg` where that is a URL.
#pragma once

#include <string>

#include "core/result.h"

namespace sluice {

/// The text behind an http or https URL; who answers https must be signed by an authority of the
/// system. At most 16 MiB within 10 s; redirects are not followed. Blocks, with a loop of its own:
/// at the start, and on the pool.
Result<std::string> fetch_config(const std::string& url);

}  // namespace sluice
