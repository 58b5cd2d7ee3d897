// The calls that save and restore what the operator said, and that recover it from the node.
#include <fmt/format.h>

#include "core/base64.h"
#include "core/digest.h"
#include "orchestrator/api/call.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/node/node_agent.h"

namespace sluice::orchestrator::api {
namespace {

Task<void> save(Call& call) {
  Result<std::string> text = co_await call.server().save_snapshot();
  if (!text) {
    co_await call.refuse(text.error());
    co_return;
  }
  call.set_index(call.server().snapshot().index());
  call.add_common_headers();
  call.writer().add_header(
      "Digest", fmt::format("sha-256={}", base64_encode(digest(DigestKind::kSha256, *text))));
  (void)co_await call.writer().respond(200, "application/octet-stream", *text);
}

Task<void> restore(Call& call) {
  Result<void> done = co_await call.server().restore_snapshot(call.request().body);
  if (!done) {
    co_await call.refuse(done.error());
    co_return;
  }
  co_await call.reply_empty();
}

Task<void> recover(Call& call) {
  NodeAgent* node = call.parts().node;
  if (node == nullptr) {
    co_await call.refuse(400, "this agent runs no client, whose allocations could be recovered");
    co_return;
  }
  Result<Recovery> from = node->recovery();
  if (!from) {
    co_await call.refuse(from.error());
    co_return;
  }
  Result<RecoverReply> done = co_await call.server().recover(*std::move(from));
  if (!done) {
    co_await call.refuse(done.error());
    co_return;
  }
  node->recovered();
  call.set_index(done->index);
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object();
    out.member("ClusterID", done->cluster_id);
    out.member("Jobs", done->jobs).member("Allocations", done->allocs);
    out.key("MissingParents").begin_array();
    for (const MissingParent& parent : done->missing_parents) {
      out.begin_object();
      out.member("Namespace", parent.namespace_).member("ID", parent.id);
      out.member("Children", parent.children);
      out.end_object();
    }
    out.end_array();
    out.end_object();
  });
}

constexpr Route kRoutes[] = {{"GET", "/v1/operator/snapshot", save},
                             {"PUT", "/v1/operator/snapshot", restore},
                             {"PUT", "/v1/operator/recover", recover}};

}  // namespace

std::span<const Route> snapshot_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
