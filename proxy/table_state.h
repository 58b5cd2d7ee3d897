// A table as the process that takes over gets it (core/handover.h): every target with its place,
// its instance, its health, its tags and its options, as what one key says. It stands in for what
// the sources say, until they have said it themselves. With it goes what is known of the health of
// the endpoints.
//
// Pure; the thread that may read the table.
#pragma once

#include <string>

#include "core/json.h"
#include "core/result.h"
#include "proxy/route_edit.h"
#include "proxy/route_table.h"

namespace sluice::proxy {

/// The key of what came from the predecessor.
inline constexpr std::string_view kInheritedKey = "inherited";

/// What is known of the health of endpoints, of each of which it is worth telling. Times are of the
/// machine's monotonic clock, which both processes have.
void write_endpoint_state(const EndpointRegistry& endpoints, JsonWriter& json);
/// Of those that are there; of the others nobody asks any more.
Result<void> read_endpoint_state(const Json& state, const EndpointRegistry& endpoints);

void write_table_state(const RouteTable& table, JsonWriter& json);
/// The same without the way through JSON.
RouteEdit table_edit(const RouteTable& table);
/// kInvalid: another version of the program wrote something that this one does not know.
Result<RouteEdit> read_table_state(const Json& state);

}  // namespace sluice::proxy
