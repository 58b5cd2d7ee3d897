#include "app/balancer.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "app/balancer_options.h"
#include "app/balancer_parts.h"
#include "core/random.h"
#include "proxy/table_state.h"

namespace sluice {

namespace {

constexpr size_t kNoRoutePageBytes = 32 * 1024;

// A predecessor goes on publishing until it has handed over: its successor's tables begin so far
// above the one that came along, so that no version is seen twice.
constexpr uint64_t kVersionsAnUpgrade = 1'000'000;

}  // namespace

Result<void> Balancer::Parts::open_certificates(
    Network& network, const std::vector<proxy::ListenSpec>& listeners,
    std::shared_ptr<const tls::ClientContext> client_tls, const Json& state) {
  auto stores = proxy::parse_cert_stores(properties.get("proxy.cs"));
  if (!stores) return pass(stores, "-proxy.cs");
  certificates = std::make_unique<proxy::CertStores>(loop, network, std::move(client_tls), log);
  if (const Json* tickets = state.find("tickets")) {
    Result<void> taken = certificates->take_tickets(*tickets);
    if (!taken) return pass(taken, "the predecessor's state");
  }
  return certificates->open(std::move(*stores), listeners);
}

Result<void> Balancer::Parts::open_names() {
  Result<std::unique_ptr<DnsLookup>> opened =
      DnsLookup::open(loop, {.servers = properties.get("proxy.dns")});
  if (!opened) return pass(opened, "-proxy.dns");
  dns = *std::move(opened);
  names = std::make_unique<proxy::UpstreamNames>(loop, *dns, &log);
  return {};
}

Result<void> Balancer::Parts::inherit_routes(const Json& state) {
  const Json* table = state.find("table");
  if (table == nullptr) return {};
  if (const Json* known = state.find("names")) {
    Result<void> taken = names->read_state(*known);
    if (!taken) return pass(taken, "the predecessor's state");
  }
  Result<proxy::RouteEdit> edit = proxy::read_table_state(*table);
  if (!edit) return pass(edit, "the predecessor's state");
  std::vector<proxy::RouteEdit> edits;
  inherited = *std::move(edit);
  edits.push_back(inherited);
  publisher->apply(std::move(edits));
  inherited_routes = true;
  const Json* health = state.find("endpoints");
  if (health == nullptr) return {};
  Result<void> restored = proxy::read_endpoint_state(*health, publisher->endpoints());
  if (!restored) return pass(restored, "the predecessor's state");
  return {};
}

Result<void> Balancer::Parts::serve_metrics(Network& network, const proxy::ListenSpec& spec) {
  if (!spec.cert_store.empty() || spec.proxy_protocol) {
    return fail(Code::kUnsupported, "listener {}: proto=prometheus takes no cs and no pxyproto",
                spec.address.text());
  }
  Result<std::unique_ptr<Listener>> listener =
      network.listen({.ip = spec.address.ip(), .port = spec.address.port(), .path = {}});
  if (!listener) return pass(listener);
  metrics_servers.push_back(std::make_unique<HttpServer>(
      loop, std::move(*listener),
      [this](const HttpServerRequest& request, HttpResponseWriter& writer) {
        return answer_metrics(request, writer);
      }));
  return {};
}

Task<proxy::ProxyStats> Balancer::Parts::read_stats() {
  // The reactors may answer after this task was cancelled, so what they fill is shared with them.
  struct Answer {
    explicit Answer(Executor& executor) : done(executor) {}
    Event done;
    proxy::ProxyStats stats;
  };
  auto answer = std::make_shared<Answer>(loop);
  proxy->read_stats([&on = loop, answer](const proxy::ProxyStats& stats) {
    answer->stats = stats;
    on.post_from_any_thread([answer] { answer->done.set(); });
  });
  co_await answer->done.wait();
  co_return std::move(answer->stats);
}

Task<void> Balancer::Parts::answer_metrics(const HttpServerRequest& request,
                                           HttpResponseWriter& writer) {
  if (request.path != properties.get("metrics.prometheus.path") ||
      (request.method != "GET" && request.method != "HEAD")) {
    (void)co_await writer.respond(404, "text/plain; charset=utf-8", "not found\n");
    co_return;
  }
  proxy::ProxyStats stats = co_await read_stats();
  const proxy::RouteTable& table = publisher->table();
  stats.hosts = table.host_count();
  stats.routes = table.route_count();
  stats.table_version = table.version();
  if (access_writer) stats.access_lines_dropped = access_writer->dropped_lines();
  (void)co_await writer.respond(
      200, "text/plain; version=0.0.4; charset=utf-8",
      proxy::metrics_text(stats, time_bounds_ms, properties.get("metrics.prometheus.subsystem")));
}

Result<void> Balancer::Parts::open_access_log() {
  const std::string target = properties.get("log.access.target");
  if (target.empty()) return {};
  if (target != "stdout") {
    return fail(Code::kInvalid, "-log.access.target {}: want stdout, or nothing", target);
  }
  Result<proxy::AccessFormat> format =
      proxy::AccessFormat::compile(properties.get("log.access.format"));
  if (!format) return pass(format, "-log.access.format");
  access_format = std::make_unique<proxy::AccessFormat>(std::move(*format));
  access_writer = std::make_unique<LineWriter>(STDOUT_FILENO);
  return {};
}

Balancer::Balancer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Balancer::~Balancer() = default;

Result<std::unique_ptr<Balancer>> Balancer::start(UvLoop& loop, Network& network, Log& log,
                                                  const Properties& properties, Inheritance from) {
  auto parts = std::make_unique<Parts>(loop, log, properties);
  parts->tag_prefix = properties.get("registry.consul.tagprefix");
  Result<void> chosen = check_choices(properties);
  if (!chosen) return pass(chosen);
  Result<proxy::Strategy> strategy = parse_strategy(properties.get("proxy.strategy"));
  if (!strategy) return pass(strategy);
  Result<proxy::Matcher> matcher = parse_matcher(properties.get("proxy.matcher"));
  if (!matcher) return pass(matcher);
  Result<std::vector<proxy::ListenSpec>> listeners = parse_listeners(properties);
  if (!listeners) return pass(listeners);
  Result<void> access = parts->open_access_log();
  if (!access) return pass(access);
  Result<std::unique_ptr<LbPolicies>> policies = LbPolicies::open(properties, log);
  if (!policies) return pass(policies);
  parts->policies = std::move(*policies);

  // The admin page first: it is the cheaper one to give up when an address is in use.
  Result<Address> ui = parse_address(properties.get("ui.addr"));
  if (!ui) return pass(ui, "-ui.addr");
  Result<std::unique_ptr<Listener>> listener = network.listen(*ui);
  if (!listener) return pass(listener, "routes page (-ui.addr)");
  proxy::PublisherOptions publishing{.strategy = *strategy, .matcher = *matcher};
  parts->policies->set_options(publishing);
  if (const int64_t version = from.state.get_int("version", -1); version >= 0) {
    publishing.first_version = static_cast<uint64_t>(version) + kVersionsAnUpgrade;
  }
  publishing.registers = properties.get("registry.backend") == "consul" &&
                         properties.get_bool("registry.consul.register.enabled");
  Result<void> names = parts->open_names();
  if (!names) return pass(names);
  parts->publisher = std::make_unique<proxy::Publisher>(
      std::move(publishing),
      [&loop](Closure closure) { loop.post_from_any_thread(std::move(closure)); }, &log,
      parts->names.get());
  const auto metrics = take_out(*listeners, proxy::ListenProtocol::kPrometheus);
  const auto dynamic = take_out(*listeners, proxy::ListenProtocol::kTcpDynamic);
  for (const proxy::ListenSpec& spec : metrics) {
    Result<void> serving = parts->serve_metrics(network, spec);
    if (!serving) return pass(serving, "-proxy.addr");
  }
  Result<std::vector<int64_t>> bounds = parse_buckets(properties);
  if (!bounds) return pass(bounds);
  parts->time_bounds_ms = *bounds;
  auto client_tls = upstream_tls(properties.get("proxy.upstream.ca"));
  if (!client_tls) return pass(client_tls);
  Result<void> certificates =
      parts->open_certificates(network, *listeners, *client_tls, from.state);
  if (!certificates) return pass(certificates);
  Result<void> routes = parts->inherit_routes(from.state);
  if (!routes) return pass(routes);
  proxy::ProxyOptions options = proxy_options(properties, std::move(*listeners));
  parts->policies->set_options(options);
  options.inherited = std::move(from.sockets);
  options.wait_to_accept = true;
  options.tls = parts->certificates->contexts();
  options.worker.upstream_tls = std::move(*client_tls);
  options.worker.log = &log;
  options.signers = std::max(1U, std::thread::hardware_concurrency() / 2);
  options.worker.time_bounds_ms = *std::move(bounds);
  options.router.log = &log;
  options.router.wake = [&loop, on_wake = parts->on_wake](std::string_view service) {
    loop.post_from_any_thread([on_wake, name = std::string(service)] {
      if (*on_wake) (*on_wake)(name);
    });
  };
  options.worker.access_format = parts->access_format.get();
  options.worker.access_writer = parts->access_writer.get();
  Result<std::unique_ptr<proxy::Proxy>> started =
      proxy::Proxy::start(std::move(options), *parts->publisher, SystemRandom().next());
  if (!started) return pass(started, "balancer (-proxy.addr)");
  parts->proxy = std::move(*started);
  parts->publisher->set_on_down([proxy = parts->proxy.get()](const proxy::Publisher::Down& down) {
    proxy->post_to_all([down](uint32_t, proxy::Worker& worker) { worker.close_tunnels(*down); });
  });
  for (const proxy::ListenSpec& spec : dynamic) {
    parts->dynamic_listeners.push_back(
        std::make_unique<DynamicListeners>(loop, log, *parts->proxy, *parts->publisher, spec));
  }
  parts->admin = std::make_unique<BalancerAdmin>(
      loop, parts->properties, *parts->publisher,
      [&loop, proxy = parts->proxy.get()](proxy::ExplainRequest request,
                                          std::function<void(proxy::Explained)> done) {
        proxy->explain(std::move(request), [&loop, done = std::move(done)](proxy::Explained said) {
          loop.post_from_any_thread([done, said = std::move(said)] { done(said); });
        });
      });
  BalancerAdmin* admin = parts->admin.get();
  parts->admin_server = std::make_unique<HttpServer>(
      loop, std::move(*listener),
      [admin](const HttpServerRequest& request, HttpResponseWriter& writer) {
        return admin->answer(request, writer);
      });
  std::unique_ptr<Balancer> balancer(new Balancer(std::move(parts)));
  balancer->set_no_route_page(std::string(from.state.get_string("no_route_page")));
  return balancer;
}

void Balancer::set_overrides(ManualOverrides* overrides) {
  parts_->admin->set_overrides(overrides);
}

void Balancer::set_no_route_page(std::string html) {
  if (html.size() > kNoRoutePageBytes) {
    parts_->log.warn("the page for requests without a route has {} bytes, over {}: not taken",
                     html.size(), kNoRoutePageBytes);
    return;
  }
  parts_->no_route_page = html;
  const auto page = std::make_shared<const std::string>(std::move(html));
  parts_->proxy->post_to_all(
      [page](uint32_t, proxy::Worker& worker) { worker.set_no_route_page(page); });
}

proxy::RouteSink& Balancer::routes() {
  return *parts_->publisher;
}

std::optional<std::set<std::string>> Balancer::register_names(uint64_t& version) const {
  const uint64_t newest = parts_->publisher->table().version();
  if (std::exchange(version, newest) == newest) return std::nullopt;
  return parts_->publisher->register_names();
}

const std::string& Balancer::tag_prefix() const {
  return parts_->tag_prefix;
}

std::vector<Address> Balancer::addresses() const {
  std::vector<Address> all;
  for (const SocketAddress& at : parts_->proxy->addresses()) {
    Result<Address> address = parse_address(at.text());
    if (address) all.push_back(std::move(*address));
  }
  for (const auto& server : parts_->metrics_servers) all.push_back(server->local());
  all.push_back(admin_address());
  return all;
}

Address Balancer::admin_address() const {
  return parts_->admin_server->local();
}

void Balancer::say_addresses(Log& log) const {
  for (const SocketAddress& at : parts_->proxy->addresses()) log.info("traffic on {}", at.text());
  for (const auto& server : parts_->metrics_servers) {
    log.info("metrics on http://{}{}", to_string(server->local()),
             parts_->properties.get("metrics.prometheus.path"));
  }
  log.info("routes page on http://{}/", to_string(admin_address()));
}

}  // namespace sluice
