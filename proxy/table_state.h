// A table as the process that takes over gets it (core/handover.h): every target with its place,
// its instance, its health, its tags and its options, as what one key says. It stands in for what
// the sources say, until they have said it themselves.
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

void write_table_state(const RouteTable& table, JsonWriter& json);
/// kInvalid: another version of the program wrote something that this one does not know.
Result<RouteEdit> read_table_state(const Json& state);

}  // namespace sluice::proxy
