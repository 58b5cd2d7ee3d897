#include "orchestrator/api/call.h"

#include <algorithm>
#include <charconv>

#include "core/http1.h"
#include "core/scope.h"
#include "orchestrator/api/access.h"
#include "orchestrator/api/router.h"

namespace sluice::orchestrator::api {
namespace {

constexpr int64_t kJitterFraction = 16;  // a wait grows by up to this part of it

uint64_t parse_index(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

uint64_t newest_change(const Snapshot& snapshot, const std::vector<Topic>& topics) {
  uint64_t newest = 0;
  for (const Topic& topic : topics) newest = std::max(newest, snapshot.last_change(topic));
  return newest;
}

Task<void> wait_one(Server& server, Topic topic, uint64_t after, int64_t wait_ms, Event& changed) {
  co_await server.wait(std::move(topic), after, wait_ms);
  changed.set();
}

}  // namespace

Call::Call(ApiParts& parts, const HttpServerRequest& request, HttpResponseWriter& writer,
           std::vector<std::string> params)
    : parts_(parts), request_(request), writer_(writer), params_(std::move(params)) {
  constexpr std::string_view kBearer = "Bearer ";
  if (const std::string* given = request.headers.find("X-Nomad-Token")) {
    token_ = *given;
  } else if (const std::string* bearer = request.headers.find("Authorization");
             bearer != nullptr && bearer->starts_with(kBearer)) {
    token_ = bearer->substr(kBearer.size());
  }
}

bool Call::allowed(AclLevel level, std::string_view space) const {
  if (!parts_.options.acl_enabled) return true;
  const Snapshot now = parts_.server.snapshot();
  const Result<AclRights> rights =
      acl_rights(now.meta().acl, token_, parts_.env.executor.wall_ns());
  if (!rights) return false;
  if (space != kAnyNamespace) return rights->allows(AclArea::kNamespace, level, space);
  bool all = rights->allows(AclArea::kNamespace, level, "default");
  now.tables().jobs.each([&](const JobPtr& job) {
    all = all && rights->allows(AclArea::kNamespace, level, job->namespace_);
  });
  return all;
}

std::string Call::accessor_id() {
  if (!parts_.options.acl_enabled) return "";
  const Snapshot now = parts_.server.snapshot();
  const AclToken* token = token_.empty() ? nullptr : find_token(now.meta().acl, token_);
  return token ? token->accessor_id : "";
}

std::string Call::record_space() const {
  const Snapshot now = parts_.server.snapshot();
  if (!params_.empty()) {
    // Ids are unique over the kinds.
    if (const AllocPtr alloc = now.alloc(params_[0])) return alloc->namespace_name();
    if (const EvalPtr eval = now.eval(params_[0])) return eval->namespace_;
    if (const DeploymentPtr deployment = now.deployment(params_[0])) return deployment->namespace_;
  }
  return query("namespace", "default");
}

const Error* Call::refused_by(const Route& route) {
  if (!parts_.options.acl_enabled) return nullptr;
  const Need need = need_of(route.method, route.pattern);
  if (!need.area) return nullptr;
  const Snapshot now = parts_.server.snapshot();
  const Result<AclRights> rights =
      acl_rights(now.meta().acl, token_, parts_.env.executor.wall_ns());
  if (!rights) {
    refused_ = rights.error();
  } else if (*need.area == AclArea::kNamespace ? !allowed(need.level, record_space())
                                               : !rights->allows(*need.area, need.level)) {
    refused_ = Error{.code = Code::kDenied, .message = "Permission denied"};
  }
  return refused_ ? &*refused_ : nullptr;
}

std::string Call::query(std::string_view name, std::string_view fallback) const {
  const std::string* value = request_.find_query(name);
  return value != nullptr && !value->empty() ? *value : std::string(fallback);
}

bool Call::query_on(std::string_view name) const {
  const std::string* value = request_.find_query(name);
  return value != nullptr && *value != "false" && *value != "0";
}

Result<Json> Call::body() const {
  if (request_.body.empty()) return Json::object();
  Result<Json> json = parse_json(request_.body);
  if (!json) return pass(json, "request body");
  if (json->is_null()) return Json::object();
  if (!json->is_object()) return fail(Code::kInvalid, "request body: expected a JSON object");
  return json;
}

std::string_view Call::wrong_wait() const {
  uint64_t index = 0;
  const std::string text = query("index");
  if (!text.empty() && !http1::parse_length(text, index)) return "Invalid index";
  if (!parse_wait_ms(query("wait"))) return "Invalid wait time";
  return {};
}

Task<Snapshot> Call::snapshot(std::vector<Topic> topics) {
  const uint64_t after = parse_index(query("index"));
  Snapshot now = server().snapshot();
  if (after > 0 && newest_change(now, topics) <= after) {
    writer_.cancel_on_close();
    int64_t wait_ms = parse_wait_ms(query("wait")).value_or(kDefaultWaitMs);
    const auto jitter = static_cast<uint64_t>(wait_ms / kJitterFraction);
    if (jitter > 0) wait_ms += static_cast<int64_t>(parts_.env.random.below(jitter));
    if (topics.size() == 1) {
      now = co_await server().wait(topics[0], after, wait_ms);
    } else {
      Event changed(executor());
      Scope waits(executor());
      for (const Topic& topic : topics) {
        waits.spawn(wait_one(server(), topic, after, wait_ms, changed));
      }
      co_await changed.wait();
      waits.cancel_all();
      now = server().snapshot();
    }
  }
  index_ = newest_change(now, topics);
  co_return now;
}

void Call::add_common_headers() {
  // Over 0 always: a client that got 0 would ask again in a tight loop.
  writer_.add_header("X-Nomad-Index", std::to_string(std::max<uint64_t>(index_, 1)));
  writer_.add_header("X-Nomad-LastContact", "0");
  writer_.add_header("X-Nomad-KnownLeader", "true");
  writer_.add_header("Cache-Control", "no-store");
}

Task<void> Call::reply(std::string json) {
  add_common_headers();
  if (query_on("pretty")) {
    Result<Json> parsed = parse_json(json);
    if (parsed) json = to_json(*parsed, 4);
  }
  (void)co_await writer_.respond(200, "application/json", json);
}

Task<void> Call::refuse(int status, std::string text) {
  (void)co_await writer_.respond(status, "text/plain; charset=utf-8", text);
}

Task<void> Call::reply_eval(const EvalReply& reply) {
  set_index(reply.index);
  return reply_with([&](JsonWriter& out) {
    out.begin_object();
    out.member("EvalID", reply.eval_id);
    out.member("EvalCreateIndex", reply.eval_id.empty() ? 0 : reply.index);
    out.member("JobModifyIndex", reply.index);
    out.member("Index", reply.index);
    out.end_object();
  });
}

Task<void> Call::reply_registered(const RegisterReply& reply) {
  set_index(reply.index);
  return reply_with([&](JsonWriter& out) {
    out.begin_object();
    out.member("EvalID", reply.eval_id);
    out.member("EvalCreateIndex", reply.eval_create_index);
    out.member("JobModifyIndex", reply.job_modify_index);
    out.member("Warnings", reply.warnings);
    out.member("Index", reply.index);
    out.member("LastContact", 0).member("KnownLeader", true);
    out.end_object();
  });
}

}  // namespace sluice::orchestrator::api
