// Namespaces and node pools: read only. A namespace is there as soon as a job is in it, a pool as
// soon as a node is.
#include <set>

#include "orchestrator/api/call.h"
#include "orchestrator/api/list.h"
#include "orchestrator/api/routes.h"

namespace sluice::orchestrator::api {
namespace {

using TopicKind = Topic::Kind;

constexpr std::string_view kDefault = "default";

// ------------------------------------------------------------------------------ namespaces

std::set<std::string> namespaces_of(const Snapshot& snapshot) {
  std::set<std::string> names{std::string(kDefault)};
  snapshot.tables().jobs.each([&](const JobPtr& job) { names.insert(job->namespace_); });
  return names;
}

void write_namespace(JsonWriter& out, const std::string& name) {
  out.begin_object();
  out.member("Name", name);
  out.member("Description", name == kDefault ? "Default shared namespace" : "");
  out.member("Quota", "").key("Capabilities").null().key("NodePoolConfiguration").null();
  out.key("Meta").null();
  out.member("CreateIndex", 1).member("ModifyIndex", 1);
  out.end_object();
}

/// What the token may not read is not shown.
Task<void> list_namespaces(Call& call) {
  const Snapshot snapshot = co_await call.snapshot({{TopicKind::kJobs, {}, {}}});
  const std::string prefix = call.query("prefix");
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_array();
    for (const std::string& name : namespaces_of(snapshot)) {
      if (name.starts_with(prefix) && call.allowed(AclLevel::kRead, name)) {
        write_namespace(out, name);
      }
    }
    out.end_array();
  });
}

Task<void> read_namespace(Call& call) {
  const Snapshot snapshot = co_await call.snapshot({{TopicKind::kJobs, {}, {}}});
  const std::string& name = call.param(0);
  if (!call.allowed(AclLevel::kRead, name)) {
    co_await call.refuse(403, "Permission denied");
    co_return;
  }
  if (!namespaces_of(snapshot).contains(name)) {
    co_await call.refuse(404, "Namespace not found");
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) { write_namespace(out, name); });
}

// ------------------------------------------------------------------------------ node pools

constexpr std::string_view kAllPool = "all";

std::set<std::string> pools_of(const Snapshot& snapshot) {
  std::set<std::string> names{std::string(kAllPool), std::string(kDefault)};
  snapshot.tables().nodes.each([&](const NodePtr& node) { names.insert(node->node_pool); });
  return names;
}

void write_pool(JsonWriter& out, const std::string& name) {
  out.begin_object();
  out.member("Name", name);
  out.member("Description", name == kAllPool   ? "Node pool with all nodes in the cluster."
                            : name == kDefault ? "Default node pool."
                                               : "");
  out.key("Meta").null().key("SchedulerConfiguration").null();
  out.member("CreateIndex", 1).member("ModifyIndex", 1);
  out.end_object();
}

Task<void> list_pools(Call& call) {
  const Snapshot snapshot = co_await call.snapshot({{TopicKind::kNodes, {}, {}}});
  const std::string prefix = call.query("prefix");
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_array();
    for (const std::string& name : pools_of(snapshot)) {
      if (name.starts_with(prefix)) write_pool(out, name);
    }
    out.end_array();
  });
}

Task<void> no_pool(Call& call) {
  return call.refuse(404, "node pool not found");
}

Task<void> read_pool(Call& call) {
  const Snapshot snapshot = co_await call.snapshot({{TopicKind::kNodes, {}, {}}});
  if (!pools_of(snapshot).contains(call.param(0))) {
    co_await no_pool(call);
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) { write_pool(out, call.param(0)); });
}

Task<void> pool_nodes(Call& call) {
  const Snapshot snapshot = co_await call.snapshot({{TopicKind::kNodes, {}, {}}});
  const std::string pool = call.param(0);
  if (!pools_of(snapshot).contains(pool)) {
    co_await no_pool(call);
    co_return;
  }
  const NodeStubParts parts = stub_parts(call);
  co_await reply_list(
      call, snapshot.tables().nodes,
      [pool](const Node& node) { return pool == kAllPool || node.node_pool == pool; },
      [parts](JsonWriter& out, const Node& node) { write_node_stub(out, node, parts); });
}

Task<void> pool_jobs(Call& call) {
  const Snapshot snapshot =
      co_await call.snapshot({{TopicKind::kJobs, {}, {}}, {TopicKind::kNodes, {}, {}}});
  const std::string pool = call.param(0), space = call.space();
  if (!pools_of(snapshot).contains(pool)) {
    co_await no_pool(call);
    co_return;
  }
  co_await reply_list(
      call, snapshot.tables().jobs,
      [pool, space](const Job& job) {
        return job.node_pool == pool && (space == kAnyNamespace || job.namespace_ == space);
      },
      [snapshot](JsonWriter& out, const Job& job) {
        write_job_stub(out, job, snapshot.job_status(job), snapshot.job_summary(job),
                       snapshot.job_children(job));
      });
}

constexpr Route kRoutes[] = {
    {"GET", "/v1/namespaces", list_namespaces},
    {"GET", "/v1/namespace/:name", read_namespace},
    {"GET", "/v1/node/pools", list_pools},
    {"GET", "/v1/node/pool/:name", read_pool},
    {"GET", "/v1/node/pool/:name/nodes", pool_nodes},
    {"GET", "/v1/node/pool/:name/jobs", pool_jobs},
};

}  // namespace

std::span<const Route> pool_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
