// Bytes of files as the API's streams carry them: `alloc logs` and `alloc fs` print what comes.
//
// Thread: the session's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/task.h"
#include "orchestrator/cli/session.h"

namespace sluice::orchestrator::cli {

/// Prints the answer of fs/logs or fs/stream (JSON objects one after the other, empty ones as
/// heartbeats) until its end, and returns the exit code. `doing` is for errors: "reading logs".
Task<int> print_frames(Session& session, std::string path, Query query, std::string doing);

/// The last `count` lines, the one without a newline at the end included; nullopt: there are fewer.
std::optional<std::string_view> last_lines(std::string_view text, int64_t count);

}  // namespace sluice::orchestrator::cli
