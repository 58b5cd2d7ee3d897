// Access policies and tokens: `acl bootstrap`, `acl policy ...`, `acl token ...`.
#include <fmt/format.h>

#include "orchestrator/cli/command.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr size_t kRulesBytes = 256 * 1024;

constexpr FlagSpec kRawFlags[] = {{"json", Kind::kBool, "the answer as JSON"},
                                  {"t", Kind::kValue, "a template for the answer"}};
constexpr FlagSpec kApplyFlags[] = {{"description", Kind::kValue, "for people"}};
constexpr FlagSpec kCreateFlags[] = {
    {"name", Kind::kValue, "for people"},
    {"type", Kind::kValue, "client (the default) or management"},
    {"policy", Kind::kValue, "a policy of a client token; may be given several times"},
    {"ttl", Kind::kDuration, "how long it is good for (for ever)"},
    {"global", Kind::kBool, "for every region"},
    {"json", Kind::kBool, "the answer as JSON"},
    {"t", Kind::kValue, "a template for the answer"}};

int show_token(Session& session, const Json& token) {
  int code = 0;
  if (session.print_raw(token, code)) return code;
  std::string policies;
  if (const Json* list = token.find("Policies"); list != nullptr && list->is_array()) {
    for (const Json& name : list->as_array()) {
      policies += (policies.empty() ? "" : ",") + name.as_string();
    }
  }
  session.print(key_values({{"Accessor ID", std::string(token.get_string("AccessorID"))},
                            {"Secret ID", std::string(token.get_string("SecretID"))},
                            {"Name", std::string(token.get_string("Name"))},
                            {"Type", std::string(token.get_string("Type"))},
                            {"Global", token.get_bool("Global") ? "true" : "false"},
                            {"Policies", (policies.empty() ? "n/a" : policies)}}));
  return 0;
}

/// What stands in a file; "-" is standard input.
Result<std::string> read_input(Session& session, const std::string& path) {
  return path == "-" ? session.env().terminal.read_all(kRulesBytes)
                     : session.env().disk.read_file(path, kRulesBytes);
}

Task<int> bootstrap(Session& session) {
  Json body = Json::object();
  if (const auto& words = session.flags().words(); !words.empty()) {
    Result<std::string> secret = read_input(session, words[0]);
    if (!secret) co_return session.error("reading the secret", secret.error());
    while (secret->ends_with('\n') || secret->ends_with('\r')) secret->pop_back();
    body.set("BootstrapSecret", *std::move(secret));
  }
  auto reply = co_await session.put("/v1/acl/bootstrap", std::move(body));
  if (!reply) co_return session.error("bootstrapping", reply.error());
  co_return show_token(session, reply->body);
}

Task<int> policy_apply(Session& session) {
  const auto& words = session.flags().words();
  Result<std::string> rules = read_input(session, words[1]);
  if (!rules) co_return session.error("reading the rules", rules.error());
  auto reply = co_await session.put(
      "/v1/acl/policy/" + escaped(words[0]),
      Json::object({{"Name", words[0]},
                    {"Description", session.flags().value_or("description", "")},
                    {"Rules", *rules}}));
  if (!reply) co_return session.error("writing policy", reply.error());
  session.print(fmt::format("Successfully wrote \"{}\" ACL policy!", words[0]));
  co_return 0;
}

Task<int> policy_list(Session& session) {
  auto reply = co_await session.get("/v1/acl/policies");
  if (!reply) co_return session.error("listing policies", reply.error());
  int code = 0;
  if (session.print_raw(reply->body, code)) co_return code;
  std::vector<std::vector<std::string>> rows{{"Name", "Description"}};
  for (const Json& policy : reply->body.as_array()) {
    rows.push_back(
        {std::string(policy.get_string("Name")), std::string(policy.get_string("Description"))});
  }
  session.print(rows.size() == 1 ? "No policies found" : columns(rows));
  co_return 0;
}

Task<int> policy_info(Session& session) {
  auto reply = co_await session.get("/v1/acl/policy/" + escaped(session.flags().words()[0]));
  if (!reply) co_return session.error("fetching info on ACL policy", reply.error());
  int code = 0;
  if (session.print_raw(reply->body, code)) co_return code;
  session.print(
      key_values({{"Name", std::string(reply->body.get_string("Name"))},
                  {"Description", std::string(reply->body.get_string("Description"))},
                  {"CreateIndex", fmt::format("{}", reply->body.get_int("CreateIndex"))},
                  {"ModifyIndex", fmt::format("{}", reply->body.get_int("ModifyIndex"))}}));
  session.print("\nRules\n\n" + std::string(reply->body.get_string("Rules")));
  co_return 0;
}

