// CatalogDoors: where the embedded catalog is read as people read Consul, over HTTP and DNS.
//
// Owner: the agent. Thread: the control loop. Made in two steps, since a port in use must be known
// before anything is started, and what is served only after: open(), then serve().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/agent_config.h"
#include "core/env.h"
#include "core/http_server.h"
#include "core/log.h"
#include "core/scope.h"
#include "drivers/embedded/dns_server.h"
#include "drivers/embedded/read_api.h"
#include "drivers/embedded/table.h"
#include "orchestrator/node/node_agent.h"
#include "orchestrator/server.h"

namespace sluice {

/// This machine as the catalog's readers see it.
drivers::ReadNode read_node(const AgentConfig& config, const orchestrator::Server& server,
                            const orchestrator::NodeAgent* node);

class CatalogDoors {
 public:
  /// Binds; none with Consul as the catalog. An address that was not configured and is taken, by a
  /// Consul most likely, is said in the log and done without; a configured one is the agent's end.
  static Result<void> open(Env env, Log& log, const AgentConfig& config,
                           std::unique_ptr<CatalogDoors>& doors);

  /// `table` and `scope` outlive what is spawned in it.
  void serve(const drivers::CatalogTable& table, drivers::ReadNode node, Scope& scope);
  const std::vector<Address>& addresses() const { return addresses_; }

 private:
  explicit CatalogDoors(Env env, Log& log) : env_(env), log_(log) {}
  static Task<void> answer_http(drivers::ReadApi& api, const HttpServerRequest& request,
                                HttpResponseWriter& writer);
  Result<void> open_http(const std::optional<std::string>& configured);
  Result<void> open_dns(const std::optional<std::string>& configured);
  Result<void> miss(bool configured, std::string_view what, std::string_view name,
                    const Error& why);

  Env env_;
  Log& log_;
  std::vector<Address> addresses_;
  std::unique_ptr<Listener> http_listener_;  // until serve()
  std::unique_ptr<drivers::ReadApi> api_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<Datagrams> dns_datagrams_;  // these two until serve()
  std::unique_ptr<Listener> dns_listener_;
  std::unique_ptr<drivers::DnsServer> dns_;
};

}  // namespace sluice
