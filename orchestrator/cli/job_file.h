// Reads a job file, HCL or JSON, into the job of the API.
//
// Thread: any that may block on a file.
#pragma once

#include <span>
#include <string>

#include "core/json.h"
#include "core/result.h"
#include "orchestrator/cli/flags.h"
#include "orchestrator/cli/session.h"

namespace sluice::orchestrator::cli {

inline constexpr size_t kJobFileBytes = 8 * 1024 * 1024;

/// -var, -var-file and their like; verbs that read a job file take them.
std::span<const FlagSpec> job_file_flags();

struct JobFile {
  Json job;         // itself, without the {"Job": ...} around it
  Json submission;  // the text and its variables, as the API keeps them beside the job
};
/// `path` "-" is standard input.
Result<JobFile> read_whole_job_file(Session& session, const std::string& path);
/// The job alone.
Result<Json> read_job_file(Session& session, const std::string& path);

/// The flags that job_file_flags() names, as they were given, for a line to be typed again.
std::string job_file_arguments(const Flags& flags);

}  // namespace sluice::orchestrator::cli
