// What is kept beside a job's record because only few ask for it: its scaling events, and the text
// that each version was submitted as (orchestrator/records.h).
//
// Owner: the control loop's State. In a snapshot it is shared and never changes; any thread may
// read it. Both go with the job or the version that they are of.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "orchestrator/fields.h"

namespace sluice::orchestrator {

/// What somebody, a person or an autoscaler, did or said about a group's count.
struct ScalingEvent {
  int64_t count = kUnset;  // unset: only said
  int64_t previous_count = 0;
  bool error = false;
  std::string message;
  Json meta;
  std::optional<std::string> eval_id;
  int64_t time_ns = 0;
  uint64_t create_index = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("Count", s.count);
    v("CreateIndex", s.create_index);
    v("Error", s.error);
    v("EvalID", s.eval_id);
    v("Message", s.message);
    v("Meta", s.meta);
    v("PreviousCount", s.previous_count);
    v("Time", s.time_ns);
  }
  bool operator==(const ScalingEvent&) const = default;
};
inline constexpr size_t kMaxScalingEvents = 20;  // of a group; the oldest go first

struct JobScaling {
  std::string job_id;
  std::string namespace_ = "default";
  std::map<std::string, std::vector<ScalingEvent>> groups;  // newest first

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("JobID", s.job_id);
    v("Namespace", s.namespace_);
    v("Groups", s.groups);
  }
};

/// The text that a version of a job came from, as whoever submitted it said.
struct JobSubmission {
  std::string job_id;
  std::string namespace_ = "default";
  int64_t version = 0;
  std::string format;  // "hcl2", "json"
  std::string source;
  std::map<std::string, std::string> variable_flags;
  std::string variables;
  uint64_t job_index = 0;  // job_modify_index of the version

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("JobID", s.job_id);
    v("Namespace", s.namespace_);
    v("Version", s.version);
    v("Format", s.format);
    v("Source", s.source);
    v("VariableFlags", s.variable_flags);
    v("Variables", s.variables);
    v("JobIndex", s.job_index);
  }
  [[nodiscard]] size_t bytes() const {
    size_t sum = source.size() + variables.size();
    for (const auto& [name, value] : variable_flags) sum += name.size() + value.size();
    return sum;
  }
};

}  // namespace sluice::orchestrator
