// The verbs on namespaces and node pools, which are read here and not made.
#include <fmt/format.h>

#include "orchestrator/cli/command.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr FlagSpec kRawFlags[] = {
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.Name}}"},
};

std::string names_table(const Json& list) {
  std::vector<Row> rows{{"Name", "Description"}};
  for (const Json& item : items(list)) {
    rows.push_back(
        {std::string(item.get_string("Name")), std::string(item.get_string("Description"))});
  }
  return columns(rows);
}

/// The one whose name is, or alone begins with, the word.
Task<Result<Json>> find_named(Session& session, std::string path, std::string kind,
                              std::string word) {
  Result<ApiReply> list = co_await session.get(path, {{"prefix", word}});
  if (!list) co_return pass(list, "Error retrieving {}s", kind);
  for (const Json& item : items(list->body)) {
    if (item.get_string("Name") == word) co_return item;
  }
  if (list->body.size() == 1) co_return items(list->body)[0];
  if (list->body.size() == 0) {
    co_return fail(Code::kNotFound, "No {} with prefix {} found", kind, quoted(word));
  }
  co_return fail(Code::kInvalid, "Prefix matched multiple {}s\n\n{}", kind,
                 names_table(list->body));
}

Task<int> list_at(Session& session, std::string path, std::string kind) {
  Result<ApiReply> list = co_await session.get(path);
  if (!list) co_return session.error("retrieving " + kind + "s", list.error());
  int code = 0;
  if (session.print_raw(list->body, code)) co_return code;
  session.print(names_table(list->body));
  co_return 0;
}

Task<int> namespace_list(Session& session) {
  return list_at(session, "/v1/namespaces", "namespace");
}

Task<int> namespace_status(Session& session) {
  Result<Json> found =
      co_await find_named(session, "/v1/namespaces", "namespace", session.flags().words()[0]);
  if (!found) co_return session.error(found.error().message);
  int code = 0;
  if (session.print_raw(*found, code)) co_return code;
  session.print(key_values({{"Name", std::string(found->get_string("Name"))},
                            {"Description", std::string(found->get_string("Description"))},
                            {"Quota", std::string(found->get_string("Quota"))}}));
  co_return 0;
}

Task<int> pool_list(Session& session) {
  return list_at(session, "/v1/node/pools", "node pool");
}

Task<int> pool_info(Session& session) {
  Result<Json> pool =
      co_await find_named(session, "/v1/node/pools", "node pool", session.flags().words()[0]);
  if (!pool) co_return session.error(pool.error().message);
  int code = 0;
  if (session.print_raw(*pool, code)) co_return code;
  session.print(key_values({{"Name", std::string(pool->get_string("Name"))},
                            {"Description", std::string(pool->get_string("Description"))}}));
  session.print("\n" + session.style().bold("Metadata") + "\nNo metadata");
  session.print("\n" + session.style().bold("Scheduler Configuration") +
                "\nNo scheduler configuration");
  co_return 0;
}

/// What is in the pool: its nodes or its jobs.
Task<int> pool_members(Session& session, std::string what, Row head,
                       std::vector<std::string> keys) {
  Result<Json> pool =
      co_await find_named(session, "/v1/node/pools", "node pool", session.flags().words()[0]);
  if (!pool) co_return session.error(pool.error().message);
  Result<ApiReply> list =
      co_await session.get("/v1/node/pool/" + escaped(pool->get_string("Name")) + "/" + what);
  if (!list) co_return session.error("querying node pool " + what, list.error());
  int code = 0;
  if (session.print_raw(list->body, code)) co_return code;
  if (list->body.size() == 0) {
    session.print("No " + what);
    co_return 0;
  }
  std::vector<Row> rows{std::move(head)};
  for (const Json& item : items(list->body)) {
    Row row;
    for (const std::string& key : keys) {
      const Json* value = item.find(key);
      row.push_back(value && value->is_string() ? std::string(value->as_string())
                                                : number_text(value));
    }
    if (what == "nodes") row[0] = session.id(row[0]);
    rows.push_back(std::move(row));
  }
  session.print(columns(rows));
  co_return 0;
}

Task<int> pool_nodes(Session& session) {
  return pool_members(session, "nodes", {"ID", "DC", "Name", "Class", "Eligibility", "Status"},
                      {"ID", "Datacenter", "Name", "NodeClass", "SchedulingEligibility", "Status"});
}

Task<int> pool_jobs(Session& session) {
  return pool_members(session, "jobs", {"ID", "Type", "Priority", "Status"},
                      {"ID", "Type", "Priority", "Status"});
}

constexpr Command kCommands[] = {
    {.name = "namespace list",
     .usage = "[options]",
     .summary = "List namespaces",
     .help = "",
     .flags = kRawFlags,
     .run = namespace_list},
    {.name = "namespace status",
     .usage = "[options] <namespace>",
     .summary = "Display a namespace's status",
     .help = "",
     .flags = kRawFlags,
     .run = namespace_status,
     .min_words = 1,
     .max_words = 1},
    {.name = "node pool list",
     .usage = "[options]",
     .summary = "List node pools",
     .help = "",
     .flags = kRawFlags,
     .run = pool_list},
    {.name = "node pool info",
     .usage = "[options] <node-pool>",
     .summary = "Fetch information about an existing node pool",
     .help = "",
     .flags = kRawFlags,
     .run = pool_info,
     .min_words = 1,
     .max_words = 1},
    {.name = "node pool nodes",
     .usage = "[options] <node-pool>",
     .summary = "Fetch a list of nodes in a node pool",
     .help = "",
     .flags = kRawFlags,
     .run = pool_nodes,
     .min_words = 1,
     .max_words = 1},
    {.name = "node pool jobs",
     .usage = "[options] <node-pool>",
     .summary = "Fetch a list of jobs in a node pool",
     .help = "",
     .flags = kRawFlags,
     .run = pool_jobs,
     .min_words = 1,
     .max_words = 1},
};

}  // namespace

std::span<const Command> pool_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
