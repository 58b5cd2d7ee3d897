#include "orchestrator/preempt.h"

#include <algorithm>

#include "core/random.h"

namespace sluice::orchestrator {

namespace {

bool would_fit(const Node& node, const Usage& usage, const GroupAsk& ask, int64_t now_ns) {
  SeededRandom drawn(1);  // which dynamic ports there would be does not matter
  Assigned given;
  return fit(node, usage, ask, now_ns, drawn, given).empty();
}

/// A way from the lowest priority up; of equals the larger first, so that few are stopped.
bool goes_before(const AllocPtr& a, const AllocPtr& b) {
  if (a->job->priority != b->job->priority) return a->job->priority < b->job->priority;
  if (a->memory_mb != b->memory_mb) return a->memory_mb > b->memory_mb;
  if (a->cpu_mhz != b->cpu_mhz) return a->cpu_mhz > b->cpu_mhz;
  return a->id < b->id;
}

}  // namespace

std::shared_ptr<Allocation> evicted(const Allocation& alloc, const std::string& by) {
  auto changed = std::make_shared<Allocation>(alloc);
  changed->desired_status = DesiredStatus::kEvict;
  changed->desired_description = "Preempted by alloc ID " + by;
  changed->preempted_by = by;
  changed->alloc_modify_index = 0;
  return changed;
}

std::vector<AllocPtr> victims(std::vector<AllocPtr> standing, int64_t priority, const Node& node,
                              const Usage& usage, const GroupAsk& ask, int64_t now_ns) {
  std::erase_if(standing, [&](const AllocPtr& alloc) {
    return alloc->terminal() || alloc->job->priority > priority - kPreemptionGap;
  });
  std::sort(standing.begin(), standing.end(), goes_before);
  Usage left = usage;
  std::vector<AllocPtr> chosen;
  for (const AllocPtr& alloc : standing) {
    if (would_fit(node, left, ask, now_ns)) break;
    left.remove(*alloc);
    left.add(*evicted(*alloc, {}));
    chosen.push_back(alloc);
  }
  if (!would_fit(node, left, ask, now_ns)) return {};
  // Those taken early may be needless by now: the most important are spared first.
  for (size_t i = chosen.size(); i-- > 0;) {
    Usage with = left;
    with.remove(*evicted(*chosen[i], {}));
    with.add(*chosen[i]);
    if (!would_fit(node, with, ask, now_ns)) continue;
    left = std::move(with);
    chosen.erase(chosen.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return chosen;
}

}  // namespace sluice::orchestrator
