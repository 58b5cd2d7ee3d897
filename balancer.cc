#include "balancer.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <thread>
#include <utility>

#include "balancer_admin.h"
#include "core/disk.h"
#include "core/http_server.h"
#include "core/line_writer.h"
#include "core/random.h"
#include "core/scope.h"
#include "core/tls/trust.h"
#include "dynamic_listeners.h"
#include "lb_policies.h"
#include "proxy/access_log.h"
#include "proxy/cert_store.h"
#include "proxy/proxy.h"
#include "proxy/publish.h"

namespace sluice {

namespace {

constexpr int64_t kNoLimitMs = int64_t{365} * 24 * 3'600 * 1'000;
constexpr int64_t kMaxReactors = 1024;
constexpr size_t kNoRoutePageBytes = 32 * 1024;

Result<proxy::Strategy> parse_strategy(const std::string& text) {
  if (text == "rnd") return proxy::Strategy::kRandom;
  if (text == "rr") return proxy::Strategy::kRoundRobin;
  if (text == "leastconn") return proxy::Strategy::kLeastConnections;
  if (text == "hash") return proxy::Strategy::kHash;
  return fail(Code::kInvalid, "-proxy.strategy {}: want rnd, rr, leastconn or hash", text);
}

Result<proxy::Matcher> parse_matcher(const std::string& text) {
  if (text == "prefix") return proxy::Matcher::kPrefix;
  if (text == "iprefix") return proxy::Matcher::kIprefix;
  if (text == "glob") return proxy::Matcher::kGlob;
  if (text == "segment") return proxy::Matcher::kSegment;
  if (text == "regex") return proxy::Matcher::kRegex;
  return fail(Code::kInvalid, "-proxy.matcher {}: want prefix, iprefix, glob, segment or regex",
              text);
}

/// A listener that sets no rt or wt of its own has the global one.
Result<std::vector<proxy::ListenSpec>> parse_listeners(const Properties& properties) {
  Result<std::vector<proxy::ListenSpec>> specs =
      proxy::parse_listen_specs(properties.get("proxy.addr"));
  if (!specs) return pass(specs, "-proxy.addr");
  if (specs->empty()) return fail(Code::kInvalid, "-proxy.addr names no listener");
  for (proxy::ListenSpec& spec : *specs) {
    if (spec.read_timeout_ms == 0) {
      spec.read_timeout_ms = properties.get_duration_ms("proxy.readtimeout");
    }
    if (spec.write_timeout_ms == 0) {
      spec.write_timeout_ms = properties.get_duration_ms("proxy.writetimeout");
    }
  }
  return specs;
}

/// Whom upstreams' certificates must be signed by. Where a machine trusts nobody, only
/// tlsskipverify leads to an upstream, and the log says why.
Result<std::shared_ptr<const tls::ClientContext>> upstream_tls(const std::string& file) {
  PosixDisk disk;
  auto authorities = tls::system_authorities(disk, file);
  if (!authorities) return pass(authorities, "-proxy.upstream.ca");
  return tls::ClientContext::make(*std::move(authorities));
}

/// What no type says.
Result<void> check_choices(const Properties& properties) {
  const std::string access = properties.get("ui.access");
  if (access != "rw" && access != "ro") {
    return fail(Code::kInvalid, "-ui.access {}: want rw or ro", access);
  }
  const std::string target = properties.get("metrics.target");
  if (!target.empty() && target != "prometheus") {
    return fail(Code::kUnsupported,
                "-metrics.target {}: metrics are pulled from a proto=prometheus listener", target);
  }
  const int64_t status = properties.get_int("proxy.noroutestatus");
  if (status < 200 || status > 599) {
    return fail(Code::kInvalid, "-proxy.noroutestatus {}: want 200 to 599", status);
  }
  const int64_t threads = properties.get_int("proxy.threads");
  if (threads > kMaxReactors) {
    return fail(Code::kInvalid, "-proxy.threads {}: want 0 to {}", threads, kMaxReactors);
  }
  return {};
}

proxy::ProxyOptions proxy_options(const Properties& properties,
                                  std::vector<proxy::ListenSpec> listeners) {
  proxy::ProxyOptions options;
  options.listeners = std::move(listeners);
  options.reactors = static_cast<uint32_t>(properties.get_int("proxy.threads"));
  options.router.no_route_status = static_cast<uint16_t>(properties.get_int("proxy.noroutestatus"));
  proxy::Timeouts& timeouts = options.worker.timeouts;
  timeouts.connect_ms = properties.get_duration_ms("proxy.dialtimeout");
  timeouts.response_ms = properties.get_duration_ms("proxy.responseheadertimeout");
  timeouts.pooled_ms = properties.get_duration_ms("proxy.idleconntimeout");
  // fabio's word for no limit.
  for (int64_t* each : {&timeouts.connect_ms, &timeouts.response_ms, &timeouts.pooled_ms}) {
    if (*each == 0) *each = kNoLimitMs;
  }
  options.worker.pooled_an_endpoint =
      static_cast<uint32_t>(std::min<int64_t>(properties.get_int("proxy.maxconn"), UINT32_MAX));
  return options;
}

/// Bounds in milliseconds.
Result<std::vector<int64_t>> parse_buckets(const Properties& properties) {
  std::vector<int64_t> bounds;
  for (const std::string& text : properties.get_list("metrics.prometheus.buckets")) {
    double seconds = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, seconds);
    const bool good = error == std::errc() && at == end && seconds > 0 && seconds < 1e6;
    bounds.push_back(good ? static_cast<int64_t>(std::ceil(seconds * 1000)) : 0);
    if (!good || (bounds.size() > 1 && bounds[bounds.size() - 2] >= bounds.back())) {
      return fail(Code::kInvalid, "-metrics.prometheus.buckets: {} is no rising bound in seconds",
                  text);
    }
  }
  if (bounds.size() > proxy::ServiceCounts::kBuckets) {
    return fail(Code::kLimit, "-metrics.prometheus.buckets: more than {} bounds",
                proxy::ServiceCounts::kBuckets);
  }
  return bounds;
}

/// Takes those of one protocol out of the list.
std::vector<proxy::ListenSpec> take_out(std::vector<proxy::ListenSpec>& specs,
                                        proxy::ListenProtocol protocol) {
  std::vector<proxy::ListenSpec> out;
  std::erase_if(specs, [&](const proxy::ListenSpec& each) {
    if (each.protocol == protocol) out.push_back(each);
    return each.protocol == protocol;
  });
  return out;
}

}  // namespace

