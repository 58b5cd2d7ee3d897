// `completion`: what makes a shell offer verbs, flags and ids at the Tab key.
//
// The shell asks with the line typed so far (`-line`); ids come from the agent's search call, and
// where it does not answer at once there are none: the shell then offers files.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/scope.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/job_file.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr int64_t kAnswerMs = 1'000;  // for the agent: someone waits with a finger on the key

constexpr FlagSpec kFlags[] = {
    {"line", Kind::kValue, "print what fits behind this line; for the scripts"},
};

constexpr std::string_view kBash = R"(_sluice() {
  local IFS=$'\n'
  COMPREPLY=($(sluice completion -line="${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
}
complete -o bashdefault -o default -F _sluice sluice
)";
constexpr std::string_view kZsh = "autoload -U +X bashcompinit && bashcompinit\n";
constexpr std::string_view kFish =
    "complete -c sluice -a '(sluice completion -line=(commandline -cp | string collect -N) "
    "2>/dev/null)'\n";

/// What the first argument of a verb is, by the word that its usage has for it.
struct Argument {
  std::string_view word, context;  // of /v1/search
};
constexpr Argument kArguments[] = {{"<job>", "jobs"},
                                   {"<allocation>", "allocs"},
                                   {"<node>", "nodes"},
                                   {"<evaluation>", "evals"},
                                   {"<deployment>", "deployment"}};

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words(1);
  for (const char c : line) {
    if (c != ' ' && c != '\t') {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  return words;
}

/// The words that may come next below a group of verbs ("" is all of them).
std::set<std::string> next_words(const std::string& group, std::string_view begin) {
  std::set<std::string> found;
  const auto take = [&](std::string_view name) {
    const std::string_view word = name.substr(0, name.find(' '));
    if (word.starts_with(begin)) found.emplace(word);
  };
  if (group.empty()) {
    for (const Command* command : all_commands()) take(command->name);
    take("agent");
    take("lb");
  }
  for (const Command* command : commands_below(group)) {
    take(command->name.substr(group.size() + 1));
  }
  return found;
}

std::set<std::string> flags_of(const Command& command, std::string_view begin) {
  std::set<std::string> found;
  const auto take = [&](std::span<const FlagSpec> flags) {
    for (const FlagSpec& flag : flags) {
      std::string name = "-" + std::string(flag.name);
      if (name.starts_with(begin)) found.insert(std::move(name));
    }
  };
  take(command.flags);
  take(common_flags());
  if (command.reads_job_file) take(job_file_flags());
  return found;
}

std::set<std::string> ids_for(const Json& reply, std::string_view context) {
  std::set<std::string> found;
  for (const Json& id : items(at(at(reply, "Matches"), context))) {
    if (id.is_string()) found.insert(id.as_string());
  }
  return found;
}

Task<std::set<std::string>> fitting(Session& session, std::string line) {
  std::vector<std::string> words = words_of(line);
  const std::string begin = words.back();
  words.pop_back();
  if (words.empty()) co_return std::set<std::string>();
  words.erase(words.begin());  // the program
  const FoundCommand found = find_command(words);
  if (found.command == nullptr) co_return next_words(join(words, " "), begin);
  if (begin.starts_with('-')) co_return flags_of(*found.command, begin);
  // Only the first argument is an id, but for those that take several.
  const bool first = std::all_of(words.begin() + static_cast<ptrdiff_t>(found.words), words.end(),
                                 [](const std::string& word) { return word.starts_with('-'); });
  const std::string_view usage = found.command->usage;
  if (!first && !usage.ends_with("...")) co_return std::set<std::string>();
  for (const Argument& argument : kArguments) {
    if (usage.substr(std::min(usage.find('<'), usage.size())).starts_with(argument.word)) {
      Result<ApiReply> reply = co_await with_timeout(
          session.env().executor, kAnswerMs,
          session.put("/v1/search",
                      Json::object({{"Prefix", begin}, {"Context", argument.context}})));
      if (reply) co_return ids_for(reply->body, argument.context);
    }
  }
  co_return std::set<std::string>();
}

Task<int> completion(Session& session) {
  if (const auto line = session.flags().value("line")) {
    for (const std::string& each : co_await fitting(session, *line)) session.print(each);
    co_return 0;
  }
  const auto& words = session.flags().words();
  if (words.empty()) {
    session.print(
        "A line in the shell's own file makes it offer verbs, flags and ids at the Tab key:\n\n"
        "    ~/.bashrc                   source <(sluice completion bash)\n"
        "    ~/.zshrc                    source <(sluice completion zsh)\n"
        "    ~/.config/fish/config.fish  sluice completion fish | source");
    co_return 0;
  }
  Terminal& terminal = session.env().terminal;
  if (words[0] == "bash") {
    terminal.out(kBash);
  } else if (words[0] == "zsh") {
    terminal.out(kZsh);
    terminal.out(kBash);
  } else if (words[0] == "fish") {
    terminal.out(kFish);
  } else {
    co_return session.error(fmt::format(
        "sluice completion: no shell {}: bash, zsh and fish are there", quoted(words[0])));
  }
  co_return 0;
}

constexpr Command kCommands[] = {
    {.name = "completion",
     .usage = "[bash|zsh|fish]",
     .summary = "Print what makes a shell complete verbs, flags and ids",
     .help = "Without a shell: says where to put it.",
     .flags = kFlags,
     .run = completion,
     .max_words = 1},
};

}  // namespace

std::span<const Command> completion_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
