// The verbs on deployments, servers, routes and the agent itself.
#include <fmt/format.h>

#include "core/scope.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/format_job.h"
#include "orchestrator/cli/monitor.h"
#include "orchestrator/cli/pages.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr FlagSpec kStatusFlags[] = {
    {"monitor", Kind::kBool, "follow it to its end"},
    {"short", Kind::kBool, "less"},
    {"evals", Kind::kBool, "of a job: the evaluations too"},
    {"verbose", Kind::kBool, "full ids"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.ID}}"},
};
constexpr FlagSpec kPromoteFlags[] = {
    {"group", Kind::kValue, "promote only this group; may be repeated"},
    {"detach", Kind::kBool, "return at once with the evaluation's id"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kChangeFlags[] = {
    {"detach", Kind::kBool, "return at once with the evaluation's id"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kMembersFlags[] = {
    {"detailed", Kind::kBool, "tags instead of columns"},
    {"verbose", Kind::kBool, "more columns"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.Name}}"},
};
constexpr FlagSpec kPeersFlags[] = {{"stale", Kind::kBool, "accepted, without effect"}};
constexpr FlagSpec kMonitorFlags[] = {
    {"log-level", Kind::kValue, "this level and above: trace, debug, info (default), warn, error"},
    {"node-id", Kind::kValue, "accepted: one agent answers"},
    {"server-id", Kind::kValue, "accepted: one agent answers"},
    {"json", Kind::kBool, "accepted, without effect"},
};

Task<Result<Json>> find_deployment(Session& session) {
  co_return co_await find_one(session, "/v1/deployments", "deployment", session.flags().words()[0]);
}

Task<int> deployment_list(Session& session) {
  Result<ApiReply> reply = co_await get_page(session, "/v1/deployments");
  if (!reply) co_return session.error("retrieving deployments", reply.error());
  int code = 0;
  if (!session.print_raw(reply->body, code)) {
    session.print(format_deployment_list(reply->body, session.verbose()));
    print_next_page(session, "deployment list", *reply);
  }
  co_return code;
}

Task<int> deployment_status(Session& session) {
  if (session.flags().words().empty()) co_return co_await deployment_list(session);
  Result<Json> deployment = co_await find_deployment(session);
  if (!deployment) co_return session.error(deployment.error().message);
  int code = 0;
  if (session.print_raw(*deployment, code)) co_return code;
  if (session.flags().is_on("monitor")) {
    co_return co_await monitor_deployment(session, std::string(deployment->get_string("ID")));
  }
  session.print(
      format_deployment(*deployment, session.verbose(), true, session.clock(), session.style()));
  co_return 0;
}

Task<int> promote(Session& session, std::string id) {
  Json groups = Json::array();
  for (const std::string& group : session.flags().all("group")) groups.push(group);
  const bool all = groups.size() == 0;
  Json body = Json::object({{"DeploymentID", id}, {"All", all}});
  if (!all) body.set("Groups", std::move(groups));
  Result<ApiReply> reply = co_await session.put("/v1/deployment/promote/" + id, std::move(body));
  if (!reply) co_return session.error("promoting deployment", reply.error());
  co_return co_await finish_with_evaluation(session, std::string(reply->body.get_string("EvalID")));
}

Task<int> deployment_promote(Session& session) {
  Result<Json> deployment = co_await find_deployment(session);
  if (!deployment) co_return session.error(deployment.error().message);
  co_return co_await promote(session, std::string(deployment->get_string("ID")));
}

Task<int> job_promote(Session& session) {
  Result<Json> job = co_await find_job(session, session.flags().words()[0]);
  if (!job) co_return session.error(job.error().message);
  Result<ApiReply> deployment = co_await session.get(job_path(*job) + "/deployment");
  if (!deployment) co_return session.error("reading deployment", deployment.error());
  if (!deployment->body.is_object()) co_return session.error("Job has no deployment to promote");
  co_return co_await promote(session, std::string(deployment->body.get_string("ID")));
}

Task<int> deployment_fail(Session& session) {
  Result<Json> deployment = co_await find_deployment(session);
  if (!deployment) co_return session.error(deployment.error().message);
  const std::string id(deployment->get_string("ID"));
  Result<ApiReply> reply = co_await session.put("/v1/deployment/fail/" + id, Json::object());
  if (!reply) co_return session.error("failing deployment", reply.error());
  std::string text = fmt::format("Deployment {} failed", quoted(session.id(id)));
  if (const Json& version = at(reply->body, "RevertedJobVersion"); version.is_int()) {
    text += fmt::format(". Auto-reverted to job version {}.", version.as_int());
  }
  session.print(text);
  const std::string eval_id(reply->body.get_string("EvalID"));
  if (!eval_id.empty() && !session.flags().is_on("detach")) session.print("");
  co_return co_await finish_with_evaluation(session, eval_id);
}

Task<int> set_pause(Session& session, bool pause) {
  Result<Json> deployment = co_await find_deployment(session);
  if (!deployment) co_return session.error(deployment.error().message);
  const std::string id(deployment->get_string("ID"));
  Result<ApiReply> reply = co_await session.put(
      "/v1/deployment/pause/" + id, Json::object({{"DeploymentID", id}, {"Pause", pause}}));
  if (!reply)
    co_return session.error(pause ? "pausing deployment" : "resuming deployment", reply.error());
  session.print(
      fmt::format("Deployment {} {}", quoted(session.id(id)), pause ? "paused" : "resumed"));
  if (pause) co_return 0;
  co_return co_await finish_with_evaluation(session, std::string(reply->body.get_string("EvalID")));
}

Task<int> deployment_pause(Session& session) {
  co_return co_await set_pause(session, true);
}

Task<int> deployment_resume(Session& session) {
  co_return co_await set_pause(session, false);
}

Task<int> server_members(Session& session) {
  Result<ApiReply> reply = co_await session.get("/v1/agent/members");
  if (!reply) co_return session.error("querying servers", reply.error());
  Result<ApiReply> leader = co_await session.get("/v1/status/leader");
  int code = 0;
  if (session.print_raw(reply->body, code)) co_return code;
  const bool detailed = session.flags().is_on("detailed");
  std::vector<Row> rows{{"Name", "Address", "Port"}};
  if (detailed) {
    rows[0].push_back("Tags");
  } else {
    rows[0].insert(rows[0].end(),
                   {"Status", "Leader", "Protocol", "Build", "Datacenter", "Region"});
  }
  for (const Json& member : items(at(reply->body, "Members"))) {
    const Json& tags = at(member, "Tags");
    Row row{std::string(member.get_string("Name")), std::string(member.get_string("Addr")),
            number_text(member.find("Port"))};
    if (detailed) {
      std::vector<std::string> texts;
      for (const std::string& key : sorted_keys(tags)) {
        texts.push_back(key + "=" + std::string(tags.get_string(key)));
      }
      row.push_back(join(texts, ","));
    } else {
      const std::string address =
          fmt::format("{}:{}", member.get_string("Addr"), tags.get_string("port"));
      const bool leads = leader && leader->body.is_string() && leader->body.as_string() == address;
      row.insert(row.end(),
                 {std::string(member.get_string("Status")), leads ? "true" : "false",
                  number_text(member.find("ProtocolCur")), std::string(tags.get_string("build")),
                  std::string(tags.get_string("dc")), std::string(tags.get_string("region"))});
    }
    rows.push_back(std::move(row));
  }
  session.print(columns(rows));
  if (!leader) co_return session.error("determining leaders", leader.error());
  co_return 0;
}

Task<int> list_peers(Session& session) {
  Result<ApiReply> reply = co_await session.get("/v1/operator/raft/configuration");
  if (!reply) co_return session.error("Failed to retrieve raft configuration", reply.error());
  std::vector<Row> rows{{"Node", "ID", "Address", "State", "Voter", "RaftProtocol"}};
  for (const Json& server : items(at(reply->body, "Servers"))) {
    rows.push_back({std::string(server.get_string("Node")), std::string(server.get_string("ID")),
                    std::string(server.get_string("Address")),
                    server.get_bool("Leader") ? "leader" : "follower",
                    server.get_bool("Voter") ? "true" : "false",
                    std::string(server.get_string("RaftProtocol"))});
  }
  session.print(columns(rows));
  co_return 0;
}

Task<int> monitor(Session& session) {
  Result<std::unique_ptr<HttpExchange>> exchange = co_await session.stream(
      "/v1/agent/monitor",
      {{"log_level", session.flags().value_or("log-level", "info")}, {"plain", "true"}});
  if (!exchange) co_return session.error("starting monitor", exchange.error());
  while (true) {
    Result<std::string> piece = co_await (*exchange)->read();
    if (!piece) co_return session.error("monitoring", piece.error());
    if (piece->empty()) co_return 0;
    session.env().terminal.out(*piece);
  }
}

Task<int> system_gc(Session& session) {
  Result<ApiReply> reply = co_await session.put("/v1/system/gc", Json::object());
  if (!reply) co_return session.error("running system garbage-collection", reply.error());
  co_return 0;
}

/// The status verb of the one kind of thing that the prefix names.
Task<int> any_status(Session& session) {
  using Verb = Task<int> (*)(Session&);
  const auto verb_named = [](std::string_view name) -> Verb {
    for (const auto& table : {job_commands(), alloc_commands(), node_commands()}) {
      for (const Command& command : table) {
        if (command.name == name) return command.run;
      }
    }
    return nullptr;
  };
  if (session.flags().words().empty()) co_return co_await verb_named("job status")(session);
  const std::string prefix = session.flags().words()[0];
  Result<ApiReply> reply =
      co_await session.put("/v1/search", Json::object({{"Prefix", prefix}, {"Context", "all"}}));
  if (!reply) co_return session.error("querying search with id", reply.error());
  std::vector<std::string> kinds;
  std::string listing;
  const Json& matches = at(reply->body, "Matches");
  for (const std::string& kind : sorted_keys(matches)) {
    const std::vector<std::string> ids = strings_of(matches.find(kind));
    if (ids.empty()) continue;
    if (kind == "jobs" && std::find(ids.begin(), ids.end(), prefix) != ids.end()) {
      kinds = {kind};  // a job of exactly this name
      break;
    }
    kinds.push_back(kind);
    listing += "\n\n" + kind + ":";
    for (const std::string& id : ids) listing += "\n  " + id;
  }
  if (kinds.empty()) {
    co_return session.error(fmt::format("No matches found for id {}", quoted(prefix)));
  }
  if (kinds.size() > 1) {
    co_return session.error("Multiple matches found for id " + quoted(prefix) + listing);
  }
  if (kinds[0] == "deployment") co_return co_await deployment_status(session);
  const Verb verb = verb_named(kinds[0] == "jobs"     ? "job status"
                               : kinds[0] == "nodes"  ? "node status"
                               : kinds[0] == "allocs" ? "alloc status"
                                                      : "eval status");
  co_return co_await verb(session);
}

constexpr Command kCommands[] = {
    {.name = "job promote",
     .usage = "[options] <job>",
     .summary = "Promote a job's canaries",
     .help = "",
     .flags = kPromoteFlags,
     .run = job_promote,
     .min_words = 1,
     .max_words = 1},
    {.name = "deployment list",
     .usage = "[options]",
     .summary = "List all deployments",
     .help = "",
     .flags = kPageFlags,
     .run = deployment_list},
    {.name = "deployment status",
     .usage = "[options] [<deployment>]",
     .summary = "Display the status of a deployment",
     .help = "",
     .flags = kStatusFlags,
     .run = deployment_status,
     .max_words = 1},
    {.name = "deployment promote",
     .usage = "[options] <deployment>",
     .summary = "Promote canaries in a deployment",
     .help = "",
     .flags = kPromoteFlags,
     .run = deployment_promote,
     .min_words = 1,
     .max_words = 1},
    {.name = "deployment fail",
     .usage = "[options] <deployment>",
     .summary = "Manually fail a deployment",
     .help = "",
     .flags = kChangeFlags,
     .run = deployment_fail,
     .min_words = 1,
     .max_words = 1},
    {.name = "deployment pause",
     .usage = "[options] <deployment>",
     .summary = "Pause a deployment",
     .help = "",
     .flags = kChangeFlags,
     .run = deployment_pause,
     .min_words = 1,
     .max_words = 1},
    {.name = "deployment resume",
     .usage = "[options] <deployment>",
     .summary = "Resume a paused deployment",
     .help = "",
     .flags = kChangeFlags,
     .run = deployment_resume,
     .min_words = 1,
     .max_words = 1},
    {.name = "server members",
     .usage = "[options]",
     .summary = "Display a list of known servers and their status",
     .help = "",
     .flags = kMembersFlags,
     .run = server_members},
    {.name = "operator raft list-peers",
     .usage = "[options]",
     .summary = "Display the servers that hold the cluster's state",
     .help = "",
     .flags = kPeersFlags,
     .run = list_peers},
    {.name = "monitor",
     .usage = "[options]",
     .summary = "Stream logs from an agent",
     .help = "",
     .flags = kMonitorFlags,
     .run = monitor},
    {.name = "system gc",
     .usage = "",
     .summary = "Run the system garbage collection process",
     .help = "",
     .flags = {},
     .run = system_gc},
    {.name = "status",
     .usage = "[options] [<id>]",
     .summary = "Display the status of whatever has this id",
     .help = "A job, node, allocation, evaluation or deployment; without an id: all jobs.",
     .flags = kStatusFlags,
     .run = any_status,
     .max_words = 1},
};

}  // namespace

std::span<const Command> cluster_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