struct Balancer::Parts {
  UvLoop& loop;
  Log& log;
  const Properties properties;
  std::string tag_prefix;
  std::unique_ptr<proxy::AccessFormat> access_format;
  std::unique_ptr<LineWriter> access_writer;
  std::unique_ptr<proxy::CertStores> certificates;  // before the proxy, which uses its keyrings
  std::unique_ptr<LbPolicies> policies;             // before the proxy, too
  std::unique_ptr<proxy::Publisher> publisher;
  std::unique_ptr<proxy::Proxy> proxy;
  std::unique_ptr<BalancerAdmin> admin;
  std::unique_ptr<HttpServer> admin_server;
  std::vector<std::unique_ptr<DynamicListeners>> dynamic_listeners;
  std::vector<int64_t> time_bounds_ms;
  std::vector<std::unique_ptr<HttpServer>> metrics_servers;

  Parts(UvLoop& on, Log& to, const Properties& from) : loop(on), log(to), properties(from) {}
  ~Parts() {
    if (proxy) proxy->stop();
    // Its thread may still have a verdict for a reactor, so the reactors go after it.
    if (policies) policies->stop();
    proxy.reset();
  }

  Result<void> open_access_log();
  Result<void> open_certificates(Network& network, const std::vector<proxy::ListenSpec>& listeners,
                                 std::shared_ptr<const tls::ClientContext> client_tls);
  Result<void> serve_metrics(Network& network, const proxy::ListenSpec& spec);
  Task<void> answer_metrics(const HttpServerRequest& request, HttpResponseWriter& writer);
};

