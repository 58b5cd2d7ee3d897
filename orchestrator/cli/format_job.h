// What `job status`, `job history` and `deployment status` show.
//
// Pure: the API's JSON in, text out, without a newline at the end.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"
#include "orchestrator/cli/text.h"

namespace sluice::orchestrator::cli {

/// `job status`: /v1/jobs as a table; "No running jobs" where there is none.
std::string format_job_list(const Json& jobs, const Clock& clock);

struct JobStatusOptions {
  bool verbose = false;
  bool evals = false;  // the evaluations, also where not verbose
  bool brief = false;  // -short: the head only
};
/// The answers that `job status ID` is made of; what was not asked for stays null.
struct JobStatusData {
  Json job;
  Json summary;
  Json allocations;
  Json evaluations;
  Json deployment;
  Json children;            // of a periodic or parameterized job: /v1/jobs?prefix=
  std::string next_launch;  // of a periodic one
};
std::string format_job_status(const JobStatusData& data, const JobStatusOptions& options,
                              const Clock& clock, const Style& style);

/// A table of allocation stubs, as under a job, a node, a deployment and an evaluation.
std::string format_alloc_list(const Json& allocations, bool verbose, const Clock& clock);

std::string format_deployment_list(const Json& deployments, bool verbose);
/// The deployment's head and its groups; `with_job`: with the job's id and version.
std::string format_deployment(const Json& deployment, bool verbose, bool with_job,
                              const Clock& clock, const Style& style);

/// `job history`: the reply of /v1/job/:id/versions.
std::string format_job_history(const Json& reply, bool diffs, const Clock& clock,
                               const Style& style);

}  // namespace sluice::orchestrator::cli
