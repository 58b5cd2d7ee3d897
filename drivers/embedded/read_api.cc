#include "drivers/embedded/read_api.h"

#include <algorithm>
#include <functional>

#include "core/scope.h"

namespace sluice::drivers {

namespace {

constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr int64_t kJitterFraction = 16;  // a wait grows by up to this part of it, as Consul's

// Calls of Consul's about what there is none of here. To its client libraries 404 says "not this
// one" in many of them (a session, a query), and they go on with nothing.
constexpr std::string_view kConsulsAlone[] = {
    "/v1/agent/connect/",
    "/v1/agent/host",
    "/v1/agent/metrics",
    "/v1/agent/monitor",
    "/v1/catalog/connect/",
    "/v1/catalog/gateway-services/",
    "/v1/config",
    "/v1/connect/",
    "/v1/coordinate/",
    "/v1/discovery-chain",
    "/v1/event/",
    "/v1/health/connect/",
    "/v1/health/ingress/",
    "/v1/internal/",
    "/v1/operator/",
    "/v1/peering",
    "/v1/query",
    "/v1/session/",
    "/v1/snapshot",
    "/v1/txn",
};

/// Looks and waits in one task, so that no change falls between the two.
Task<Result<void>> wait_for_news(Event& news, std::function<bool()> seen) {
  while (!seen()) co_await news.wait();
  co_return Result<void>();
}

void add_index_headers(HttpResponseWriter& writer, const ReadQuery& query, uint64_t index) {
  writer.add_header("X-Consul-Effective-Consistency", query.stale        ? "stale"
                                                      : query.consistent ? "consistent"
                                                                         : "leader");
  writer.add_header("X-Consul-Index", std::to_string(index));
  writer.add_header("X-Consul-Knownleader", "true");
  writer.add_header("X-Consul-Lastcontact", "0");
  writer.add_header("X-Consul-Query-Backend", "blocking-query");
}

/// A GET of what is no read call.
Task<void> refuse_path(std::string_view path, HttpResponseWriter& writer) {
  if (path.starts_with("/v1/acl/")) {  // as Consul where they are off
    (void)co_await writer.respond(401, kText, "ACL support disabled");
    co_return;
  }
  const bool consuls = std::ranges::any_of(
      kConsulsAlone, [&](std::string_view prefix) { return path.starts_with(prefix); });
  (void)co_await writer.respond(
      consuls ? 501 : 404, kText,
      consuls ? fmt::format("{}: not offered by sluice's embedded catalog, which holds the "
                            "services of jobs and nothing else\n",
                            path)
              : fmt::format("Invalid URL path: not a recognized HTTP API endpoint "
                            "of sluice's embedded catalog: {}\n",
                            path));
}

}  // namespace

Task<void> ReadApi::handle(const HttpServerRequest& request, HttpResponseWriter& writer) {
  std::string name;
  const ReadCall* call = find_read_call(request.path, name);
  writer.add_header("X-Consul-Default-Acl-Policy", "allow");
  if (request.method != "GET") {
    writer.add_header("Allow", "OPTIONS,GET");
    const bool asked = request.method == "OPTIONS";
    (void)co_await writer.respond(
        asked ? 200 : 405, kText,
        asked ? ""
              : fmt::format("method {} not allowed: sluice's embedded catalog is read only; its "
                            "services come from jobs (sluice job run)",
                            request.method));
    co_return;
  }
  if (const auto health = agent_health(request.path, table_, node_)) {
    co_await answer_health(*health, request, writer);
    co_return;
  }
  if (call == nullptr) {
    co_await refuse_path(request.path, writer);
    co_return;
  }
  if (name.empty() && !call->missing.empty()) {
    (void)co_await writer.respond(400, kText, fmt::format("Bad request: {}", call->missing));
    co_return;
  }
  Result<ReadQuery> query = parse_read_query(request, node_);
  Result<void> filter = query ? check_read_filter(*call, *query, node_) : pass(query);
  if (!filter) {
    // That a datacenter is unknown is 500 in Consul, and its clients try again.
    const int status = filter.error().code == Code::kUnavailable ? 500 : 400;
    (void)co_await writer.respond(status, kText, filter.error().message);
    co_return;
  }
  co_await answer(*call, *query, name, writer);
}

/// `format=text`, or an Accept of it: the reason alone.
Task<void> ReadApi::answer_health(const AgentHealth& health, const HttpServerRequest& request,
                                  HttpResponseWriter& writer) {
  const auto asks = [&](std::string_view key) {
    return std::ranges::find(request.query, key, [](const auto& each) { return each.first; });
  };
  const auto format = asks("format");
  const std::string* accept = request.headers.find("Accept");
  const bool text = format != request.query.end() ? format->second == "text"
                                                  : accept != nullptr && *accept == "text/plain";
  writer.add_header("X-Consul-Reason", health.reason);
  (void)co_await writer.respond(
      health.status, text ? "text/plain" : "application/json",
      text ? health.reason : to_json(health.body, asks("pretty") != request.query.end() ? 4 : 0));
}

Task<void> ReadApi::answer(const ReadCall& call, const ReadQuery& query, const std::string& name,
                           HttpResponseWriter& writer) {
  const ReadContext of{.table = table_, .node = node_, .query = query, .name = name};
  const auto hash_of = [](const Result<Json>& body) {
    return body ? std::string(body->get_string("ContentHash")) : "";
  };
  std::function<bool()> seen;
  if (call.index != nullptr && query.index > 0) {
    seen = [&] { return call.index(of) > query.index; };
  } else if (call.index == nullptr && !query.hash.empty()) {
    seen = [&] { return hash_of(call.body(of)) != query.hash; };
  }
  if (seen && !seen()) {
    writer.cancel_on_close();
    const auto jitter = static_cast<uint64_t>(query.wait_ms / kJitterFraction);
    const int64_t wait_ms =
        query.wait_ms + (jitter > 0 ? static_cast<int64_t>(env_.random.below(jitter)) : 0);
    // In time or not: what there is then is the answer.
    (void)co_await with_timeout(env_.executor, wait_ms, wait_for_news(table_.news(), seen));
  }
  const Result<Json> body = call.body(of);
  if (call.index != nullptr) add_index_headers(writer, query, call.index(of));
  if (!body) {
    const int status = body.error().code == Code::kInvalid ? 400 : 404;
    (void)co_await writer.respond(status, body.error().message.empty() ? "" : kText,
                                  body.error().message);
    co_return;
  }
  if (const std::string hash = hash_of(body); !hash.empty()) {
    writer.add_header("X-Consul-Contenthash", hash);
  }
  (void)co_await writer.respond(200, "application/json", to_json(*body, query.pretty ? 4 : 0));
}

}  // namespace sluice::drivers
