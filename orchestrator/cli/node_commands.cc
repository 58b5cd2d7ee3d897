// The verbs on nodes: status, drain, eligibility.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/scope.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/format_node.h"
#include "orchestrator/cli/monitor.h"
#include "orchestrator/cli/pages.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr int64_t kDefaultDrainDeadlineNs = 3'600'000'000'000;

constexpr FlagSpec kStatusFlags[] = {
    {"self", Kind::kBool, "the node of the agent that answers"},
    {"short", Kind::kBool, "less"},
    {"allocs", Kind::kBool, "the list with running allocations"},
    {"os", Kind::kBool, "the list with the nodes' systems"},
    {"stats", Kind::kBool, "accepted: resource use is always shown"},
    {"quiet", Kind::kBool, "the ids alone"},
    kFilterFlag,
    kPerPageFlag,
    kPageTokenFlag,
    {"verbose", Kind::kBool, "full ids, attributes and drivers"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.ID}}"},
};
constexpr FlagSpec kDrainFlags[] = {
    {"enable", Kind::kBool, "drain the node"},
    {"disable", Kind::kBool, "stop draining it"},
    {"deadline", Kind::kDuration, "after this long what is left is stopped (1h)"},
    {"force", Kind::kBool, "stop everything at once"},
    {"no-deadline", Kind::kBool, "wait as long as it takes"},
    {"ignore-system", Kind::kBool, "leave system jobs where they are"},
    {"keep-ineligible", Kind::kBool, "with -disable: place no new work there yet"},
    {"self", Kind::kBool, "the node of the agent that answers"},
    {"monitor", Kind::kBool, "only follow a drain that goes on"},
    {"detach", Kind::kBool, "return at once"},
    {"yes", Kind::kBool, "do not ask"},
    {"y", Kind::kBool, "do not ask"},
    {"m", Kind::kValue,
     "why: \"message\" among the drain's metadata, \"cancel_message\" at its end"},
    {"meta", Kind::kValue, "key=value for the drain's metadata; may be repeated"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kEligibilityFlags[] = {
    {"enable", Kind::kBool, "place new work on the node"},
    {"disable", Kind::kBool, "place no new work on it"},
    {"self", Kind::kBool, "the node of the agent that answers"},
    {"verbose", Kind::kBool, "full ids"},
};

/// The node that the words name, or the agent's own with -self.
Task<Result<Json>> chosen_node(Session& session) {
  const Flags& flags = session.flags();
  std::string wanted = flags.words().empty() ? "" : flags.words()[0];
  if (flags.is_on("self")) {
    Result<ApiReply> self = co_await session.get("/v1/agent/self");
    if (!self) co_return pass(self);
    wanted = at(at(self->body, "stats"), "client").get_string("node_id");
    if (wanted.empty()) co_return fail(Code::kNotFound, "this agent runs no client");
  }
  if (wanted.empty()) co_return fail(Code::kInvalid, "Node ID or -self is required");
  Result<Json> stub = co_await find_one(session, "/v1/nodes", "node", wanted);
  if (!stub) co_return pass(stub);
  Result<ApiReply> node = co_await session.get("/v1/node/" + std::string(stub->get_string("ID")));
  if (!node) co_return pass(node, "Error querying node info");
  co_return std::move(node->body);
}

Task<int> list_nodes(Session& session) {
  Query query;
  if (session.flags().is_on("os")) query.emplace_back("os", "true");
  Result<ApiReply> nodes = co_await get_page(session, "/v1/nodes", std::move(query));
  if (!nodes) co_return session.error("querying node status", nodes.error());
  int code = 0;
  if (session.print_raw(nodes->body, code)) co_return code;
  if (session.flags().is_on("quiet")) {
    for (const Json& node : items(nodes->body)) session.print(session.id(node.get_string("ID")));
    co_return 0;
  }
  const NodeStatusOptions options{session.verbose(), session.flags().is_on("short"),
                                  session.flags().is_on("allocs"), session.flags().is_on("os")};
  std::vector<int64_t> running;
  if (options.allocs) {
    for (const Json& node : items(nodes->body)) {
      Result<ApiReply> allocs =
          co_await session.get("/v1/node/" + std::string(node.get_string("ID")) + "/allocations");
      if (!allocs) co_return session.error("querying node allocations", allocs.error());
      int64_t count = 0;
      for (const Json& alloc : items(allocs->body)) {
        if (alloc.get_string("ClientStatus") == "running") ++count;
      }
      running.push_back(count);
    }
  }
  const std::string table = format_node_list(nodes->body, running, options);
  if (!table.empty()) session.print(table);
  print_next_page(session, "node status", *nodes);
  co_return 0;
}

Task<int> node_status(Session& session) {
  const Flags& flags = session.flags();
  if (flags.words().empty() && !flags.is_on("self")) co_return co_await list_nodes(session);
  Result<Json> node = co_await chosen_node(session);
  if (!node) co_return session.error(node.error().message);
  int code = 0;
  if (session.print_raw(*node, code)) co_return code;
  NodeStatusData data;
  const std::string id(node->get_string("ID"));
  Result<ApiReply> allocs = co_await session.get("/v1/node/" + id + "/allocations");
  if (!allocs) co_return session.error("querying node allocations", allocs.error());
  data.node = std::move(*node);
  data.allocations = std::move(allocs->body);
  const NodeStatusOptions options{session.verbose(), flags.is_on("short"), false};
  if (!options.brief) {
    // As alloc status: what the host uses is shown where it can be had.
    Result<ApiReply> stats = co_await session.get("/v1/client/stats", {{"node_id", id}});
    if (stats) data.stats = std::move(stats->body);
  }
  session.print(format_node_status(data, options, session.clock(), session.style()));
  co_return 0;
}

Task<int> eligibility(Session& session) {
  const Flags& flags = session.flags();
  if (flags.is_on("enable") == flags.is_on("disable")) {
    co_return session.error("Either the '-enable' or '-disable' flag must be set");
  }
  Result<Json> node = co_await chosen_node(session);
  if (!node) co_return session.error(node.error().message);
  const std::string id(node->get_string("ID"));
  const std::string wanted = flags.is_on("enable") ? "eligible" : "ineligible";
  Result<ApiReply> reply = co_await session.put(
      "/v1/node/" + id + "/eligibility", Json::object({{"NodeID", id}, {"Eligibility", wanted}}));
  if (!reply) co_return session.error("updating scheduling eligibility", reply.error());
  session.print(
      fmt::format("Node {} scheduling eligibility set: {} for scheduling", quoted(id), wanted));
  co_return 0;
}

void say(Session& session, std::string_view text) {
  const Clock clock = session.clock();
  session.print(fmt::format("{}: {}", time_text(clock.now_ns, clock), text));
}

/// Lines for what changed among the node's allocations. True once none of them runs.
bool drain_news(Session& session, const Json& allocations, bool ignore_system, bool first,
                std::map<std::string, std::pair<std::string, bool>>& known) {
  bool stopped = true;
  for (const Json& alloc : items(allocations)) {
    const std::string id(alloc.get_string("ID"));
    const std::string status(alloc.get_string("ClientStatus"));
    const bool leaving = alloc.get_string("DesiredStatus") != "run" ||
                         at(alloc, "DesiredTransition").get_bool("Migrate");
    const auto found = known.find(id);
    if (found == known.end()) {
      known[id] = {status, leaving};
      if (!first) say(session, fmt::format("Alloc {} added", quoted(session.id(id))));
    } else {
      if (leaving && !found->second.second) {
        say(session, fmt::format("Alloc {} draining", quoted(session.id(id))));
      }
      if (found->second.first != status) {
        say(session, fmt::format("Alloc {} status {} -> {}", quoted(session.id(id)),
                                 found->second.first, status));
      }
      found->second = {status, leaving};
    }
    const bool system = at(alloc, "Job").get_string("Type") == "system";
    if ((status == "running" || status == "pending") && !(system && ignore_system)) {
      stopped = false;
    }
  }
  return stopped;
}

Task<int> monitor_drain(Session& session, std::string id, bool ignore_system) {
  say(session, "Ctrl-C to stop monitoring: will not cancel the node drain");
  std::map<std::string, std::pair<std::string, bool>> known;
  bool first = true, complete_said = false;
  while (true) {
    Result<ApiReply> node = co_await session.get("/v1/node/" + id);
    if (!node) co_return session.error("monitoring drain", node.error());
    Result<ApiReply> allocs = co_await session.get("/v1/node/" + id + "/allocations");
    if (!allocs) co_return session.error("monitoring drain", allocs.error());
    const bool stopped = drain_news(session, allocs->body, ignore_system, first, known);
    first = false;
    const bool complete = !at(node->body, "DrainStrategy").is_object();
    if (complete && !complete_said) {
      say(session, fmt::format("Drain complete for node {}", id));
      complete_said = true;
    }
    if (complete && stopped) {
      say(session, fmt::format("All allocations on node {} have stopped", quoted(id)));
      co_return 0;
    }
    co_await sleep_for(session.env().executor, session.env().poll_ms);
  }
}

/// What is to be kept of the drain; at its end beside what was said at its beginning.
Json drain_meta(const Flags& flags, const Json& node) {
  Json meta = Json::object();
  const bool disable = flags.is_on("disable");
  const Json& said = at(at(node, "LastDrain"), "Meta");
  if (disable && said.is_object()) meta = said;
  if (const auto message = flags.value("m")) {
    meta.set(disable ? "cancel_message" : "message", *message);
  }
  for (const std::string& pair : flags.all("meta")) {
    const size_t equals = std::min(pair.find('='), pair.size());
    if (equals == 0) continue;
    meta.set(pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())));
  }
  return meta;
}

