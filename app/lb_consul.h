// The Consul registry of the balancer alone: routes from the catalog's tags, overrides and the
// no-route page from the KV, and the balancer itself as a service.
//
// Owner and thread: as Registry.
#pragma once

#include "app/lb_registry.h"

namespace sluice {

Result<std::unique_ptr<Registry>> make_consul_registry(Env env, Log& log, Balancer& balancer,
                                                       const Properties& properties);

}  // namespace sluice
