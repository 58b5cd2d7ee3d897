// What there is of a group, and what is to become of each: it stays, is replaced, moves, stops, or
// takes the new version over.
#include "orchestrator/reconcile_group.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "orchestrator/feasible.h"
#include "orchestrator/reconcile_parts.h"
#include "orchestrator/reschedule.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kRescheduleWindowNs = kSecondNs;  // what is due so soon is due now
constexpr int64_t kRescheduleTogetherNs = 5 * kSecondNs;

bool by_name_index(const AllocPtr& a, const AllocPtr& b) {
  if (a->name_index() != b->name_index()) return a->name_index() < b->name_index();
  return a->id < b->id;
}

bool in_service(const Allocation& alloc) {
  return alloc.client_status == ClientStatus::kRunning && !alloc.is_unhealthy() &&
         (alloc.deployment_id.empty() || alloc.is_healthy());
}

void erase(std::vector<AllocPtr>& from, const Allocation* alloc) {
  std::erase_if(from, [&](const AllocPtr& item) { return item.get() == alloc; });
}

}  // namespace

/// Canaries of a deployment that failed or was overtaken, never promoted: they go, and one that has
/// failed is not tried again. Their names belong to what they were to replace.
void GroupReconciler::stop_stale_canaries(std::vector<AllocPtr>& all) {
  std::erase_if(all, [&](const AllocPtr& alloc) {
    if (!alloc->is_canary() || alloc->server_terminal()) return false;
    const bool current =
        deployment_ && alloc->deployment_id == deployment_->id && deployment_->active();
    if (current) return false;
    stop(alloc, kStopNotNeeded);
    if (!alloc->client_terminal()) ++out_.desired_updates[group_.name].stop;
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
  const bool due =
      at && (*at <= in_.now_ns + kRescheduleWindowNs || alloc->followup_eval_id == in_.eval.id);
  if (!at || (corrected && !due)) {
    keep_.push_back(alloc);  // for good, or until the new version takes its place, which is now
  } else if (due) {
    reschedule_.push_back(alloc);
  } else {
    keep_.push_back(alloc);
    if (!alloc->followup_eval_id.empty()) {
      const EvalPtr follow = in_.snapshot.eval(alloc->followup_eval_id);
      if (follow && !follow->is_terminal()) return;  // on its way
    }
    out_.delayed.push_back({alloc, follow_up_at(*at)});
  }
}

/// The evaluation that looks at what is due then: one that comes a little earlier, or a new one.
/// What failed together is replaced together.
std::string GroupReconciler::follow_up_at(int64_t at_ns) {
  if (!followups_known_) {
    followups_known_ = true;
    if (const auto index = in_.snapshot.of_job(in_.space, in_.job_id)) {
      index->evals.each([&](const EvalPtr& eval) {
        const bool coming = eval->status == EvalStatus::kPending && eval->id != in_.eval.id &&
                            eval->triggered_by == kTriggerRetryFailedAlloc;
        if (coming) followups_[eval->wait_until.ns] = eval->id;
      });
    }
    for (const auto& eval : out_.followups) followups_[eval->wait_until.ns] = eval->id;
  }
  const auto after = followups_.upper_bound(at_ns);
  if (after != followups_.begin()) {
    const auto& [time_ns, id] = *std::prev(after);
    if (time_ns > at_ns - kRescheduleTogetherNs) return id;
  }
  std::shared_ptr<Evaluation> fresh = follow_up(in_, kTriggerRetryFailedAlloc, at_ns);
  fresh->status_description = "created for delayed rescheduling";
  followups_[at_ns] = fresh->id;
  out_.followups.push_back(fresh);
  return fresh->id;
}

void GroupReconciler::drop(const AllocPtr& alloc, std::vector<AllocPtr>& from) {
  const AllocPtr held = alloc;  // what is erased below may be what `alloc` refers to
  const bool live = &from != &lost_ && !held->client_terminal();
  if (live) ++out_.desired_updates[group_.name].stop;
  // One that failed stops waiting to be placed anew; a lost one is told already.
  if (live || held->client_status == ClientStatus::kFailed) stop(held, kStopNotNeeded);
  erase(from, held.get());
}

/// Promoted: what the canaries stand for goes.
void GroupReconciler::stop_covered() {
  if (canarying_ || canaries_.empty()) return;
  std::set<std::string> covered;
  for (const AllocPtr& canary : canaries_) covered.insert(canary->name);
  for (auto* from : {&keep_, &migrate_, &lost_, &reschedule_}) {
    const std::vector<AllocPtr> before = *from;
    for (const AllocPtr& alloc : before) {
      if (covered.contains(alloc->name) && !is_canary(*alloc)) drop(alloc, *from);
    }
  }
}

void GroupReconciler::stop_surplus() {
  for (const AllocPtr& alloc : lost_) stop(alloc, kStopLost, ClientStatus::kLost);
  stop_covered();
  const auto counted = [&](const std::vector<AllocPtr>& from) {
    std::vector<AllocPtr> some = from;
    std::erase_if(some, [&](const AllocPtr& alloc) { return on_trial(alloc); });
    return some;
  };
  std::vector<AllocPtr> standing = counted(keep_);
  int64_t surplus = static_cast<int64_t>(standing.size()) - group_.count;
  for (const auto* from : {&migrate_, &reschedule_, &lost_}) {
    surplus += static_cast<int64_t>(counted(*from).size());
  }
  // First what is not there any more, then what has to move, then the highest names; of two with
  // one name the older version.
  for (auto* from : {&lost_, &reschedule_, &migrate_}) {
    std::vector<AllocPtr> some = counted(*from);
    std::sort(some.begin(), some.end(), by_name_index);
    for (; surplus > 0 && !some.empty(); some.pop_back(), --surplus) drop(some.back(), *from);
  }
  if (surplus <= 0) return;
  std::sort(standing.begin(), standing.end(), [&](const AllocPtr& a, const AllocPtr& b) {
    if (a->name_index() != b->name_index()) return a->name_index() < b->name_index();
    if (a->job->version != b->job->version) return a->job->version > b->job->version;
    return a->id < b->id;
  });
  std::set<std::string> seen;
  std::vector<AllocPtr> doubles, rest;
  for (const AllocPtr& alloc : standing) {
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
    if (on_trial(alloc)) {
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
  for (const auto* list : {&keep_, &migrate_, &lost_, &reschedule_}) {
    for (const AllocPtr& alloc : *list) {
      names_.insert(alloc->name);
      if (!on_trial(alloc)) ++bearers_[alloc->name];
    }
  }
  // What is in service is taken last: a version that overtakes another costs no more than its own
  // max_parallel.
  std::sort(destructive_.begin(), destructive_.end(), [](const AllocPtr& a, const AllocPtr& b) {
    return in_service(*a) != in_service(*b) ? in_service(*b) : by_name_index(a, b);
  });
}

}  // namespace sluice::orchestrator
