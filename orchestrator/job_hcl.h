// Job files: HCL in, Nomad's API JSON out, as `job run -output` prints it and PUT /v1/jobs takes
// it.
//
// What for: the command line, and /v1/jobs/parse. Only what the file says comes into the JSON;
// every default is the server's business (orchestrator/job.h: decode_job, canonicalize, validate).
// References that only a node can resolve, ${attr.kernel.name}, ${NOMAD_PORT_http}, ${meta.rack},
// stay as they are written. Pure: files and environment are arguments; any thread. Limits:
// hcl::HclLimits.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/hcl/eval.h"
#include "core/hcl/source.h"
#include "core/json.h"
#include "core/result.h"

namespace sluice::orchestrator {

struct NamedText {
  std::string name;
  std::string text;
};

struct JobHclOptions {
  // Values for the file's variables; of a variable set more than once the last of these counts:
  std::vector<NamedText>
      environment;                   // its NOMAD_VAR_x, by the name x; unknown ones are passed over
  std::vector<NamedText> var_files;  // -var-file: file name and content
  std::vector<NamedText> vars;       // -var x=text
  // What functions may use of the world: files below the job file's folder, randomness. Null, as on
  // a server that parses for others: nothing.
  const hcl::FunctionHost* host = nullptr;
  hcl::HclLimits limits = {};
};

/// `{"Job": {...}}`. Text that starts with "{" is a job in the API's form already. The error is a
/// whole message: place, what was expected, the line, a caret.
Result<Json> parse_job_hcl(std::string file_name, std::string text,
                           const JobHclOptions& options = {});

}  // namespace sluice::orchestrator
