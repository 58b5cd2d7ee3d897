// What a node is told to forget: its allocations that are over.
#include "orchestrator/api/call.h"
#include "orchestrator/api/client.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/node/node_agent.h"

namespace sluice::orchestrator::api {
namespace {

Task<void> collect_all(Call& call) {
  Result<NodeAgent*> node = local_node(call);
  if (!node) {
    co_await call.refuse(node.error());
    co_return;
  }
  co_await (*node)->collect_all();
  call.add_common_headers();
  // Nomad's client library wants nothing here: it would take any JSON for an error.
  (void)co_await call.writer().respond(200, "application/json", "");
}

Task<void> collect_one(Call& call) {
  const std::string id = call.param(0);
  Result<LocalAllocation> local = local_alloc(call, id);
  if (!local) {
    co_await call.refuse(local.error());
    co_return;
  }
  if (!co_await call.parts().node->collect_alloc(id)) {
    co_await call.refuse(404, "Allocation \"" + id + "\" is not over, or is gone already");
    co_return;
  }
  co_await call.reply_empty();
}

// Nomad's client library calls both with GET.
constexpr Route kRoutes[] = {
    {"GET", "/v1/client/gc", collect_all},
    {"PUT", "/v1/client/gc", collect_all},
    {"GET", "/v1/client/allocation/:id/gc", collect_one},
    {"PUT", "/v1/client/allocation/:id/gc", collect_one},
};

}  // namespace

std::span<const Route> client_gc_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
