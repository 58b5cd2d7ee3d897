// Trace: how one request was routed, for a request that carries a `Trace: id` header, in fabio's
// lines on the operator's log:
//
//   [TRACE] abc Tracing mysite.com:9999/
//   [TRACE] abc Matching hosts: [mysite.com:9999]
//   [TRACE] abc Match mysite.com:9999/
//   [TRACE] abc Routing to service httpbackend on http://172.16.66.102:23578/
//
// Thread: the reactor's. It walks the routes again, so that the lookup itself knows nothing of
// traces; it allocates and logs, which a traced request may.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/log.h"
#include "proxy/route_table.h"

namespace sluice::proxy {

inline constexpr size_t kTraceIdBytes = 15;
/// `No match` lines of one request; a host may have thousands of routes.
inline constexpr size_t kTraceNoMatchLines = 64;

struct TracedRequest {
  std::string_view id;    // the header's value; what is beyond kTraceIdBytes is not shown
  std::string_view host;  // as the client sent it
  std::string_view path;  // as it is matched
};

/// `chosen` is the route taken, with the target picked of it (null: none healthy); both null: no
/// match. A route before it that matched and was passed over (a redirect to itself) shows as a
/// match too.
void trace_lookup(Log& log, const RouteTable& table, const HostName& host,
                  const TracedRequest& request, const Route* chosen, const Target* target);

/// `No route for <host><url>`, at WARN: fabio's line for each request without a route.
void log_no_route(Log& log, std::string_view host, std::string_view target);

}  // namespace sluice::proxy
