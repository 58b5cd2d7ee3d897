// The calls on the agent and the cluster as a whole: members, leader, self, search, monitor, gc.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <span>

#include "core/base64.h"
#include "core/scope.h"
#include "orchestrator/api/call.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/node/node_agent.h"
#include "orchestrator/ui/pages.h"

namespace sluice::orchestrator::api {
namespace {

constexpr uint16_t kRpcPort = 4647;  // what Nomad's clients expect to be told of; nothing listens
constexpr uint16_t kSerfPort = 4648;
constexpr size_t kSearchMatches = 20;
constexpr size_t kMonitorLines = 1024;  // that may wait for a slow reader
constexpr int64_t kMonitorPollMs = 200;
constexpr int64_t kHeartbeatMs = 10'000;

std::string agent_name(const Call& call, const ApiParts& parts) {
  (void)call;
  if (!parts.options.name.empty()) return parts.options.name;
  if (parts.node != nullptr && !parts.node->node().name.empty()) return parts.node->node().name;
  return "sluice";
}

std::string leader_address(const ApiParts& parts) {
  return fmt::format("{}:{}", parts.options.address, kRpcPort);
}

void write_member(JsonWriter& out, Call& call) {
  const ApiParts& parts = call.parts();
  const ServerOptions& server = call.server().options();
  out.begin_object();
  out.member("Name", fmt::format("{}.{}", agent_name(call, parts), server.region));
  out.member("Addr", parts.options.address).member("Port", kSerfPort);
  out.key("Tags").begin_object();
  out.member("role", "nomad").member("region", server.region).member("dc", server.datacenter);
  out.member("build", SLUICE_VERSION).member("port", std::to_string(kRpcPort));
  out.member("raft_vsn", "3").member("vsn", "1").member("bootstrap", "1");
  out.end_object();
  out.member("Status", "alive");
  out.member("ProtocolMin", 1).member("ProtocolMax", 5).member("ProtocolCur", 2);
  out.member("DelegateMin", 2).member("DelegateMax", 5).member("DelegateCur", 4);
  out.end_object();
}

Task<void> members(Call& call) {
  return call.reply_with([&](JsonWriter& out) {
    const ApiParts& parts = call.parts();
    out.begin_object();
    out.member("ServerName", agent_name(call, parts));
    out.member("ServerRegion", call.server().options().region);
    out.member("ServerDC", call.server().options().datacenter);
    out.key("Members").begin_array();
    write_member(out, call);
    out.end_array().end_object();
  });
}

Task<void> leader(Call& call) {
  return call.reply_with([&](JsonWriter& out) { out.value(leader_address(call.parts())); });
}

Task<void> peers(Call& call) {
  return call.reply_with(
      [&](JsonWriter& out) { out.begin_array().value(leader_address(call.parts())).end_array(); });
}

Task<void> self(Call& call) {
  return call.reply_with([&](JsonWriter& out) {
    const ApiParts& parts = call.parts();
    const ServerOptions& server = call.server().options();
    out.begin_object().key("config").begin_object();
    out.member("Region", server.region).member("Datacenter", server.datacenter);
    out.member("NodeName", agent_name(call, parts));
    out.member("BindAddr", parts.options.address);
    out.key("Ports").begin_object().member("HTTP", parts.options.port).end_object();
    out.key("Server").begin_object().member("Enabled", true).end_object();
    out.key("Client").begin_object().member("Enabled", parts.node != nullptr).end_object();
    out.key("ACL").begin_object().member("Enabled", parts.options.acl_enabled).end_object();
    out.key("Version").begin_object().member("Version", SLUICE_VERSION).end_object();
    out.member("DevMode", parts.options.dev);
    out.end_object().key("member");
    write_member(out, call);
    out.key("stats").begin_object();
    out.key("nomad").begin_object();
    out.member("server", "true").member("leader", "true");
    out.member("leader_addr", leader_address(parts)).member("known_regions", "1");
    out.end_object();
    out.key("raft").begin_object();
    out.member("last_log_index", std::to_string(call.server().snapshot().index()));
    out.end_object();
    if (parts.node != nullptr) {
      out.key("client").begin_object();
      out.member("node_id", parts.node->node().id);
      out.member("known_servers", leader_address(parts));
      out.end_object();
    }
    out.end_object().end_object();
  });
}

Task<void> health(Call& call) {
  const std::string trouble(call.server().write_trouble());
  std::string text;
  JsonWriter out(text);
  out.begin_object().key("server").begin_object();
  out.member("ok", trouble.empty()).member("message", trouble.empty() ? "ok" : trouble);
  out.end_object();
  if (call.parts().node != nullptr) {
    out.key("client").begin_object().member("ok", true).member("message", "ok").end_object();
  }
  out.end_object();
  if (trouble.empty()) {
    co_await call.reply(std::move(text));
    co_return;
  }
  call.add_common_headers();
  (void)co_await call.writer().respond(500, "application/json", text);
}

Task<void> servers(Call& call) {
  return peers(call);
}

Task<void> raft_configuration(Call& call) {
  return call.reply_with([&](JsonWriter& out) {
    const std::string id = call.server().snapshot().meta().cluster_id;
    out.begin_object().key("Servers").begin_array().begin_object();
    out.member("ID", id);
    out.member("Node", fmt::format("{}.{}", agent_name(call, call.parts()),
                                   call.server().options().region));
    out.member("Address", leader_address(call.parts()));
    out.member("Leader", true).member("Voter", true).member("RaftProtocol", "3");
    out.end_object().end_array();
    out.member("Index", call.server().snapshot().index());
    out.end_object();
  });
}

Task<void> regions(Call& call) {
  return call.reply_with([&](JsonWriter& out) {
    out.begin_array().value(call.server().options().region).end_array();
  });
}

/// The scheduler has no switches yet: what it does, in Nomad's words.
Task<void> scheduler_configuration(Call& call) {
  co_await call.reply(R"({"SchedulerConfig":{"SchedulerAlgorithm":"binpack","PreemptionConfig":)"
                      R"({"SystemSchedulerEnabled":true,"SysBatchSchedulerEnabled":false,)"
                      R"("BatchSchedulerEnabled":false,"ServiceSchedulerEnabled":false},)"
                      R"("MemoryOversubscriptionEnabled":true,"RejectJobRegistration":false,)"
                      R"("PauseEvalBroker":false,"CreateIndex":1,"ModifyIndex":1},"Index":1})");
}

/// What there are none of: CSI volumes and plugins.
Task<void> empty_list(Call& call) {
  return call.reply("[]");
}

Task<void> garbage(Call& call) {
  Result<void> done = co_await call.server().collect_garbage();
  if (!done) {
    co_await call.refuse(done.error());
    co_return;
  }
  co_await call.reply_empty();
}

/// What Nomad's edition without a licence does not have either.
Task<void> enterprise_only(Call& call) {
  return call.refuse(501, "Nomad Enterprise only endpoint");
}

/// Summaries are kept right at each commit: there is nothing to reconcile.
Task<void> reconcile_summaries(Call& call) {
  return call.reply_empty();
}

// --------------------------------------------------------------------------------- search

template <class T, class Keep>
std::vector<std::string> ids_with(const Table<T>& table, const std::string& prefix, Keep keep,
                                  bool& truncated) {
  std::vector<std::string> ids;
  table.visit_from(RecordKey{prefix, {}, 0}, [&](const std::shared_ptr<const T>& item) {
    const std::string_view id = record_key(*item).id;
    if (!id.starts_with(prefix)) return false;
    if (!keep(*item)) return true;
    if (ids.size() == kSearchMatches) {
      truncated = true;
      return false;
    }
    ids.emplace_back(id);
    return true;
  });
  return ids;
}

Task<void> search(Call& call, const Json& body) {
  const std::string prefix(body.get_string("Prefix"));
  const std::string context(body.get_string("Context", "all"));
  // The last ones are Nomad's as well; there is nothing of them here.
  constexpr std::string_view kContexts[] = {
      "",           "all",        "jobs",       "nodes",   "allocs",  "evals",
      "deployment", "namespaces", "node_pools", "plugins", "volumes", "scaling_policy"};
  if (std::ranges::find(kContexts, context) == std::end(kContexts)) {
    co_await call.refuse(
        400, fmt::format("context must be one of [{}] or 'all' for all contexts; got \"{}\"",
                         fmt::join(std::span(kContexts).subspan(2), " "), context));
    co_return;
  }
  const std::string space = call.space();
  const Snapshot snapshot = call.server().snapshot();
  const Tables& tables = snapshot.tables();
  call.set_index(snapshot.index());
  Json matches = Json::object(), truncations = Json::object();
  const auto in_space = [&](const std::string& name) {
    return space == kAnyNamespace || name == space;
  };
  const auto add = [&](const char* kind, const auto& table, auto keep) {
    if (context != "all" && !context.empty() && context != kind) return;
    bool truncated = false;
    Json ids = Json::array();
    for (std::string& id : ids_with(table, prefix, keep, truncated)) ids.push(std::move(id));
    matches.set(kind, std::move(ids));
    truncations.set(kind, truncated);
  };
  add("jobs", tables.jobs, [&](const Job& job) { return in_space(job.namespace_); });
  add("nodes", tables.nodes, [](const Node&) { return true; });
  add("allocs", tables.allocs,
      [&](const Allocation& alloc) { return in_space(alloc.namespace_name()); });
  add("evals", tables.evals, [&](const Evaluation& eval) { return in_space(eval.namespace_); });
  add("deployment", tables.deployments,
      [&](const Deployment& deployment) { return in_space(deployment.namespace_); });
  co_await call.reply(to_json(
      Json::object({{"Matches", std::move(matches)}, {"Truncations", std::move(truncations)}})));
}

// -------------------------------------------------------------------------------- monitor

/// Lines on their way from whatever thread logs to one reader; what does not fit is counted.
class LineQueue {
 public:
  void add(std::string_view line) {
    const std::lock_guard lock(mutex_);
    if (lines_.size() == kMonitorLines) {
      ++dropped_;
    } else {
      lines_.emplace_back(line);
    }
  }
  std::string take() {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const std::string& line : lines_) text += line + "\n";
    lines_.clear();
    if (dropped_ > 0) text += fmt::format("[{} lines dropped: the reader is too slow]\n", dropped_);
    dropped_ = 0;
    return text;
  }

