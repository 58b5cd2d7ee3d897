// The calls that make a job's children.
#include <fmt/format.h>

#include "orchestrator/api/call.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/api/wire.h"

namespace sluice::orchestrator::api {
namespace {

constexpr MemberKind kDispatchBody[] = {{"Meta", Json::Kind::kObject},
                                        {"Payload", Json::Kind::kString},
                                        {"IdPrefixTemplate", Json::Kind::kString}};

Task<void> dispatch(Call& call, const Json& body) {
  DispatchRequest request{.space = call.space(),
                          .id = call.param(0),
                          .payload_base64 = std::string(body.get_string("Payload")),
                          .idempotency_token = call.query("idempotency_token"),
                          .id_prefix = std::string(body.get_string("IdPrefixTemplate"))};
  Result<StringMap> meta = read_texts(body, "Meta");
  if (!meta) {
    co_await call.refuse(meta.error());
    co_return;
  }
  request.meta = std::move(*meta);
  Result<Server::DispatchReply> reply = co_await call.server().dispatch_job(std::move(request));
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  call.set_index(reply->index);
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object();
    out.member("DispatchedJobID", reply->child_id);
    out.member("EvalID", reply->eval_id);
    out.member("EvalCreateIndex", reply->eval_create_index);
    out.member("JobCreateIndex", reply->job_create_index);
    out.member("Index", reply->index);
    out.end_object();
  });
}

Task<void> force_periodic(Call& call) {
  Result<EvalReply> reply = co_await call.server().force_periodic(call.space(), call.param(0));
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  co_await call.reply_eval(*reply);
}

constexpr Route kRoutes[] = {
    {"PUT", "/v1/job/*id/dispatch", with_body<dispatch, kDispatchBody>},
    {"PUT", "/v1/job/*id/periodic/force", force_periodic},
};

}  // namespace

std::span<const Route> child_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
