// What `job plan` shows: the job's diff, the scheduler's dry run, and the way to submit exactly
// this. The diff alone is also what `job history -p` shows.
//
// Pure: the API's JSON in, text out.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "orchestrator/cli/text.h"

namespace sluice::orchestrator::cli {

/// A JobDiff. Not verbose: what is wholly added or deleted is named, not spelled out.
std::string format_job_diff(const Json& diff, bool verbose, const Style& style);

/// Why instances could not be placed: the bullets of an AllocMetric, each line behind `prefix`.
std::string format_alloc_metric(const Json& metric, bool scores, std::string_view prefix);

struct PlanOptions {
  bool diff = true;
  bool verbose = false;
  std::string run_arguments;  // what `job run` needs again: "-var x=y "; empty or ends with a blank
  std::string path;           // the job file as given
};
/// The whole output of `job plan`, from the plan's reply and the submitted job.
std::string format_plan(const Json& reply, const Json& job, const PlanOptions& options,
                        const Clock& clock, const Style& style);

/// 0: nothing would change, 1: something would.
int plan_exit_code(const Json& reply);

}  // namespace sluice::orchestrator::cli
