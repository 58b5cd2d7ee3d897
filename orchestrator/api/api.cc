#include "orchestrator/api/api.h"

#include <fmt/format.h>

#include <array>

#include "orchestrator/api/call.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/api/wire.h"

namespace sluice::orchestrator {
namespace {

/// What Nomad measures such a call as; "" for one that it does not.
std::string_view call_name(const api::Route& route) {
  struct Name {
    std::string_view method, pattern, name;
  };
  constexpr Name kNames[] = {
      {"GET", "/v1/jobs", "job.list"},
      {"PUT", "/v1/jobs", "job.register"},
      {"PUT", "/v1/job/*id", "job.register"},
      {"GET", "/v1/job/*id", "job.get_job"},
      {"DELETE", "/v1/job/*id", "job.deregister"},
      {"PUT", "/v1/job/*id/plan", "job.plan"},
      {"PUT", "/v1/job/*id/evaluate", "job.evaluate"},
      {"PUT", "/v1/job/*id/dispatch", "job.dispatch"},
      {"PUT", "/v1/job/*id/revert", "job.revert"},
      {"PUT", "/v1/job/*id/stable", "job.stable"},
      {"PUT", "/v1/job/*id/scale", "job.scale"},
      {"GET", "/v1/job/*id/scale", "job.scale_status"},
      {"GET", "/v1/job/*id/allocations", "job.allocations"},
      {"GET", "/v1/job/*id/evaluations", "job.evaluations"},
      {"GET", "/v1/job/*id/deployments", "job.deployments"},
      {"GET", "/v1/job/*id/deployment", "job.latest_deployment"},
      {"GET", "/v1/job/*id/summary", "job_summary.get_job_summary"},
      {"GET", "/v1/job/*id/versions", "job.get_job_versions"},
      {"GET", "/v1/job/*id/submission", "job.get_job_submission"},
      {"PUT", "/v1/validate/job", "job.validate"},
      {"GET", "/v1/allocations", "alloc.list"},
      {"GET", "/v1/allocation/:id", "alloc.get_alloc"},
      {"PUT", "/v1/allocation/:id/stop", "alloc.stop"},
      {"GET", "/v1/evaluations", "eval.list"},
      {"GET", "/v1/evaluation/:id", "eval.get_eval"},
      {"GET", "/v1/evaluation/:id/allocations", "eval.allocations"},
      {"GET", "/v1/deployments", "deployment.list"},
      {"GET", "/v1/deployment/:id", "deployment.get_deployment"},
      {"PUT", "/v1/deployment/promote/:id", "deployment.promote"},
      {"PUT", "/v1/deployment/fail/:id", "deployment.fail"},
      {"PUT", "/v1/deployment/pause/:id", "deployment.pause"},
      {"GET", "/v1/nodes", "client.list"},
      {"GET", "/v1/node/:id", "client.get_node"},
      {"GET", "/v1/node/:id/allocations", "client.get_allocs"},
      {"PUT", "/v1/node/:id/drain", "client.update_drain"},
      {"PUT", "/v1/node/:id/eligibility", "client.update_eligibility"},
      {"PUT", "/v1/node/:id/evaluate", "client.evaluate"},
      {"PUT", "/v1/search", "search.prefix_search"},
  };
  for (const Name& each : kNames) {
    if (each.method == route.method && each.pattern == route.pattern) return each.name;
  }
  return "";
}

}  // namespace

Task<void> Api::handle(const HttpServerRequest& request, HttpResponseWriter& writer) {
  constexpr std::string_view kText = "text/plain; charset=utf-8";
  const std::array<std::span<const api::Route>, 14> tables{
      // Scaling and children before the jobs, whose ids hold slashes; pools before the nodes.
      api::scaling_routes(), api::child_routes(),   api::job_routes(),    api::record_routes(),
      api::pool_routes(),    api::node_routes(),    api::client_routes(), api::client_gc_routes(),
      api::agent_routes(),   api::file_routes(),    api::event_routes(),  api::exec_routes(),
      api::acl_routes(),     api::snapshot_routes()};
  if (const std::string why = api::refuse_origin(request, parts_.options.hosts); !why.empty()) {
    (void)co_await writer.respond(403, kText, why);
    co_return;
  }
  api::RouteMatch match = api::find_route(tables, request.method, request.path);
  if (!match.route && match.path_known) {
    (void)co_await writer.respond(405, kText, "Invalid method");
    co_return;
  }
  if (!match.route) {
    (void)co_await writer.respond(
        404, kText, fmt::format("no call {} {} in this API", request.method, request.path));
    co_return;
  }
  api::Call call(parts_, request, writer, std::move(match.params));
  if (const Error* refused = call.refused_by(*match.route)) {
    co_await call.refuse(*refused);
    co_return;
  }
  // "global" is what clients say that say nothing, and jobs likewise (Server::register_job).
  const std::string& own_region = parts_.server.options().region;
  if (const std::string region = call.query("region", own_region);
      region != own_region && region != "global") {
    co_await call.refuse(
        500, fmt::format("No path to region \"{}\": this one is \"{}\"", region, own_region));
    co_return;
  }
  if (const std::string_view wrong = call.wrong_wait(); !wrong.empty()) {
    co_await call.refuse(400, std::string(wrong));
    co_return;
  }
  const int64_t begin_ns = parts_.env.executor.wall_ns();
  co_await match.route->run(call);
  const double ms = static_cast<double>(parts_.env.executor.wall_ns() - begin_ns) / 1'000'000;
  parts_.log.debug("api: {} {} took {:.3f} ms", request.method, request.path, ms);
  if (const std::string_view name = call_name(*match.route);
      parts_.options.metrics && !name.empty()) {
    parts_.options.metrics->sample("nomad.nomad." + std::string(name), ms);
  }
}

}  // namespace sluice::orchestrator