Task<int> drain(Session& session) {
  const Flags& flags = session.flags();
  const bool enable = flags.is_on("enable"), disable = flags.is_on("disable");
  const bool monitor = flags.is_on("monitor");
  if (!monitor && enable == disable) {
    co_return session.error(
        "Either the '-enable' or '-disable' flag must be set, unless using "
        "'-monitor'");
  }
  if (flags.is_on("force") && (flags.has("deadline") || flags.is_on("no-deadline"))) {
    co_return session.error("-force can't be combined with -deadline or -no-deadline");
  }
  if (flags.has("deadline") && flags.is_on("no-deadline")) {
    co_return session.error("-deadline can't be combined with -no-deadline");
  }
  Result<Json> node = co_await chosen_node(session);
  if (!node) co_return session.error(node.error().message);
  const std::string id(node->get_string("ID"));
  const bool ignore_system = flags.is_on("ignore-system");
  if (monitor) co_return co_await monitor_drain(session, id, ignore_system);

  Json spec;
  if (enable) {
    if (flags.words().size() == 1 && flags.words()[0] != id &&
        !session.confirm("Are you sure you want to drain node " + quoted(id) + "?")) {
      session.print("Canceling drain toggle");
      co_return 0;
    }
    const int64_t deadline = flags.is_on("force") ? -1
                             : flags.is_on("no-deadline")
                                 ? 0
                                 : flags.number_or("deadline", kDefaultDrainDeadlineNs);
    spec = Json::object({{"Deadline", deadline}, {"IgnoreSystemJobs", ignore_system}});
  }
  const bool mark_eligible = disable && !flags.is_on("keep-ineligible");
  Result<ApiReply> reply = co_await session.put("/v1/node/" + id + "/drain",
                                                Json::object({{"NodeID", id},
                                                              {"DrainSpec", std::move(spec)},
                                                              {"MarkEligible", mark_eligible},
                                                              {"Meta", drain_meta(flags, *node)}}));
  if (!reply) co_return session.error("updating drain specification", reply.error());
  if (disable) {
    session.print(fmt::format("Node {} drain strategy unset", quoted(id)));
    co_return 0;
  }
  say(session, fmt::format("Node {} drain strategy set", quoted(id)));
  if (flags.is_on("detach")) co_return 0;
  co_return co_await monitor_drain(session, id, ignore_system);
}

constexpr Command kCommands[] = {
    {.name = "node status",
     .usage = "[options] [<node>]",
     .summary = "Display status information about nodes",
     .help = "Without a node: a table of all of them.",
     .flags = kStatusFlags,
     .run = node_status,
     .max_words = 1},
    {.name = "node drain",
     .usage = "[options] <node>",
     .summary = "Toggle drain mode on a given node",
     .help = "Moves the node's allocations elsewhere and places no new ones, then follows that to\n"
             "its end.",
     .flags = kDrainFlags,
     .run = drain,
     .max_words = 1},
    {.name = "node eligibility",
     .usage = "[options] <node>",
     .summary = "Toggle scheduling eligibility for a given node",
     .help = "",
     .flags = kEligibilityFlags,
     .run = eligibility,
     .max_words = 1},
};

}  // namespace

std::span<const Command> node_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
