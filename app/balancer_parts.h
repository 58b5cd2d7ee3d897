// Balancer::Parts: what a balancer is made of, in the order in which it is made; taken down in the
// reverse. For balancer.cc, which makes it, and balancer_life.cc, which runs and ends it.
//
// Owner: Balancer. Thread: the control loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/balancer.h"
#include "app/balancer_admin.h"
#include "app/dynamic_listeners.h"
#include "app/lb_policies.h"
#include "core/dns.h"
#include "core/http_server.h"
#include "core/line_writer.h"
#include "core/scope.h"
#include "proxy/access_log.h"
#include "proxy/cert_store.h"
#include "proxy/proxy.h"
#include "proxy/publish.h"
#include "proxy/upstream_names.h"

namespace sluice {

struct Balancer::Parts {
  UvLoop& loop;
  Log& log;
  Properties properties;
  std::string tag_prefix;
  std::unique_ptr<proxy::AccessFormat> access_format;
  std::unique_ptr<LineWriter> access_writer;
  std::unique_ptr<proxy::CertStores> certificates;  // before the proxy, which uses its keyrings
  std::unique_ptr<LbPolicies> policies;             // before the proxy, too
  std::unique_ptr<DnsLookup> dns;
  std::unique_ptr<proxy::UpstreamNames> names;  // before the publisher, which asks them
  std::unique_ptr<proxy::Publisher> publisher;
  std::unique_ptr<proxy::Proxy> proxy;
  std::unique_ptr<BalancerAdmin> admin;
  std::unique_ptr<HttpServer> admin_server;
  std::vector<std::unique_ptr<DynamicListeners>> dynamic_listeners;
  std::vector<int64_t> time_bounds_ms;
  std::vector<std::unique_ptr<HttpServer>> metrics_servers;
  Event handed_over;
  bool inherited_routes = false;
  proxy::RouteEdit inherited;  // what they are
  std::string no_route_page;
  /// Shared with what reactors have sent and the loop has not taken yet.
  using OnWake = std::function<void(const std::string& service)>;
  std::shared_ptr<OnWake> on_wake = std::make_shared<OnWake>();

  Parts(UvLoop& on, Log& to, const Properties& from)
      : loop(on), log(to), properties(from), handed_over(on) {}
  ~Parts() {
    if (proxy) proxy->stop();
    // Its thread may still have a verdict for a reactor, so the reactors go after it.
    if (policies) policies->stop();
    proxy.reset();
  }

  Result<void> open_access_log();
  Result<void> open_certificates(Network& network, const std::vector<proxy::ListenSpec>& listeners,
                                 std::shared_ptr<const tls::ClientContext> client_tls,
                                 const Json& state);
  Result<void> open_names();
  Result<void> inherit_routes(const Json& state);
  Result<void> serve_metrics(Network& network, const proxy::ListenSpec& spec);
  Task<proxy::ProxyStats> read_stats();
  Task<void> answer_metrics(const HttpServerRequest& request, HttpResponseWriter& writer);
};

}  // namespace sluice
