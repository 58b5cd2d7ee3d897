// What `alloc status` and `eval status` show.
//
// Pure: the API's JSON in, text out, without a newline at the end.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "orchestrator/cli/text.h"

namespace sluice::orchestrator::cli {

struct AllocStatusOptions {
  bool verbose = false;
  bool brief = false;  // -short
};
/// `stats`: the reply of /v1/client/allocation/:id/stats, or null. `followup_ns`: when a failed
/// allocation is tried again, 0 where it is not.
std::string format_alloc_status(const Json& alloc, const Json& stats, int64_t followup_ns,
                                const AllocStatusOptions& options, const Clock& clock,
                                const Style& style);

std::string format_eval_list(const Json& evaluations, bool verbose);
std::string format_eval_status(const Json& eval, bool verbose, const Clock& clock,
                               const Style& style);

}  // namespace sluice::orchestrator::cli
