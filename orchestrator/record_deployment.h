// Deployment: the way from one version of a job to the next, group by group
// (orchestrator/records.h).
//
// Owner: the control loop's State. In a snapshot it is shared and never changes; any thread may
// read it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "orchestrator/fields.h"
#include "orchestrator/job_policies.h"

namespace sluice::orchestrator {

enum class DeploymentStatus : uint8_t { kRunning, kPaused, kFailed, kSuccessful, kCancelled };
template <>
struct EnumNames<DeploymentStatus> {
  static constexpr std::string_view kNames[] = {"running", "paused", "failed", "successful",
                                                "cancelled"};
};

struct DeploymentGroup {
  bool auto_revert = false;
  bool auto_promote = false;
  int64_t progress_deadline_ns = 0;
  TimeStamp require_progress_by;
  bool promoted = false;
  StringList placed_canaries;
  int64_t desired_canaries = 0;
  int64_t desired_total = 0;
  int64_t placed_allocs = 0;
  int64_t healthy_allocs = 0;
  int64_t unhealthy_allocs = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("AutoPromote", s.auto_promote);
    v("AutoRevert", s.auto_revert);
    v("DesiredCanaries", s.desired_canaries);
    v("DesiredTotal", s.desired_total);
    v("HealthyAllocs", s.healthy_allocs);
    v("PlacedAllocs", s.placed_allocs);
    v("PlacedCanaries", s.placed_canaries);
    v("ProgressDeadline", s.progress_deadline_ns);
    v("Promoted", s.promoted);
    v("RequireProgressBy", s.require_progress_by);
    v("UnhealthyAllocs", s.unhealthy_allocs);
  }
  bool operator==(const DeploymentGroup&) const = default;
};

struct Deployment {
  std::string id;
  std::string namespace_ = "default";
  std::string job_id;
  int64_t job_version = 0;
  uint64_t job_modify_index = 0;
  uint64_t job_spec_modify_index = 0;
  uint64_t job_create_index = 0;
  std::map<std::string, DeploymentGroup> groups;
  DeploymentStatus status = DeploymentStatus::kRunning;
  std::string status_description;
  int64_t eval_priority = 50;
  uint64_t create_index = 0;
  uint64_t modify_index = 0;
  int64_t create_time_ns = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("ID", s.id);
    v("Namespace", s.namespace_);
    v("JobID", s.job_id);
    v("JobVersion", s.job_version);
    v("JobModifyIndex", s.job_modify_index);
    v("JobSpecModifyIndex", s.job_spec_modify_index);
    v("JobCreateIndex", s.job_create_index);
    v("TaskGroups", s.groups);
    v("Status", s.status);
    v("StatusDescription", s.status_description);
    v("EvalPriority", s.eval_priority);
    v("CreateIndex", s.create_index);
    v("ModifyIndex", s.modify_index);
    v("CreateTime", s.create_time_ns);
  }
  bool active() const {
    return status == DeploymentStatus::kRunning || status == DeploymentStatus::kPaused;
  }
  bool needs_promotion() const {
    for (const auto& [name, group] : groups) {
      if (group.desired_canaries > 0 && !group.promoted) return true;
    }
    return false;
  }
};
using DeploymentPtr = std::shared_ptr<const Deployment>;

}  // namespace sluice::orchestrator
