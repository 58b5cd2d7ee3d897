// Balancer: the data plane with its publisher, logs and admin page, made from fabio's properties.
// `sluice agent` has one beside the orchestrator; `sluice lb` has one alone.
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

class Balancer {
 public:
  /// Binds every listener and starts the reactors. Fails with the address that is in use.
  static Result<std::unique_ptr<Balancer>> start(UvLoop& loop, Network& network, Log& log,
                                                 const Properties& properties);
  ~Balancer();

  /// Serves the admin page until cancelled.
  Task<void> run();
  /// Listeners close; ready when no exchange is under way, or after the shutdown wait.
  Task<void> drain();

  proxy::RouteSink& routes();
  const std::string& tag_prefix() const;
  /// Traffic listeners and the admin page.
  std::vector<Address> addresses() const;
  void say_addresses(Log& log) const;

 private:
  struct Parts;
  explicit Balancer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice
