// One health check, asked once: HTTP, TCP or gRPC, as Consul's agent asks them.
//
// Owner: the catalog's check loop. Thread: the control loop. Bounded by the check's own timeout and
// by kOutputBytes of what is kept of an answer.
#pragma once

#include <memory>
#include <string>

#include "core/env.h"
#include "core/task.h"
#include "core/tls/context.h"
#include "orchestrator/catalog.h"

namespace sluice::drivers {

struct CheckResult {
  orchestrator::CheckStatus status = orchestrator::CheckStatus::kCritical;
  std::string output;
};

inline constexpr size_t kOutputBytes = 4 * 1024;

/// HTTP: 2xx passes, 429 warns, all else is critical. TCP: a connection passes. `tls`: who is
/// trusted, for https.
Task<CheckResult> ask(Env& env, std::shared_ptr<const tls::ClientContext> tls,
                      const orchestrator::ServiceCheck& check);

/// What one more result makes of a check: a status changes only after as many results in a row as
/// success_before_passing, failures_before_warning and failures_before_critical say. Pure.
class CheckHistory {
 public:
  explicit CheckHistory(const orchestrator::ServiceCheck& check);
  CheckHistory(const orchestrator::ServiceCheck& check, orchestrator::CheckStatus begin)
      : CheckHistory(check) {
    status_ = begin;
  }
  orchestrator::CheckStatus status() const { return status_; }
  /// True if the status changed.
  bool add(orchestrator::CheckStatus result);

 private:
  int64_t successes_needed_;
  int64_t failures_needed_;
  int64_t failures_to_warn_;  // no more than failures_needed_
  int64_t successes_ = 0;
  int64_t failures_ = 0;
  orchestrator::CheckStatus status_ = orchestrator::CheckStatus::kCritical;
};

}  // namespace sluice::drivers
