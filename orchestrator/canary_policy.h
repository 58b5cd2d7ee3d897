// Canary policy: what the balancer has to measure of a service's canaries before they are promoted
// by themselves, and what ends their deployment, by two members of the service's `canary_meta`:
//
//   canary_meta {
//     sluice-max-error-rate = "1%"    # or "0.01": of their requests, answered with 5xx
//     sluice-min-requests   = "200"   # that they must have answered; 100 where it is not said
//   }
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "orchestrator/job.h"

namespace sluice::orchestrator {

/// Whoever carries it is measured apart.
inline constexpr std::string_view kMaxErrorRate = "sluice-max-error-rate";

enum class CanaryVerdict : uint8_t { kOpen, kGood, kBad };

struct CanaryPolicy {
  double max_error_rate = 0;
  uint64_t min_requests = 100;

  /// kBad also before there were enough, where the rest could not make it good any more.
  [[nodiscard]] CanaryVerdict judge(uint64_t answers, uint64_t errors) const;
};

/// nullopt: it asks for nothing. kInvalid names the member that is wrong.
Result<std::optional<CanaryPolicy>> parse_canary_policy(const StringMap& canary_meta);

/// Whether the canaries of the group are judged by what is measured of them.
bool is_measured(const TaskGroup& group);

}  // namespace sluice::orchestrator
