// pick: which of a route's targets a request goes to. Pure but for the counters that it reads; any
// thread; no allocation. Time and randomness are arguments.
//
// Passed over are endpoints that were tried for this request already, those at their limit, those
// that are ejected (but never more than half of a route's: then the rest of them counts as well),
// and, as a matter of chance, those that have just come back and start slowly.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "proxy/route.h"

namespace sluice::proxy {

struct PickInput {
  uint64_t random = 0;  // uniform over all values
  int64_t now_ms = 0;   // monotonic; an endpoint that is ejected until later is passed over
  std::span<const Endpoint* const> failed;  // tried for this request already: passed over
  std::optional<uint64_t> hash;             // of what a route's consistent hash is taken of
  std::optional<uint64_t> sticky;           // the id that the request's sticky cookie holds
};

enum class PickOutcome : uint8_t {
  kPicked,
  kNoneHealthy,  // the route has no healthy target: 503
  kAllFailed,    // every healthy one has been tried: the last error
  kBusy,         // one is healthy, and at its limit
};

struct Pick {
  PickOutcome outcome;
  const Target* target;  // null unless picked
  size_t index = 0;      // of the target in the route
};

/// The caller calls target->endpoint()->begin() in the same turn (proxy/endpoint.h).
[[nodiscard]] Pick pick(const Route& route, const PickInput& input);

}  // namespace sluice::proxy
