// What all levels of a job say alike: where it may run (constraints, affinities, spreads), and how
// it is started again, placed again, updated and moved (orchestrator/job.h).
//
// Values without behaviour; whose they are, any thread. Durations are nanoseconds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/fields.h"

namespace sluice::orchestrator {

using StringMap = std::map<std::string, std::string>;
using StringList = std::vector<std::string>;

inline constexpr int64_t kSecondNs = 1'000'000'000;
inline constexpr int64_t kMinuteNs = 60 * kSecondNs;
inline constexpr int64_t kHourNs = 60 * kMinuteNs;

struct Constraint {
  static constexpr const char* kDiffName = "Constraint";
  std::string l_target;
  std::string r_target;
  std::string operand = "=";

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("LTarget", s.l_target);
    v("Operand", s.operand);
    v("RTarget", s.r_target);
  }
  bool operator==(const Constraint&) const = default;
};

struct Affinity {
  static constexpr const char* kDiffName = "Affinity";
  std::string l_target;
  std::string r_target;
  std::string operand = "=";
  int64_t weight = 50;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("LTarget", s.l_target);
    v("Operand", s.operand);
    v("RTarget", s.r_target);
    v("Weight", s.weight);
  }
  bool operator==(const Affinity&) const = default;
};

struct SpreadTarget {
  static constexpr const char* kDiffName = "SpreadTarget";
  std::string value;
  int64_t percent = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Percent", s.percent);
    v("Value", s.value);
  }
  bool operator==(const SpreadTarget&) const = default;
};

struct Spread {
  static constexpr const char* kDiffName = "Spread";
  std::string attribute;
  int64_t weight = 50;
  std::vector<SpreadTarget> targets;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Attribute", s.attribute);
    v("Weight", s.weight);
    v("SpreadTarget", s.targets);
  }
  bool operator==(const Spread&) const = default;
};

struct RestartPolicy {
  static constexpr const char* kDiffName = "RestartPolicy";
  int64_t attempts = kUnset;
  int64_t interval_ns = kUnset;
  int64_t delay_ns = kUnset;
  std::string mode;  // "fail" or "delay"
  bool render_templates = false;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Attempts", s.attempts);
    v("Delay", s.delay_ns);
    v("Interval", s.interval_ns);
    v("Mode", s.mode);
    v("RenderTemplates", s.render_templates);
  }
  bool operator==(const RestartPolicy&) const = default;
};

struct ReschedulePolicy {
  static constexpr const char* kDiffName = "ReschedulePolicy";
  int64_t attempts = kUnset;
  int64_t interval_ns = kUnset;
  int64_t delay_ns = kUnset;
  std::string delay_function;  // "constant", "exponential", "fibonacci"
  int64_t max_delay_ns = kUnset;
  std::optional<bool> unlimited;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Attempts", s.attempts);
    v("Delay", s.delay_ns);
    v("DelayFunction", s.delay_function);
    v("Interval", s.interval_ns);
    v("MaxDelay", s.max_delay_ns);
    v("Unlimited", s.unlimited);
  }
  bool operator==(const ReschedulePolicy&) const = default;
};

/// `update` of a job or a group; canonicalize() merges the job's into each group's.
struct UpdateStrategy {
  static constexpr const char* kDiffName = "Update";
  int64_t stagger_ns = kUnset;
  int64_t max_parallel = kUnset;
  std::string health_check;  // "checks", "task_states", "manual"
  int64_t min_healthy_time_ns = kUnset;
  int64_t healthy_deadline_ns = kUnset;
  int64_t progress_deadline_ns = kUnset;
  int64_t canary = kUnset;
  std::optional<bool> auto_revert;
  std::optional<bool> auto_promote;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("AutoPromote", s.auto_promote);
    v("AutoRevert", s.auto_revert);
    v("Canary", s.canary);
    v("HealthCheck", s.health_check);
    v("HealthyDeadline", s.healthy_deadline_ns);
    v("MaxParallel", s.max_parallel);
    v("MinHealthyTime", s.min_healthy_time_ns);
    v("ProgressDeadline", s.progress_deadline_ns);
    v("Stagger", s.stagger_ns);
  }
  bool operator==(const UpdateStrategy&) const = default;
};

struct MigrateStrategy {
  static constexpr const char* kDiffName = "MigrateStrategy";
  int64_t max_parallel = 1;
  std::string health_check = "checks";
  int64_t min_healthy_time_ns = 10 * kSecondNs;
  int64_t healthy_deadline_ns = 5 * kMinuteNs;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("HealthCheck", s.health_check);
    v("HealthyDeadline", s.healthy_deadline_ns);
    v("MaxParallel", s.max_parallel);
    v("MinHealthyTime", s.min_healthy_time_ns);
  }
  bool operator==(const MigrateStrategy&) const = default;
};

}  // namespace sluice::orchestrator
