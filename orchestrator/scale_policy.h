// Scale policy: how many instances of a group its load asks for, by the `policy` of its `scaling`
// block, which is free of form because whoever scales reads it. What names the source "sluice" is
// ours; checks of other sources are for an autoscaler of their own, and not looked at.
//
//   policy {
//     cooldown            = "5m"    # a lower load must have lasted that long
//     evaluation_interval = "10s"
//     check "busy" {
//       source = "sluice"
//       query  = "requests"         # under way; or "request_rate", a second
//       strategy "target-value" {
//         target = 20               # for each instance
//       }
//     }
//   }
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/result.h"

namespace sluice::orchestrator {

/// What was measured of a group's services since the last look.
struct MeasuredLoad {
  double requests = 0;      // under way, on average
  double request_rate = 0;  // answered a second
  bool any = false;         // there was at least one
};

struct ScaleCheck {
  enum class Query : uint8_t { kRequests, kRequestRate };
  std::string name;
  Query query = Query::kRequests;
  double target = 0;  // for each instance
};

struct ScalePolicy {
  std::vector<ScaleCheck> checks;
  int64_t cooldown_ms = 5 * 60'000;
  int64_t interval_ms = 10'000;

  /// The most that a check asks for; at least one where there was any load.
  [[nodiscard]] int64_t wanted(const MeasuredLoad& load) const;
};

/// nullopt: nothing in it is ours. kInvalid names what is wrong with what is.
Result<std::optional<ScalePolicy>> parse_scale_policy(const Json& policy);

/// What was wanted of late: more is given at once, less only once it would have done for the whole
/// of the cooldown.
class ScaleWindow {
 public:
  /// The count from now on. `now_ms` is monotonic.
  int64_t next(int64_t now_ms, int64_t wanted, int64_t count, int64_t cooldown_ms);

 private:
  struct Look {
    int64_t at_ms = 0;
    int64_t wanted = 0;
  };
  std::deque<Look> looks_;
};

}  // namespace sluice::orchestrator
