#include "orchestrator/reschedule.h"

#include <algorithm>

namespace sluice::orchestrator {

namespace {

int64_t failed_at(const Allocation& alloc) {
  int64_t latest = 0;
  for (const auto& [name, state] : alloc.task_states) {
    latest = std::max(latest, state.finished_at.ns);
  }
  return latest != 0 ? latest : alloc.modify_time_ns;
}

}  // namespace

std::optional<int64_t> reschedule_at(const Allocation& alloc, int64_t& delay_ns) {
  const TaskGroup& group = alloc.task_group();
  if (!group.reschedule) return std::nullopt;
  const ReschedulePolicy& policy = *group.reschedule;
  const int64_t failure = failed_at(alloc);
  const bool unlimited = policy.unlimited.value_or(false);
  if (!unlimited) {
    if (policy.attempts <= 0) return std::nullopt;
    const auto recent = std::count_if(
        alloc.reschedules.begin(), alloc.reschedules.end(),
        [&](const RescheduleEvent& event) { return event.time_ns > failure - policy.interval_ns; });
    if (recent >= std::min<int64_t>(policy.attempts, kMaxAttemptsCounted)) return std::nullopt;
  }
  delay_ns = policy.delay_ns;
  if (!alloc.reschedules.empty() && policy.delay_function != "constant") {
    const RescheduleEvent& last = alloc.reschedules.back();
    int64_t next = last.delay_ns * 2;
    if (policy.delay_function == "fibonacci") {
      const size_t n = alloc.reschedules.size();
      next = last.delay_ns + (n > 1 ? alloc.reschedules[n - 2].delay_ns : 0);
    }
    // It held for longer than the longest delay: begin anew.
    const bool recovered = failure - last.time_ns > policy.max_delay_ns;
    delay_ns = recovered ? policy.delay_ns
                         : std::clamp(next, policy.delay_ns,
                                      std::max(policy.delay_ns, policy.max_delay_ns));
  }
  // By then the interval would be over, and the attempts be counted anew, for ever.
  if (!unlimited && delay_ns >= policy.interval_ns && !alloc.reschedules.empty()) {
    return std::nullopt;
  }
  return failure + delay_ns;
}

std::vector<RescheduleEvent> rescheduled(const Allocation& failed, int64_t now_ns) {
  int64_t delay_ns = 0;
  reschedule_at(failed, delay_ns);
  std::vector<RescheduleEvent> events = failed.reschedules;
  const auto& policy = failed.task_group().reschedule;
  size_t most = kMaxRescheduleEvents;
  if (policy && !policy->unlimited.value_or(false)) {
    // All that its attempts are counted by.
    most = kMaxAttemptsCounted;
    std::erase_if(events, [&](const RescheduleEvent& event) {
      return event.time_ns < now_ns - policy->interval_ns;
    });
  }
  if (events.size() >= most) {
    events.erase(events.begin(), events.end() - static_cast<std::ptrdiff_t>(most - 1));
  }
  events.push_back({now_ns, failed.id, failed.node_id, delay_ns});
  return events;
}

}  // namespace sluice::orchestrator
