// When a periodic job is launched next, as its client says it.
//
// Reads the time zone's file through the Disk; else pure.
#pragma once

#include <string>

#include "core/disk.h"
#include "core/json.h"
#include "orchestrator/cli/text.h"

namespace sluice::orchestrator::cli {

/// "2026-01-02T03:00:00Z (1h2m from now)"; "none (job stopped)"; "" of a job that is not launched
/// by time, or by a zone that this machine does not know.
std::string next_launch_text(Disk& disk, const Json& job, const Clock& clock);

}  // namespace sluice::orchestrator::cli