 private:
  std::mutex mutex_;
  std::deque<std::string> lines_;
  uint64_t dropped_ = 0;
};

/// While it lives, the queue gets the log's lines.
class LogSubscription {
 public:
  LogSubscription(Log& log, LogLevel level, LineQueue& queue)
      : log_(log),
        id_(log.subscribe(level, [&queue](LogLevel, std::string_view line) { queue.add(line); })) {}
  LogSubscription(const LogSubscription&) = delete;
  ~LogSubscription() { log_.unsubscribe(id_); }

 private:
  Log& log_;
  uint64_t id_;
};

Task<void> monitor(Call& call) {
  const std::string name = call.query("log_level", "info");
  const std::optional<LogLevel> level = parse_log_level(name);
  if (!level) {
    co_await call.refuse(400, fmt::format("Unknown log level: {}", name));
    co_return;
  }
  const bool plain = call.query_on("plain");
  HttpResponseWriter& writer = call.writer();
  writer.cancel_on_close();
  LineQueue queue;
  LogSubscription subscription(call.parts().log, *level, queue);
  if (!co_await writer.start(200, plain ? "text/plain; charset=utf-8" : "application/json")) {
    co_return;
  }
  int64_t quiet_ms = 0;
  while (true) {
    co_await sleep_for(call.executor(), kMonitorPollMs);
    const std::string text = queue.take();
    quiet_ms = text.empty() ? quiet_ms + kMonitorPollMs : 0;
    std::string piece;
    if (!text.empty()) {
      piece = plain ? text : to_json(Json::object({{"Data", base64_encode(text)}}));
    } else if (!plain && quiet_ms >= kHeartbeatMs) {
      piece = "{}";
      quiet_ms = 0;
    }
    if (piece.empty()) continue;
    if (!co_await writer.write(piece)) co_return;
  }
}

// ------------------------------------------------------------------------------------- ui

Task<void> page(Call& call) {
  call.writer().add_header("X-Frame-Options", "DENY");
  (void)co_await call.writer().respond(200, "text/html; charset=utf-8", kJobsPage);
}

Task<void> to_page(Call& call) {
  call.writer().add_header("Location", "/ui/");
  (void)co_await call.writer().respond(307, "text/plain", "/ui/\n");
}

constexpr Route kRoutes[] = {
    {"GET", "/v1/agent/members", members},
    {"GET", "/v1/agent/self", self},
    {"GET", "/v1/agent/health", health},
    {"GET", "/v1/agent/servers", servers},
    {"GET", "/v1/agent/monitor", monitor},
    {"GET", "/v1/status/leader", leader},
    {"GET", "/v1/status/peers", peers},
    {"GET", "/v1/operator/raft/configuration", raft_configuration},
    {"GET", "/v1/operator/scheduler/configuration", scheduler_configuration},
    {"GET", "/v1/operator/license", enterprise_only},
    {"GET", "/v1/quotas", enterprise_only},
    {"GET", "/v1/quota-usages", enterprise_only},
    {"GET", "/v1/sentinel/policies", enterprise_only},
    {"GET", "/v1/recommendations", enterprise_only},
    {"GET", "/v1/regions", regions},
    {"GET", "/v1/volumes", empty_list},
    {"GET", "/v1/plugins", empty_list},
    {"PUT", "/v1/search", with_body<search>},
    {"PUT", "/v1/system/gc", garbage},
    {"PUT", "/v1/system/reconcile/summaries", reconcile_summaries},
    {"GET", "/ui", page},
    {"GET", "/ui/*path", page},
    {"GET", "/", to_page},
};

}  // namespace

std::span<const Route> agent_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
