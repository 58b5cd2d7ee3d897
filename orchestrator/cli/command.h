// The verbs: a table of names, flags, texts and functions.
//
// Immutable tables; the functions run on the session's thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/task.h"
#include "orchestrator/cli/flags.h"
#include "orchestrator/cli/session.h"

namespace sluice::orchestrator::cli {

struct Command {
  std::string_view name;     // "job run"
  std::string_view usage;    // what stands behind the name: "[options] <path>"
  std::string_view summary;  // one line, for lists
  std::string_view help;     // more, for -help; may be empty
  std::span<const FlagSpec> flags;
  bool reads_job_file = false;  // takes job_file_flags() too
  Task<int> (*run)(Session& session);
  size_t min_words = 0;
  size_t max_words = 0;
  size_t words_before_rest = 0;  // Flags::parse
  int usage_exit_code = 1;       // on wrong flags
};

// One table a folder of verbs; commands.cc joins them.
std::span<const Command> job_commands();
std::span<const Command> job_change_commands();
std::span<const Command> job_edit_commands();
std::span<const Command> scale_commands();
std::span<const Command> alloc_commands();
std::span<const Command> file_commands();
std::span<const Command> node_commands();
std::span<const Command> pool_commands();  // node pools and namespaces
std::span<const Command> cluster_commands();
std::span<const Command> route_commands();
std::span<const Command> exec_commands();
std::span<const Command> restart_commands();
std::span<const Command> acl_commands();
std::span<const Command> snapshot_commands();
std::span<const Command> api_commands();
std::span<const Command> init_commands();
std::span<const Command> completion_commands();

/// All of them, in the order of their names.
const std::vector<const Command*>& all_commands();

struct FoundCommand {
  const Command* command = nullptr;
  size_t words = 0;  // how many of the given words name it
};
/// The command whose name, or another word for it, is the longest beginning of the words.
FoundCommand find_command(std::span<const std::string> words);
/// The commands below "job", "operator raft", ...
std::vector<const Command*> commands_below(std::string_view prefix);

/// Those that every verb takes: -address and its like.
std::span<const FlagSpec> common_flags();

/// The one record whose id starts with `prefix`, from a list call; its errors name the kind
/// ("job"). An id that is given in full wins over longer ones.
Task<Result<Json>> find_one(Session& session, std::string list_path, std::string kind,
                            std::string prefix);

/// The one job whose id starts so.
Task<Result<Json>> find_job(Session& session, std::string prefix);
/// Where the API has it.
std::string job_path(const Json& job);

/// The one allocation whose id starts so; with `of_job`, a running one of that job.
Task<Result<Json>> find_alloc_for(Session& session, std::string word, bool of_job);

/// A path element, escaped.
std::string escaped(std::string_view id);

}  // namespace sluice::orchestrator::cli
