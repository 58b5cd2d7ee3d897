#include "orchestrator/api/api.h"

#include <fmt/format.h>

#include <array>

#include "orchestrator/api/call.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/api/wire.h"

namespace sluice::orchestrator {
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
  co_await match.route->run(call);
}

}  // namespace sluice::orchestrator