Result<void> Balancer::Parts::open_certificates(
    Network& network, const std::vector<proxy::ListenSpec>& listeners,
    std::shared_ptr<const tls::ClientContext> client_tls) {
  auto stores = proxy::parse_cert_stores(properties.get("proxy.cs"));
  if (!stores) return pass(stores, "-proxy.cs");
  certificates = std::make_unique<proxy::CertStores>(loop, network, std::move(client_tls), log);
  return certificates->open(std::move(*stores), listeners);
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

Task<void> Balancer::Parts::answer_metrics(const HttpServerRequest& request,
                                           HttpResponseWriter& writer) {
  if (request.path != properties.get("metrics.prometheus.path") ||
      (request.method != "GET" && request.method != "HEAD")) {
    (void)co_await writer.respond(404, "text/plain; charset=utf-8", "not found\n");
    co_return;
  }
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
  proxy::ProxyStats& stats = answer->stats;
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
                                                  const Properties& properties) {
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
  parts->publisher = std::make_unique<proxy::Publisher>(
      std::move(publishing),
      [&loop](Closure closure) { loop.post_from_any_thread(std::move(closure)); }, &log);
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
  Result<void> certificates = parts->open_certificates(network, *listeners, *client_tls);
  if (!certificates) return pass(certificates);
  proxy::ProxyOptions options = proxy_options(properties, std::move(*listeners));
  parts->policies->set_options(options);
  options.tls = parts->certificates->contexts();
  options.worker.upstream_tls = std::move(*client_tls);
  options.worker.log = &log;
  options.signers = std::max(1U, std::thread::hardware_concurrency() / 2);
  options.worker.time_bounds_ms = *std::move(bounds);
  options.router.log = &log;
  options.worker.access_format = parts->access_format.get();
  options.worker.access_writer = parts->access_writer.get();
  Result<std::unique_ptr<proxy::Proxy>> started =
      proxy::Proxy::start(std::move(options), *parts->publisher, SystemRandom().next());
  if (!started) return pass(started, "balancer (-proxy.addr)");
  parts->proxy = std::move(*started);
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
  return std::unique_ptr<Balancer>(new Balancer(std::move(parts)));
}

Task<void> Balancer::run() {
  Scope scope(parts_->loop);
  scope.spawn(parts_->admin_server->run());
  for (const auto& server : parts_->metrics_servers) scope.spawn(server->run());
  for (const auto& each : parts_->dynamic_listeners) scope.spawn(each->run());
  scope.spawn(parts_->policies->watch(parts_->loop, *parts_->proxy));
  scope.spawn(parts_->certificates->run([parts = parts_.get()](uint32_t listener, auto context) {
    parts->proxy->set_tls(listener, std::move(context));
  }));
  co_await scope.join();
}

void Balancer::fail_health() {
  parts_->admin->fail_health();
}

Task<void> Balancer::drain() {
  Parts& parts = *parts_;
  parts.admin->fail_health();
  for (const auto& each : parts.dynamic_listeners) each->stop();
  // Reactors may say it after this task was cancelled, so the event is shared with them.
  struct Drained {
    explicit Drained(Executor& executor) : event(executor) {}
    Event event;
  };
  auto drained = std::make_shared<Drained>(parts.loop);
  parts.proxy->drain([&loop = parts.loop, drained] {
    loop.post_from_any_thread([drained] { drained->event.set(); });
  });
  const int64_t limit_ms = parts.properties.get_duration_ms("proxy.shutdownwait");
  auto wait = [](std::shared_ptr<Drained> all) -> Task<Result<void>> {
    co_await all->event.wait();
    co_return Result<void>();
  };
  Result<void> done = co_await with_timeout(parts.loop, limit_ms, wait(drained));
  if (!done) parts.log.warn("not drained after {} ms: what is under way is cut", limit_ms);
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
  const auto page = std::make_shared<const std::string>(std::move(html));
  parts_->proxy->post_to_all(
      [page](uint32_t, proxy::Worker& worker) { worker.set_no_route_page(page); });
}

proxy::RouteSink& Balancer::routes() {
  return *parts_->publisher;
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
