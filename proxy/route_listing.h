// What the routes API shows: the table as fabio's JSON. Pure; the thread that may read the table
// (the control loop with the publisher's newest one).
#pragma once

#include <string>

#include "proxy/route_table.h"
#include "proxy/upstream_names.h"

namespace sluice::proxy {

/// `/api/routes`: one object a target, hosts in the order of their keys, the most specific first;
/// weights are the shares that traffic gets, 0 for a target that is not healthy. A host name has an
/// object for each of its addresses, and says why it has none; `names` may be null. `indent` 0:
/// compact.
std::string routes_json(const RouteTable& table, const UpstreamNames* names, int indent);
/// `/api/routes?raw`: the table as route commands, one a destination.
std::string routes_text(const RouteTable& table);
/// `/api/rejected`: what was left out, with the reason.
std::string rejected_json(const std::vector<RejectedRoute>& rejected, int indent);

}  // namespace sluice::proxy
