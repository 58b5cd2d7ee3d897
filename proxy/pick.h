// pick: which of a route's targets a request goes to. Pure but for the counters that it reads; any
// thread; no allocation. Time and randomness are arguments.
#pragma once

#include <cstdint>
#include <span>

#include "proxy/route.h"

namespace sluice::proxy {

struct PickInput {
  uint64_t random = 0;  // uniform over all values
  int64_t now_ms = 0;   // monotonic; an endpoint that is ejected until later is passed over
  std::span<const Endpoint* const> failed;  // tried for this request already: passed over
};

enum class PickOutcome : uint8_t {
  kPicked,
  kNoneHealthy,  // the route has no healthy target: 503
  kAllFailed,    // every healthy one has been tried or is ejected: the last error, or 503
};

struct Pick {
  PickOutcome outcome;
  const Target* target;  // null unless picked
};

/// The caller calls target->endpoint()->begin() in the same turn (proxy/endpoint.h).
[[nodiscard]] Pick pick(const Route& route, const PickInput& input);

/// Whether pick would pass this endpoint over.
[[nodiscard]] bool passed_over(const Endpoint& endpoint, const PickInput& input);

}  // namespace sluice::proxy
