// Registry: where the balancer alone gets its routes from (-registry.backend).
//
// Owner: the balancer-alone command (lb.cc), beside its Balancer, which outlives it. Thread: the
// control loop.
#pragma once

#include <memory>
#include <string>

#include "app/balancer.h"
#include "app/balancer_admin.h"
#include "app/lb_config.h"
#include "core/env.h"
#include "core/log.h"
#include "core/result.h"
#include "core/task.h"

namespace sluice {

class Registry {
 public:
  virtual ~Registry() = default;
  /// Follows the routes until cancelled.
  virtual Task<void> run() = 0;
  /// The properties that may change while it runs, and its files, read again. What cannot be read
  /// leaves the routes as they are.
  virtual void reload(const Properties& properties) = 0;
  /// Others are not to send us anything more.
  virtual Task<void> deregister();
};

/// Fails where a property asks for what cannot be, or a file that is not there.
Result<std::unique_ptr<Registry>> make_registry(Env env, Log& log, Balancer& balancer,
                                                const Properties& properties);

}  // namespace sluice
