// Balancer: the data plane with its publisher, logs and admin page, made from fabio's properties.
// `sluice agent` has one beside the orchestrator; `sluice lb` has one alone (lb.cc).
//
// Owner: Agent, or the balancer-alone command. Thread: the control loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/lb_config.h"
#include "core/handover.h"
#include "core/json.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/network.h"
#include "core/result.h"
#include "core/task.h"
#include "proxy/metrics.h"
#include "proxy/route_edit.h"
#include "proxy/worker.h"

namespace sluice {

class ManualOverrides;

class Balancer {
 public:
  /// What a predecessor left (core/handover.h).
  struct Inheritance {
    std::shared_ptr<HandedSockets> sockets;  // null: there was none
    Json state;                              // that write_state() wrote
  };

  /// Binds every listener and starts the reactors; connections wait until accept(). Fails with the
  /// address that is in use. The properties are checked ones.
  static Result<std::unique_ptr<Balancer>> start(UvLoop& loop, Network& network, Log& log,
                                                 const Properties& properties,
                                                 Inheritance from = {});
  ~Balancer();

  /// Once the routes are there: from now on connections are served.
  void accept();
  /// Every listener that ends TLS has a certificate.
  Task<void> wait_certificates();
  /// The sources have said all their routes: what came from a predecessor counts no more.
  void routes_known();
  /// What came from a predecessor, for a source that follows it itself and says it under its key.
  proxy::RouteEdit take_inherited();
  /// The routes as they are now stand as if they had come from a predecessor: for when the sources
  /// start anew in this process.
  void inherit_own_routes();

  /// Serves the admin page and watches the certificate stores, until cancelled.
  Task<void> run();
  /// /health answers 503 from now on; everything else goes on.
  void fail_health();
  /// Listeners close once they took what waits on them, idle connections too; ready when nothing is
  /// under way any more, or after proxy.shutdownwait.
  Task<void> drain();

  /// For a successor: the reactors' sockets, and what it needs to know.
  OfferedSockets listening() const;
  void write_state(JsonWriter& json) const;
  /// A successor serves: the admin page and the listeners are its alone. Ready when nothing is
  /// under way any more, or after proxy.upgradewait; idle clients may send one request more.
  Task<void> hand_over();

  /// The properties that may change while it runs, and the certificates' files again.
  void reload(const Properties& properties);

  proxy::RouteSink& routes();
  const std::string& tag_prefix() const;
  /// What `register=` says among the routes, if that has changed since `version`, which it sets.
  std::optional<std::set<std::string>> register_names(uint64_t& version) const;
  /// Called on the control loop when a service that sleeps is asked for, again and again until it
  /// has an instance; empty: nobody is told.
  void set_on_wake(std::function<void(const std::string& service)> on_wake);
  /// What the reactors have counted. Outlives no balancer.
  Task<proxy::ProxyStats> stats();
  /// Exchanges and tunnels under way at the endpoints of these routes.
  [[nodiscard]] int64_t in_flight(const std::vector<proxy::RouteSpec>& routes) const;
  /// What /api/manual reads and writes; nullptr: there is none. Outlives the balancer.
  void set_overrides(ManualOverrides* overrides);
  /// The body for requests without a route; "": our own.
  void set_no_route_page(std::string html);

  /// Traffic listeners and the admin page.
  std::vector<Address> addresses() const;
  Address admin_address() const;
  void say_addresses(Log& log) const;

 private:
  struct Parts;
  Task<void> finish(proxy::IdleClients idle, int64_t limit_ms);
  explicit Balancer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice
