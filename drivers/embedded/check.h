// One health check, asked once: HTTP or TCP, as Consul's agent asks them.
//
// Owner: the catalog's check loop. Thread: the control loop. Bounded by the check's own timeout and
// by kOutputBytes of what is kept of an answer.
#pragma once

#include <string>

#include "core/env.h"
#include "core/task.h"
#include "orchestrator/catalog.h"

namespace sluice::drivers {

struct CheckResult {
  orchestrator::CheckStatus status = orchestrator::CheckStatus::kCritical;
  std::string output;
};

inline constexpr size_t kOutputBytes = 4 * 1024;

/// HTTP: 2xx passes, 429 warns, all else is critical. TCP: a connection passes.
Task<CheckResult> ask(Env& env, const orchestrator::ServiceCheck& check);

/// What one more result makes of a check: a status changes only after as many results in a row as
/// success_before_passing and failures_before_critical say (both at least 1). Pure.
class CheckHistory {
 public:
  explicit CheckHistory(const orchestrator::ServiceCheck& check);
  orchestrator::CheckStatus status() const { return status_; }
  /// True if the status changed.
  bool add(orchestrator::CheckStatus result);

 private:
  int64_t successes_needed_;
  int64_t failures_needed_;
  int64_t successes_ = 0;
  int64_t failures_ = 0;
  orchestrator::CheckStatus status_ = orchestrator::CheckStatus::kCritical;
};

}  // namespace sluice::drivers
