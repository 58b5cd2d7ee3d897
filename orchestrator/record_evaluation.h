// Evaluation: that a job is to be looked at again, and what came of it (orchestrator/records.h).
// Also AllocMetric, why a placement went where it went, which the allocation keeps too.
//
// Owner: the control loop's State. In a snapshot it is shared and never changes; any thread may
// read it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/fields.h"

namespace sluice::orchestrator {

/// One node's score in a placement, by scorer ("binpack", "job-anti-affinity", ...).
struct NodeScore {
  std::string node_id;
  std::map<std::string, double> scores;
  double norm_score = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("NodeID", s.node_id);
    v("NormScore", s.norm_score);
    v("Scores", s.scores);
  }
  bool operator==(const NodeScore&) const = default;
};

using CountMap = std::map<std::string, int64_t>;

/// Why a placement went where it went, or nowhere.
struct AllocMetric {
  int64_t nodes_evaluated = 0;
  int64_t nodes_filtered = 0;  // not feasible
  int64_t nodes_in_pool = 0;
  CountMap nodes_available;  // by datacenter
  CountMap class_filtered;
  CountMap constraint_filtered;
  int64_t nodes_exhausted = 0;  // feasible and full
  CountMap class_exhausted;
  CountMap dimension_exhausted;
  std::vector<NodeScore> score_meta_data;
  int64_t allocation_time_ns = 0;
  int64_t coalesced_failures = 0;  // further instances of the group that failed alike

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("AllocationTime", s.allocation_time_ns);
    v("ClassExhausted", s.class_exhausted);
    v("ClassFiltered", s.class_filtered);
    v("CoalescedFailures", s.coalesced_failures);
    v("ConstraintFiltered", s.constraint_filtered);
    v("DimensionExhausted", s.dimension_exhausted);
    v("NodesAvailable", s.nodes_available);
    v("NodesEvaluated", s.nodes_evaluated);
    v("NodesExhausted", s.nodes_exhausted);
    v("NodesFiltered", s.nodes_filtered);
    v("NodesInPool", s.nodes_in_pool);
    v("ScoreMetaData", s.score_meta_data);
  }
  bool operator==(const AllocMetric&) const = default;
};

enum class EvalStatus : uint8_t { kBlocked, kPending, kComplete, kFailed, kCancelled };
template <>
struct EnumNames<EvalStatus> {
  static constexpr std::string_view kNames[] = {"blocked", "pending", "complete", "failed",
                                                "canceled"};
};

inline constexpr std::string_view kTriggerJobRegister = "job-register";
inline constexpr std::string_view kTriggerJobDeregister = "job-deregister";
inline constexpr std::string_view kTriggerPeriodic = "periodic-job";
inline constexpr std::string_view kTriggerNodeDrain = "node-drain";
inline constexpr std::string_view kTriggerNodeUpdate = "node-update";
inline constexpr std::string_view kTriggerAllocStop = "alloc-stop";
inline constexpr std::string_view kTriggerScheduled = "scheduled";
inline constexpr std::string_view kTriggerRollingUpdate = "rolling-update";
inline constexpr std::string_view kTriggerDeploymentWatcher = "deployment-watcher";
inline constexpr std::string_view kTriggerFailedFollowUp = "failed-follow-up";
inline constexpr std::string_view kTriggerMaxPlans = "max-plan-attempts";
inline constexpr std::string_view kTriggerRetryFailedAlloc = "alloc-failure";
inline constexpr std::string_view kTriggerQueuedAllocs = "queued-allocs";
inline constexpr std::string_view kTriggerScaling = "job-scaling";
inline constexpr std::string_view kTriggerPreemption = "preemption";

/// "Look at this job again": the only cause of any change to its allocations.
struct Evaluation {
  std::string id;
  std::string namespace_ = "default";
  int64_t priority = 50;
  std::string type;
  std::string triggered_by;
  std::string job_id;
  uint64_t job_modify_index = 0;
  std::string node_id;
  uint64_t node_modify_index = 0;
  std::string deployment_id;
  EvalStatus status = EvalStatus::kPending;
  std::string status_description;
  TimeStamp wait_until;  // not before
  std::string next_eval;
  std::string previous_eval;
  std::string blocked_eval;
  std::map<std::string, AllocMetric> failed_groups;
  CountMap queued_allocs;
  uint64_t snapshot_index = 0;
  uint64_t create_index = 0;
  uint64_t modify_index = 0;
  int64_t create_time_ns = 0;
  int64_t modify_time_ns = 0;

  template <class V, class S>
  static void fields(V& v, S& s) {
    v("ID", s.id);
    v("Namespace", s.namespace_);
    v("Priority", s.priority);
    v("Type", s.type);
    v("TriggeredBy", s.triggered_by);
    v("JobID", s.job_id);
    v("JobModifyIndex", s.job_modify_index);
    v("NodeID", s.node_id);
    v("NodeModifyIndex", s.node_modify_index);
    v("DeploymentID", s.deployment_id);
    v("Status", s.status);
    v("StatusDescription", s.status_description);
    v("WaitUntil", s.wait_until);
    v("NextEval", s.next_eval);
    v("PreviousEval", s.previous_eval);
    v("BlockedEval", s.blocked_eval);
    v("FailedTGAllocs", s.failed_groups);
    v("QueuedAllocations", s.queued_allocs);
    v("SnapshotIndex", s.snapshot_index);
    v("CreateIndex", s.create_index);
    v("ModifyIndex", s.modify_index);
    v("CreateTime", s.create_time_ns);
    v("ModifyTime", s.modify_time_ns);
  }
  bool is_terminal() const {
    return status == EvalStatus::kComplete || status == EvalStatus::kFailed ||
           status == EvalStatus::kCancelled;
  }
};
using EvalPtr = std::shared_ptr<const Evaluation>;

}  // namespace sluice::orchestrator
