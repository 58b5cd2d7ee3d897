// The command line: `sluice job run x.nomad` and its like, a client of the HTTP API.
//
// One verb a process. Thread: run_cli's caller; it makes its own loop.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/task.h"
#include "orchestrator/cli/session.h"

namespace sluice::orchestrator::cli {

/// Runs one verb with what the caller gives, and returns the exit code. For tests.
Task<int> run_verb(CliEnv& env, std::vector<std::string> words);

/// The same on a loop of its own, with the process's terminal and environment.
int run_cli(std::vector<std::string> words);

/// The list of verbs, as `sluice -help` prints it.
std::string general_help();

}  // namespace sluice::orchestrator::cli
