#include "app/agent_catalog.h"

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
  if (at->is_unix()) return fail(Code::kInvalid, "{}: want an IP address and a port", text);
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
  Result<void> done = doors->open_http(config.catalog_http_addr);
  return done ? doors->open_dns(config.catalog_dns_addr) : done;
}

Result<void> CatalogDoors::open_http(const std::optional<std::string>& configured) {
  Result<std::optional<Address>> at = place(configured, kCatalogHttpAddr);
  if (!at) return pass(at, "catalog http_addr");
  if (!*at) return {};
  Result<std::unique_ptr<Listener>> listener = env_.network.listen(**at);
  if (!listener) return miss(configured.has_value(), "HTTP", "http", listener.error());
  http_listener_ = std::move(*listener);
  addresses_.push_back(http_listener_->local());
  return {};
}

Result<void> CatalogDoors::open_dns(const std::optional<std::string>& configured) {
  Result<std::optional<Address>> at = place(configured, kCatalogDnsAddr);
  if (!at) return pass(at, "catalog dns_addr");
  if (!*at) return {};
  Result<std::unique_ptr<Listener>> listener = env_.network.listen(**at);
  if (!listener) return miss(configured.has_value(), "DNS", "dns", listener.error());
  const Address local = (*listener)->local();
  Result<std::unique_ptr<Datagrams>> datagrams = env_.network.open_datagrams(local);
  if (!datagrams) return miss(configured.has_value(), "DNS", "dns", datagrams.error());
  dns_listener_ = std::move(*listener);
  dns_datagrams_ = std::move(*datagrams);
  addresses_.push_back(local);
  return {};
}

Result<void> CatalogDoors::miss(bool configured, std::string_view what, std::string_view name,
                                const Error& why) {
  if (configured) return fail(why.code, "catalog {}_addr: {}", name, why.message);
  log_.warn(
      "{}: no {} for the catalog (catalog {{ {}_addr }} or -catalog-{}-addr gives it another "
      "place, \"off\" none)",
      why.message, what, name, name);
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
  if (dns_datagrams_) {
    dns_ = std::make_unique<drivers::DnsServer>(env_, std::move(dns_datagrams_),
                                                std::move(dns_listener_), table, node);
    scope.spawn(dns_->run_udp());
    scope.spawn(dns_->run_tcp());
    log_.info("catalog's DNS (zone consul) on {}", to_string(dns_->local()));
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
