// ReadApi: Consul's read API over the embedded catalog, so that what reads a Consul (its clients,
// consul-template, another balancer) reads this machine's services. Services come from jobs:
// whatever would change something is refused.
//
// Owner: the agent, which hands handle() to an HttpServer. Thread: the control loop. A blocking
// query holds its connection for `wait` and at most a sixteenth longer, and ends when its client
// closes; how many there are is bounded by the server's connections.
#pragma once

#include <string>

#include "core/env.h"
#include "core/http_server.h"
#include "drivers/embedded/agent_health.h"
#include "drivers/embedded/read_calls.h"
#include "drivers/embedded/table.h"

namespace sluice::drivers {

class ReadApi {
 public:
  /// `table` outlives it.
  ReadApi(Env env, const CatalogTable& table, ReadNode node)
      : env_(env), table_(table), node_(std::move(node)) {}

  Task<void> handle(const HttpServerRequest& request, HttpResponseWriter& writer);

 private:
  Task<void> answer_health(const AgentHealth& health, const HttpServerRequest& request,
                           HttpResponseWriter& writer);
  Task<void> answer(const ReadCall& call, const ReadQuery& query, const std::string& name,
                    HttpResponseWriter& writer);

  Env env_;
  const CatalogTable& table_;
  const ReadNode node_;
};

}  // namespace sluice::drivers
