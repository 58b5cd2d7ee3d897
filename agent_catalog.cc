#include "agent_catalog.h"

#include <utility>

#include "orchestrator/api/wire.h"

namespace sluice {

namespace {

constexpr size_t kBodyBytes = 64 * 1024;  // nothing that is asked has one

/// nullopt: "off", no door.
Result<std::optional<Address>> place(const std::optional<std::string>& configured,
                                     std::string_view usual) {
  const std::string text(configured ? std::string_view(*configured) : usual);
  if (text == "off") return std::nullopt;
  Result<Address> at = parse_address(text);
  if (!at) return pass(at);
  return *std::move(at);
}

}  // namespace

drivers::ReadNode read_node(const AgentConfig& config, const orchestrator::Server& server,
                            const orchestrator::NodeAgent* node) {
  if (node == nullptr) {
    return {.id = server.snapshot().meta().cluster_id,
            .name = config.name,
            .address = config.bind_addr,
            .datacenter = config.datacenter};
  }
  const orchestrator::Node& self = node->node();
  return {.id = self.id, .name = self.name, .address = self.ip, .datacenter = self.datacenter};
}

Result<void> CatalogDoors::open(Env env, Log& log, const AgentConfig& config,
                                std::unique_ptr<CatalogDoors>& doors) {
  if (config.consul) return {};
  doors.reset(new CatalogDoors(env, log));
  return doors->open_http(config.catalog_http_addr);
}

Result<void> CatalogDoors::open_http(const std::optional<std::string>& configured) {
  Result<std::optional<Address>> at = place(configured, kCatalogHttpAddr);
  if (!at) return pass(at, "catalog http_addr");
  if (!*at) return {};
  Result<std::unique_ptr<Listener>> listener = env_.network.listen(**at);
  if (listener) {
    http_listener_ = std::move(*listener);
    addresses_.push_back(http_listener_->local());
    return {};
  }
  if (configured) return pass(listener, "catalog http_addr");
  log_.warn(
      "{}: no HTTP for the catalog (catalog {{ http_addr }} or -catalog-http-addr gives it another "
      "place, \"off\" none)",
      listener.error().message);
  return {};
}

void CatalogDoors::serve(const drivers::CatalogTable& table, drivers::ReadNode node, Scope& scope) {
  if (http_listener_) {
    api_ = std::make_unique<drivers::ReadApi>(env_, table, node);
    http_ = std::make_unique<HttpServer>(
        env_.executor, std::move(http_listener_),
        [this](const HttpServerRequest& request, HttpResponseWriter& writer) -> Task<void> {
          return answer_http(*api_, request, writer);
        },
        HttpServerOptions{.body_limit_bytes = kBodyBytes});
    scope.spawn(http_->run());
    log_.info("catalog's HTTP (Consul's calls) on http://{}", to_string(http_->local()));
  }
}

Task<void> CatalogDoors::answer_http(drivers::ReadApi& api, const HttpServerRequest& request,
                                     HttpResponseWriter& writer) {
  // As at the jobs API: no foreign page reads it through a browser.
  if (const std::string why = orchestrator::api::refuse_origin(request, {}); !why.empty()) {
    (void)co_await writer.respond(403, "text/plain; charset=utf-8", why);
    co_return;
  }
  co_await api.handle(request, writer);
}

}  // namespace sluice
