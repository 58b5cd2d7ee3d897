// The agent's configuration files: which blocks and arguments there are, and where in an
// AgentConfig each of them goes.
//
// Pure but for reading the files. Any thread; main's, and the control loop's for SIGHUP.
#pragma once

#include <string>
#include <string_view>

#include "app/agent_config.h"
#include "core/result.h"

namespace sluice {

/// A file, or a folder whose *.hcl and *.json files are read in the order of their names; what they
/// say replaces what `config` says. The error names the file with line and column.
Result<void> read_config_path(const std::string& path, AgentConfig& config);

/// A switch that is written as text: behind a flag, among `options`.
inline bool is_true(std::string_view text) {
  return text == "true" || text == "1";
}

}  // namespace sluice
