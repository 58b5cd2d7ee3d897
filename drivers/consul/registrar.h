// ConsulRegistrar: makes the local agent hold exactly what is wanted, of all ids with our prefixes.
//
// Level-triggered: at the start, on each change, when Consul is back, and every resync_ms it
// compares what the agent holds with what is wanted and says the difference. Ids without one of the
// prefixes, and maintenance, are never touched. Owner: the catalog. Thread: the executor's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/env.h"
#include "core/log.h"
#include "core/scope.h"
#include "drivers/consul/api.h"
#include "orchestrator/catalog.h"

namespace sluice::drivers {

struct ConsulRegistrarOptions {
  int64_t resync_ms = 30'000;
  int64_t retry_min_ms = 250;
  int64_t retry_max_ms = 30'000;
};

class ConsulRegistrar {
 public:
  using WasPassing = std::function<bool(const orchestrator::ServiceRegistration&)>;

  /// `was_passing`: whether all checks of a registration were passing when last heard of.
  ConsulRegistrar(Env& env, Log& log, ConsulApi& api, ConsulRegistrarOptions options,
                  WasPassing was_passing);

  /// Ids that left the wanted ones of this prefix.
  std::vector<std::string> set(const std::string& prefix,
                               std::vector<orchestrator::ServiceRegistration> desired);
  bool owns(std::string_view service_id) const;
  /// Consul is back: look now.
  void look() { changed_.set(); }

  Task<void> run();

 private:
  Task<Result<void>> sync();

  Env& env_;
  Log& log_;
  ConsulApi& api_;
  ConsulRegistrarOptions options_;
  WasPassing was_passing_;
  std::vector<std::string> prefixes_;
  std::map<std::string, orchestrator::ServiceRegistration> desired_;
  std::map<std::string, bool> registered_;  // ids that the agent was told of by this process
  Event changed_;
  std::string said_;
};

}  // namespace sluice::drivers
