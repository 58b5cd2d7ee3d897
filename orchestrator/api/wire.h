// Rules of the wire that need no state: who may call, how long a query waits, what an error is in
// HTTP.
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/http_server.h"
#include "core/json.h"
#include "core/result.h"

namespace sluice::orchestrator::api {

inline constexpr int64_t kDefaultWaitMs = 300'000;  // also the longest

/// Why a request with these headers may not be served, or "".
std::string refuse_origin(const HttpServerRequest& request, const std::vector<std::string>& hosts);

/// "2000ms", "5m": at most kDefaultWaitMs, which an empty text means too. nullopt: no duration.
std::optional<int64_t> parse_wait_ms(std::string_view text);

/// A duration in a body, in nanoseconds: a whole number of them, or Go's text ("24h"), as the
/// client library sends it by its version. 0 where the member is missing, null or "".
Result<int64_t> read_duration(const Json& body, std::string_view name);

/// An object of texts in a body; empty where the member is missing or null.
Result<std::map<std::string, std::string>> read_texts(const Json& body, std::string_view name);

/// kInvalid where a member is there, not null, and of another kind: taken for absent it would turn
/// what was asked into something else.
using MemberKind = std::pair<std::string_view, Json::Kind>;
Result<void> check_kinds(const Json& body, std::span<const MemberKind> members);

/// The HTTP status of an error of the server component.
int status_of(Code code);

}  // namespace sluice::orchestrator::api
