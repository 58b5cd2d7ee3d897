// What there is of a group, and what is to become of each: it stays, is replaced, moves, stops, or
// takes the new version over.
#include "orchestrator/reconcile_group.h"

#include <algorithm>
#include <memory>

#include "orchestrator/feasible.h"
#include "orchestrator/reconcile_parts.h"
#include "orchestrator/reschedule.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kRescheduleWindowNs = kSecondNs;  // what is due so soon is due now

bool by_name_index(const AllocPtr& a, const AllocPtr& b) {
  if (a->name_index() != b->name_index()) return a->name_index() < b->name_index();
  return a->id < b->id;
}

void erase(std::vector<AllocPtr>& from, const Allocation* alloc) {
  std::erase_if(from, [&](const AllocPtr& item) { return item.get() == alloc; });
}

}  // namespace

/// Canaries of a deployment that failed or was overtaken, never promoted: they go.
void GroupReconciler::stop_stale_canaries(std::vector<AllocPtr>& all) {
  std::erase_if(all, [&](const AllocPtr& alloc) {
    if (!alloc->is_canary() || alloc->terminal()) return false;
    const bool current =
        deployment_ && alloc->deployment_id == deployment_->id && deployment_->active();
    if (current) return false;
    stop(alloc, kStopNotNeeded);
    ++out_.desired_updates[group_.name].stop;
    return true;
  });
}

void GroupReconciler::classify(const std::vector<AllocPtr>& all) {
  const bool batch = job_.is_batch();
  for (const AllocPtr& alloc : all) {
    const bool node_lost = is_lost(in_.snapshot.node(alloc->node_id));
    if (alloc->server_terminal()) {
      // Nobody will report its end any more.
      if (node_lost && !alloc->client_terminal()) stop(alloc, kStopLost, ClientStatus::kLost);
      continue;
    }
    if (alloc->client_terminal()) {
      // A batch job that was registered anew runs anew.
      if (batch && !same_version(*alloc, job_)) continue;
      if (alloc->client_status == ClientStatus::kFailed) {
        classify_failed(alloc);
      } else if (batch && alloc->client_status == ClientStatus::kComplete) {
        keep_.push_back(alloc);  // done: keeps its slot
      }
      continue;  // a service that ended is missing
    }
    if (node_lost) {
      lost_.push_back(alloc);
    } else if (alloc->migrate) {
      migrate_.push_back(alloc);
    } else {
      keep_.push_back(alloc);
    }
  }
}

void GroupReconciler::classify_failed(const AllocPtr& alloc) {
  if (!alloc->next_alloc.empty()) return;  // replaced already
  if (alloc->force_reschedule || alloc->migrate) {
    reschedule_.push_back(alloc);
    return;
  }
  // What failed in a deployment that failed is not tried again there.
  if (failed() && alloc->deployment_id == deployment_->id) {
    keep_.push_back(alloc);
    return;
  }
  int64_t delay_ns = 0;
  const auto at = reschedule_at(*alloc, delay_ns);
  const bool corrected =
      !same_version(*alloc, job_) && needs_new_alloc(*alloc->job, job_, group_.name);
  if (!at || (corrected && *at > in_.now_ns + kRescheduleWindowNs)) {
    keep_.push_back(alloc);  // for good, or until the new version takes its place, which is now
  } else if (*at <= in_.now_ns + kRescheduleWindowNs) {
    reschedule_.push_back(alloc);
  } else {
    keep_.push_back(alloc);
    if (!alloc->followup_eval_id.empty()) {
      const EvalPtr follow = in_.snapshot.eval(alloc->followup_eval_id);
      if (follow && !follow->is_terminal()) return;  // on its way
    }
    std::shared_ptr<Evaluation> follow = follow_up(in_, kTriggerRetryFailedAlloc, *at);
    follow->status_description = "created for delayed rescheduling";
    out_.delayed.push_back({alloc, follow->id});
    out_.followups.push_back(std::move(follow));
  }
}

void GroupReconciler::stop_surplus() {
  DesiredUpdates& updates = out_.desired_updates[group_.name];
  for (const AllocPtr& alloc : lost_) stop(alloc, kStopLost, ClientStatus::kLost);

  const auto drop = [&](const AllocPtr& alloc, std::vector<AllocPtr>& from) {
    const AllocPtr held = alloc;
    if (!held->terminal()) stop(held, kStopNotNeeded);
    ++updates.stop;
    erase(from, held.get());
  };
  // Promoted: what the canaries stand for goes.
  if (!canarying_ && !canaries_.empty()) {
    std::set<std::string> covered;
    for (const AllocPtr& canary : canaries_) covered.insert(canary->name);
    const std::vector<AllocPtr> before = keep_;
    for (const AllocPtr& alloc : before) {
      if (covered.contains(alloc->name) && !is_canary(*alloc)) drop(alloc, keep_);
    }
  }
  std::vector<AllocPtr> counted = keep_;
  if (canarying_) std::erase_if(counted, [&](const AllocPtr& a) { return is_canary(*a); });
  int64_t surplus =
      static_cast<int64_t>(counted.size() + migrate_.size() + reschedule_.size() + lost_.size()) -
      group_.count;
  // First what is not there any more, then what has to move, then the highest names; of two with
  // one name the older version.
  const auto take_last = [&](std::vector<AllocPtr>& from, auto&& forget) {
    while (surplus > 0 && !from.empty()) {
      std::sort(from.begin(), from.end(), by_name_index);
      forget(from.back());
      --surplus;
    }
  };
  take_last(lost_, [&](const AllocPtr& alloc) { erase(lost_, AllocPtr(alloc).get()); });
  take_last(reschedule_, [&](const AllocPtr& alloc) {
    stop(alloc, kStopNotNeeded);
    erase(reschedule_, AllocPtr(alloc).get());
  });
  take_last(migrate_, [&](const AllocPtr& alloc) { drop(alloc, migrate_); });
  if (surplus <= 0) return;
  std::sort(counted.begin(), counted.end(), [&](const AllocPtr& a, const AllocPtr& b) {
    if (a->name_index() != b->name_index()) return a->name_index() < b->name_index();
    if (a->job->version != b->job->version) return a->job->version > b->job->version;
    return a->id < b->id;
  });
  std::set<std::string> seen;
  std::vector<AllocPtr> doubles, rest;
  for (const AllocPtr& alloc : counted) {
    (seen.insert(alloc->name).second ? rest : doubles).push_back(alloc);
  }
  for (auto* from : {&doubles, &rest}) {
    for (auto at = from->rbegin(); at != from->rend() && surplus > 0; ++at, --surplus) {
      drop(*at, keep_);
    }
  }
}

void GroupReconciler::sort_updates() {
  for (const AllocPtr& alloc : keep_) {
    names_.insert(alloc->name);
    if (canarying_ && is_canary(*alloc)) {
      ignore_.push_back(alloc);
    } else if (same_version(*alloc, job_)) {
      ignore_.push_back(alloc);
    } else if (needs_new_alloc(*alloc->job, job_, group_.name)) {
      destructive_.push_back(alloc);  // also one that failed: the job was corrected
    } else if (alloc->terminal()) {
      ignore_.push_back(alloc);
    } else if (!in_.still_feasible(*alloc, group_)) {
      destructive_.push_back(alloc);
    } else {
      in_place_.push_back(alloc);
    }
  }
  for (const auto* list : {&migrate_, &lost_, &reschedule_}) {
    for (const AllocPtr& alloc : *list) names_.insert(alloc->name);
  }
  std::sort(destructive_.begin(), destructive_.end(), by_name_index);
}

}  // namespace sluice::orchestrator