Task<int> policy_delete(Session& session) {
  const std::string& name = session.flags().words()[0];
  auto reply = co_await session.remove("/v1/acl/policy/" + escaped(name));
  if (!reply) co_return session.error("deleting ACL policy", reply.error());
  session.print(fmt::format("Successfully deleted {} policy!", name));
  co_return 0;
}

Task<int> token_create(Session& session) {
  const Flags& flags = session.flags();
  Json policies = Json::array();
  for (const std::string& name : flags.all("policy")) policies.push(name);
  auto reply = co_await session.put("/v1/acl/token",
                                    Json::object({{"Name", flags.value_or("name", "")},
                                                  {"Type", flags.value_or("type", "client")},
                                                  {"Policies", std::move(policies)},
                                                  {"Global", flags.is_on("global")},
                                                  {"ExpirationTTL", flags.number_or("ttl", 0)}}));
  if (!reply) co_return session.error("creating token", reply.error());
  co_return show_token(session, reply->body);
}

Task<int> token_list(Session& session) {
  auto reply = co_await session.get("/v1/acl/tokens");
  if (!reply) co_return session.error("listing tokens", reply.error());
  int code = 0;
  if (session.print_raw(reply->body, code)) co_return code;
  std::vector<std::vector<std::string>> rows{{"Name", "Type", "Global", "Accessor ID"}};
  for (const Json& token : reply->body.as_array()) {
    rows.push_back({std::string(token.get_string("Name")), std::string(token.get_string("Type")),
                    token.get_bool("Global") ? "true" : "false",
                    std::string(token.get_string("AccessorID"))});
  }
  session.print(rows.size() == 1 ? "No tokens found" : columns(rows));
  co_return 0;
}

Task<int> token_info(Session& session) {
  auto reply = co_await session.get("/v1/acl/token/" + escaped(session.flags().words()[0]));
  if (!reply) co_return session.error("fetching token", reply.error());
  co_return show_token(session, reply->body);
}

Task<int> token_self(Session& session) {
  auto reply = co_await session.get("/v1/acl/token/self");
  if (!reply) co_return session.error("fetching self token", reply.error());
  co_return show_token(session, reply->body);
}

Task<int> token_delete(Session& session) {
  const std::string& id = session.flags().words()[0];
  auto reply = co_await session.remove("/v1/acl/token/" + escaped(id));
  if (!reply) co_return session.error("deleting token", reply.error());
  session.print(fmt::format("Token {} successfully deleted", id));
  co_return 0;
}

constexpr Command kCommands[] = {
    {.name = "acl bootstrap",
     .usage = "[options] [<file>]",
     .summary = "Make the first management token",
     .help =
         "Once: later tokens are made with one. Its secret, a UUID, may be given in a file (- is "
         "standard input).",
     .flags = kRawFlags,
     .run = bootstrap,
     .max_words = 1},
    {.name = "acl policy apply",
     .usage = "[options] <name> <path>",
     .summary = "Create or change a policy from a file (- is standard input)",
     .help = "",
     .flags = kApplyFlags,
     .run = policy_apply,
     .min_words = 2,
     .max_words = 2},
    {.name = "acl policy list",
     .usage = "[options]",
     .summary = "List the policies",
     .help = "",
     .flags = kRawFlags,
     .run = policy_list},
    {.name = "acl policy info",
     .usage = "[options] <name>",
     .summary = "Show a policy and its rules",
     .help = "",
     .flags = kRawFlags,
     .run = policy_info,
     .min_words = 1,
     .max_words = 1},
    {.name = "acl policy delete",
     .usage = "<name>",
     .summary = "Delete a policy",
     .help = "",
     .flags = {},
     .run = policy_delete,
     .min_words = 1,
     .max_words = 1},
    {.name = "acl token create",
     .usage = "[options]",
     .summary = "Make a token",
     .help = "",
     .flags = kCreateFlags,
     .run = token_create},
    {.name = "acl token list",
     .usage = "[options]",
     .summary = "List the tokens, without their secrets",
     .help = "",
     .flags = kRawFlags,
     .run = token_list},
    {.name = "acl token info",
     .usage = "[options] <accessor>",
     .summary = "Show a token",
     .help = "",
     .flags = kRawFlags,
     .run = token_info,
     .min_words = 1,
     .max_words = 1},
    {.name = "acl token self",
     .usage = "[options]",
     .summary = "Show the token of this call",
     .help = "",
     .flags = kRawFlags,
     .run = token_self},
    {.name = "acl token delete",
     .usage = "<accessor>",
     .summary = "Delete a token",
     .help = "",
     .flags = {},
     .run = token_delete,
     .min_words = 1,
     .max_words = 1},
};

}  // namespace

std::span<const Command> acl_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
