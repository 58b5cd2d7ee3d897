#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/job_file.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr FlagSpec kCommonFlags[] = {
    {"address", Kind::kValue, "the agent's API (SLUICE_ADDR, NOMAD_ADDR; http://127.0.0.1:4646)"},
    {"namespace", Kind::kValue, "the namespace (NOMAD_NAMESPACE; default)"},
    {"region", Kind::kValue, "the region (NOMAD_REGION)"},
    {"token", Kind::kValue, "the access token (SLUICE_TOKEN, NOMAD_TOKEN)"},
    {"ca-cert", Kind::kValue, "of https: who signed the agent's certificate (NOMAD_CACERT)"},
    {"ca-path", Kind::kValue, "the same, a folder (NOMAD_CAPATH)"},
    {"client-cert", Kind::kValue, "of https: our own certificate (NOMAD_CLIENT_CERT)"},
    {"client-key", Kind::kValue, "and its key (NOMAD_CLIENT_KEY)"},
    {"tls-server-name", Kind::kValue, "whom the certificate is for (NOMAD_TLS_SERVER_NAME)"},
    {"tls-skip-verify", Kind::kBool, "take any certificate (NOMAD_SKIP_VERIFY)"},
    {"no-color", Kind::kBool, "no colours on a terminal"},
    {"help", Kind::kBool, "this text"},
    {"h", Kind::kBool, "this text"},
};

/// Words that users of older and newer Nomads type.
struct Alias {
  std::string_view old_words;
  std::string_view name;
};
constexpr Alias kAliases[] = {
    {"run", "job run"},
    {"plan", "job plan"},
    {"stop", "job stop"},
    {"validate", "job validate"},
    {"init", "job init"},
    {"inspect", "job inspect"},
    {"logs", "alloc logs"},
    {"exec", "alloc exec"},
    {"fs", "alloc fs"},
    {"alloc-status", "alloc status"},
    {"eval-status", "eval status"},
    {"node-status", "node status"},
    {"node-drain", "node drain"},
    {"server-members", "server members"},
    {"-autocomplete-install", "completion"},
    {"operator raft _list-peers", "operator raft list-peers"},
};

constexpr Command kVersion = {.name = "version",
                              .usage = "",
                              .summary = "Print the version",
                              .help = "",
                              .flags = {},
                              .run = [](Session& session) -> Task<int> {
                                session.print("sluice v" SLUICE_VERSION);
                                co_return 0;
                              }};

size_t count_words(std::string_view name) {
  return static_cast<size_t>(std::count(name.begin(), name.end(), ' ')) + 1;
}

bool starts_with_words(std::span<const std::string> words, std::string_view name) {
  const size_t count = count_words(name);
  if (words.size() < count) return false;
  return join({words.begin(), words.begin() + static_cast<ptrdiff_t>(count)}, " ") == name;
}

std::string flag_text(std::span<const FlagSpec> flags) {
  std::vector<Row> rows;
  for (const FlagSpec& flag : flags) {
    const std::string_view value = flag.kind == Kind::kBool       ? ""
                                   : flag.kind == Kind::kDuration ? "=<duration>"
                                   : flag.kind == Kind::kCount    ? "=<number>"
                                                                  : "=<value>";
    rows.push_back({fmt::format("  -{}{}", flag.name, value), std::string(flag.help)});
  }
  return columns(rows, "");
}

