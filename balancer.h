// Balancer: the data plane with its publisher, logs and admin page, made from fabio's properties.
// `sluice agent` has one beside the orchestrator; `sluice lb` has one alone (lb.cc).
//
// Owner: Agent, or the balancer-alone command. Thread: the control loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/log.h"
#include "core/loop.h"
#include "core/network.h"
#include "core/result.h"
#include "core/task.h"
#include "lb_config.h"
#include "proxy/route_edit.h"

namespace sluice {

class ManualOverrides;

class Balancer {
 public:
  /// Binds every listener and starts the reactors. Fails with the address that is in use. The
  /// properties are checked ones.
  static Result<std::unique_ptr<Balancer>> start(UvLoop& loop, Network& network, Log& log,
                                                 const Properties& properties);
  ~Balancer();

  /// Serves the admin page and watches the certificate stores, until cancelled.
  Task<void> run();
  /// /health answers 503 from now on; everything else goes on.
  void fail_health();
  /// Listeners close once they took what waits on them, idle connections too; ready when nothing is
  /// under way any more, or after proxy.shutdownwait.
  Task<void> drain();

  proxy::RouteSink& routes();
  const std::string& tag_prefix() const;
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
  explicit Balancer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice
