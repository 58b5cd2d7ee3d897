// The calls on nodes.
#include <fmt/format.h>

#include <set>
#include <string>
#include <utility>

#include "orchestrator/api/call.h"
#include "orchestrator/api/list.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/api/wire.h"

namespace sluice::orchestrator::api {
namespace {

using TopicKind = Topic::Kind;

constexpr size_t kMaxMetaBytes = 16 * 1024;  // of a drain; a node keeps its last one's

Task<void> no_node(Call& call) {
  return call.refuse(404, "node not found");
}

Task<void> list_nodes(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kNodes, {}, {}}});
  const NodeStubParts parts = stub_parts(call);
  co_await reply_list(
      call, snapshot.tables().nodes, [](const Node&) { return true; },
      [parts](JsonWriter& out, const Node& node) { write_node_stub(out, node, parts); });
}

Task<void> read_node(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kNodes, call.param(0), {}}});
  const NodePtr node = snapshot.node(call.param(0));
  if (!node) {
    co_await no_node(call);
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) { write_node(out, *node); });
}

Task<void> node_allocs(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kAllocsOfNode, call.param(0), {}}});
  const auto index = snapshot.of_node(call.param(0));
  const std::string space = call.query("namespace", kAnyNamespace);
  co_await reply_list(
      call, index ? index->allocs : Table<Allocation>(),
      [space](const Allocation& alloc) {
        return space == kAnyNamespace || alloc.namespace_name() == space;
      },
      [](JsonWriter& out, const Allocation& alloc) { write_allocation(out, alloc); }, true);
}

Task<void> reply_node_update(Call& call, Result<EvalReply> reply) {
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  call.set_index(reply->index);
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object();
    out.key("EvalIDs").begin_array();
    if (!reply->eval_id.empty()) out.value(reply->eval_id);
    out.end_array();
    out.member("EvalCreateIndex", reply->eval_id.empty() ? 0 : reply->index);
    out.member("NodeModifyIndex", reply->index);
    out.member("Index", reply->index);
    out.end_object();
  });
}

Task<void> set_eligibility(Call& call, const Json& body) {
  const std::string_view wanted = body.get_string("Eligibility");
  if (wanted != "eligible" && wanted != "ineligible") {
    co_await call.refuse(400, "Eligibility must be \"eligible\" or \"ineligible\"");
    co_return;
  }
  if (!call.server().snapshot().node(call.param(0))) {
    co_await no_node(call);
    co_return;
  }
  co_await reply_node_update(
      call,
      co_await call.server().set_eligibility(
          call.param(0), wanted == "eligible" ? Eligibility::kEligible : Eligibility::kIneligible));
}

constexpr MemberKind kDrainSpec[] = {{"IgnoreSystemJobs", Json::Kind::kBool}};

Task<void> drain(Call& call, const Json& body) {
  if (!call.server().snapshot().node(call.param(0))) {
    co_await no_node(call);
    co_return;
  }
  DrainRequest request;
  request.node_id = call.param(0);
  request.accessor_id = call.accessor_id();
  request.mark_eligible = body.get_bool("MarkEligible");
  Result<StringMap> meta = read_texts(body, "Meta");
  size_t bytes = 0;
  if (meta) {
    for (const auto& [key, value] : *meta) bytes += key.size() + value.size();
  }
  if (!meta || bytes > kMaxMetaBytes) {
    co_await call.refuse(
        400, meta ? fmt::format("Meta has over {} bytes", kMaxMetaBytes) : meta.error().message);
    co_return;
  }
  request.meta = std::move(*meta);
  std::optional<DrainStrategy>& strategy = request.drain;
  if (const Json* spec = body.find("DrainSpec"); spec && spec->is_object()) {
    strategy.emplace();
    if (Result<void> kinds = check_kinds(*spec, kDrainSpec); !kinds) {
      co_await call.refuse(kinds.error());
      co_return;
    }
    const Result<int64_t> deadline_ns = read_duration(*spec, "Deadline");
    if (!deadline_ns) {
      co_await call.refuse(deadline_ns.error());
      co_return;
    }
    strategy->deadline_ns = *deadline_ns;
    strategy->ignore_system_jobs = spec->get_bool("IgnoreSystemJobs");
  } else if (const std::string enable = call.query("enable"); !enable.empty()) {
    // The form of Nomad before 0.8: a switch.
    if (call.query_on("enable")) {
      strategy.emplace();
    } else {
      request.mark_eligible = true;
    }
  }
  co_await reply_node_update(call, co_await call.server().drain_node(std::move(request)));
}

Task<void> purge(Call& call) {
  if (!call.server().snapshot().node(call.param(0))) {
    co_await no_node(call);
    co_return;
  }
  Result<void> done = co_await call.server().purge_node(call.param(0));
  if (!done) {
    co_await call.refuse(done.error());
    co_return;
  }
  co_await reply_node_update(call, EvalReply{{}, call.server().snapshot().index()});
}

/// An evaluation for each job that has an allocation there, and for each system job.
Task<void> evaluate(Call& call) {
  const Snapshot snapshot = call.server().snapshot();
  if (!snapshot.node(call.param(0))) {
    co_await no_node(call);
    co_return;
  }
  std::set<std::pair<std::string, std::string>> jobs;
  const auto add = [&](const Job& job) { jobs.emplace(job.namespace_, job.id); };
  if (const auto index = snapshot.of_node(call.param(0))) {
    index->allocs.each([&](const AllocPtr& alloc) { add(*alloc->job); });
  }
  snapshot.tables().jobs.each([&](const JobPtr& job) {
    if (job->is_system()) add(*job);
  });
  std::vector<std::string> evals;
  uint64_t index = snapshot.index();
  for (const auto& [space, id] : jobs) {
    Result<EvalReply> reply = co_await call.server().evaluate_job(space, id, false);
    if (!reply) continue;  // gone meanwhile
    evals.push_back(reply->eval_id);
    index = reply->index;
  }
  call.set_index(index);
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object().key("EvalIDs").begin_array();
    for (const std::string& id : evals) out.value(id);
    out.end_array();
    out.member("EvalCreateIndex", index).member("NodeModifyIndex", index).member("Index", index);
    out.end_object();
  });
}

constexpr Route kRoutes[] = {
    {"GET", "/v1/nodes", list_nodes},
    {"GET", "/v1/node/:id", read_node},
    {"GET", "/v1/node/:id/allocations", node_allocs},
    {"PUT", "/v1/node/:id/eligibility", with_body<set_eligibility>},
    {"PUT", "/v1/node/:id/drain", with_body<drain>},
    {"PUT", "/v1/node/:id/purge", purge},
    {"PUT", "/v1/node/:id/evaluate", evaluate},
};

}  // namespace

std::span<const Route> node_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