std::string command_help(const Command& command) {
  std::string out = fmt::format("Usage: sluice {}{}{}\n\n  {}.\n", command.name,
                                command.usage.empty() ? "" : " ", command.usage, command.summary);
  if (!command.help.empty()) {
    out += '\n';
    std::string_view rest = command.help;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      out += end == 0 ? "\n" : fmt::format("  {}\n", rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  if (!command.flags.empty()) out += "\nOptions:\n\n" + flag_text(command.flags) + "\n";
  if (command.reads_job_file) out += "\nJob file:\n\n" + flag_text(job_file_flags()) + "\n";
  return out + "\nGeneral options:\n\n" + flag_text(kCommonFlags) + "\n";
}

std::string list_of(const std::vector<const Command*>& commands) {
  std::vector<Row> rows;
  for (const Command* command : commands) {
    rows.push_back({"    " + std::string(command->name), std::string(command->summary)});
  }
  return columns(rows, "");
}

bool is_help(std::string_view word) {
  return word == "-h" || word == "-help" || word == "--help" || word == "--h" || word == "help";
}

/// The longest beginning of the words that is a group of commands: "job", "operator raft".
std::string group_of(std::span<const std::string> words) {
  std::string best, so_far;
  for (const std::string& word : words) {
    so_far += (so_far.empty() ? "" : " ") + word;
    if (commands_below(so_far).empty()) break;
    best = so_far;
  }
  return best;
}

/// No command of this name: help where it was asked for, else what there is.
int no_command(CliEnv& env, std::span<const std::string> words) {
  const std::string group = group_of(words);
  const size_t used = group.empty() ? 0 : count_words(group);
  const bool asked = used < words.size() && is_help(words[used]);
  const std::string help = group.empty() ? general_help()
                                         : fmt::format(
                                               "Usage: sluice {} <subcommand> [options] [args]\n\n"
                                               "Subcommands:\n\n{}\n",
                                               group, list_of(commands_below(group)));
  if (asked) {
    env.terminal.out(help);
    return 0;
  }
  if (used < words.size()) {
    env.terminal.err(fmt::format("sluice: no verb {}; `sluice{}{} -help` lists what there is\n",
                                 quoted((group.empty() ? "" : group + " ") + words[used]),
                                 group.empty() ? "" : " ", group));
    return 1;
  }
  env.terminal.err(help);
  return 1;
}

}  // namespace

const std::vector<const Command*>& all_commands() {
  static const std::vector<const Command*> kAll = [] {
    std::vector<const Command*> all;
    for (const auto& table :
         {job_commands(), job_change_commands(), job_edit_commands(), alloc_commands(),
          file_commands(), node_commands(), cluster_commands(), exec_commands(), restart_commands(),
          acl_commands(), scale_commands(), pool_commands(), route_commands(), snapshot_commands(),
          api_commands(), init_commands(), completion_commands()}) {
      for (const Command& command : table) all.push_back(&command);
    }
    all.push_back(&kVersion);
    std::sort(all.begin(), all.end(),
              [](const Command* a, const Command* b) { return a->name < b->name; });
    return all;
  }();
  return kAll;
}

FoundCommand find_command(std::span<const std::string> words) {
  FoundCommand best;
  const auto consider = [&](std::string_view typed, const Command* command) {
    const size_t count = count_words(typed);
    if (count > best.words && starts_with_words(words, typed)) best = {command, count};
  };
  for (const Command* command : all_commands()) {
    consider(command->name, command);
    for (const Alias& alias : kAliases) {
      if (alias.name == command->name) consider(alias.old_words, command);
    }
  }
  return best;
}

std::vector<const Command*> commands_below(std::string_view prefix) {
  std::vector<const Command*> found;
  for (const Command* command : all_commands()) {
    if (command->name.size() > prefix.size() && command->name.starts_with(prefix) &&
        command->name[prefix.size()] == ' ') {
      found.push_back(command);
    }
  }
  return found;
}

std::span<const FlagSpec> common_flags() {
  return kCommonFlags;
}

std::string general_help() {
  return "Usage: sluice <verb> [options] [args]\n\n"
         "Servers:\n\n"
         "    agent   Runs the orchestrator and the balancer\n"
         "    lb      Runs the balancer alone, with fabio's flags\n\n"
         "Verbs:\n\n" +
         list_of(all_commands()) + "\n\nsluice <verb> -help says more about each.\n";
}

std::string escaped(std::string_view id) {
  return percent_encode(id);
}

Task<Result<Json>> find_one(Session& session, std::string list_path, std::string kind,
                            std::string prefix) {
  Result<ApiReply> list = co_await session.get(list_path, {{"prefix", prefix}});
  if (!list) co_return pass(list, "Error querying {}", kind);
  Json::Array matches;
  for (const Json& item : items(list->body)) {
    if (item.get_string("ID") == prefix) co_return item;
    if (item.get_string("ID").starts_with(prefix)) matches.push_back(item);
  }
  if (matches.empty()) {
    co_return fail(Code::kNotFound, "No {}(s) with prefix or id {} found", kind, quoted(prefix));
  }
  if (matches.size() == 1) co_return std::move(matches[0]);
  std::string ids;
  for (const Json& item : matches) ids += "\n  " + std::string(item.get_string("ID"));
  co_return fail(Code::kInvalid, "Prefix matched multiple {}s; give more of the id:\n{}", kind,
                 ids);
}

Task<Result<Json>> find_job(Session& session, std::string prefix) {
  co_return co_await find_one(session, "/v1/jobs", "job", std::move(prefix));
}

std::string job_path(const Json& job) {
  return "/v1/job/" + escaped(job.get_string("ID"));
}

Task<int> run_verb(CliEnv& env, std::vector<std::string> words) {
  if (words.size() == 1 &&
      (words[0] == "-v" || words[0] == "-version" || words[0] == "--version")) {
    words = {"version"};
  }
  const FoundCommand found = find_command(words);
  if (!found.command) co_return no_command(env, words);
  const Command& command = *found.command;
  words.erase(words.begin(), words.begin() + static_cast<ptrdiff_t>(found.words));

  const std::array<std::span<const FlagSpec>, 3> specs{
      command.flags, kCommonFlags,
      command.reads_job_file ? job_file_flags() : std::span<const FlagSpec>()};
  const Result<Flags> flags = Flags::parse(words, specs, command.words_before_rest);
  const auto wrong = [&](std::string_view why) {
    env.terminal.err(fmt::format("{}\n\nUsage: sluice {} {}\nFor more: sluice {} -help\n", why,
                                 command.name, command.usage, command.name));
    return command.usage_exit_code;
  };
  if (!flags) co_return wrong(flags.error().message);
  if (flags->is_on("help") || flags->is_on("h")) {
    env.terminal.out(command_help(command));
    co_return 0;
  }
  if (flags->words().size() < command.min_words || flags->words().size() > command.max_words) {
    co_return wrong(
        fmt::format("sluice {}: {} {} given, {} wanted", command.name, flags->words().size(),
                    flags->words().size() == 1 ? "argument" : "arguments",
                    command.min_words == command.max_words
                        ? fmt::format("{}", command.min_words)
                        : fmt::format("{} to {}", command.min_words, command.max_words)));
  }
  Result<std::unique_ptr<Session>> session = Session::open(env, *flags);
  if (!session) co_return wrong(session.error().message);
  co_return co_await command.run(**session);
}

}  // namespace sluice::orchestrator::cli
