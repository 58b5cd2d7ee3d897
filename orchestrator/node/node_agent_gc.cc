// The part of the node that forgets: allocations that are over cost it a record and a folder, and
// not even these once they are too many or the server has forgotten them.
#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "core/scope.h"
#include "orchestrator/node/node_agent.h"

namespace sluice::orchestrator {

namespace {

/// Nothing that the server does not have yet can come of it.
bool is_settled(const Allocation& alloc) {
  if (!alloc.client_terminal()) return false;
  if (alloc.server_terminal() || alloc.deployment_id.empty()) return true;
  return alloc.deployment_status && alloc.deployment_status->healthy;
}

}  // namespace

bool NodeAgent::settle(const Allocation& alloc) {
  if (over_.contains(alloc.id)) return true;
  if (!is_settled(alloc)) return false;
  if (const auto restored = restored_.find(alloc.id); restored != restored_.end()) {
    if (!restored->second.over()) return false;
    over_[alloc.id] = restored->second.finished_at_ns();
    restored_.erase(restored);
    return true;
  }
  const AllocRunner* runner = find(alloc.id);
  if (runner == nullptr || !runner->finished() || to_report_.contains(alloc.id)) return false;
  int64_t finished_at_ns = 0;
  for (const auto& task : runner->tasks()) {
    finished_at_ns = std::max(finished_at_ns, task->state().finished_at.ns);
  }
  over_[alloc.id] = finished_at_ns;
  runners_.erase(alloc.id);
  return true;
}

void NodeAgent::stop_absent(const std::set<std::string>& listed) {
  for (const auto& [id, runner] : runners_) {
    if (listed.contains(id)) continue;
    absent_.insert(id);
    runner->stop();
  }
  std::erase_if(over_, [&](const auto& item) {
    if (listed.contains(item.first)) return false;
    remove_later(item.first);
    return true;
  });
  // What was restored and is not listed has no job to run it by: the mending stops what is left of
  // it, and removes its folder.
  for (auto it = restored_.begin(); it != restored_.end();) {
    if (listed.contains(it->first)) {
      ++it;
      continue;
    }
    if (it->second.over()) {
      remove_later(it->first);
    } else {
      orphans_.emplace(it->first, it->second.drivers());
    }
    it = restored_.erase(it);
  }
}

/// Forgets what has ended and is no longer listed: its runner, its state and its folder.
void NodeAgent::sweep() {
  std::erase_if(absent_, [&](const std::string& id) {
    const AllocRunner* runner = find(id);
    if (runner != nullptr && !runner->finished()) return false;
    runners_.erase(id);
    remove_later(id);
    return true;
  });
}

/// With more allocations here than gc_max_allocs, the oldest of those that are over go.
void NodeAgent::collect() {
  const GcLimits& limits = context_.options.gc;
  const size_t here = runners_.size() + restored_.size() + over_.size();
  const size_t too_many = excess_allocs(limits, here);
  if (too_many == 0 || over_.empty()) return;
  std::vector<std::pair<int64_t, std::string>> by_end;
  by_end.reserve(over_.size());
  for (const auto& [id, finished_at_ns] : over_) by_end.emplace_back(finished_at_ns, id);
  const size_t excess = std::min(too_many, by_end.size());
  std::ranges::partial_sort(by_end, by_end.begin() + static_cast<ptrdiff_t>(excess));
  for (size_t i = 0; i < excess; ++i) {
    over_.erase(by_end[i].second);
    remove_later(by_end[i].second);
  }
  context_.log.debug("{} allocations that are over are removed here: more than gc_max_allocs = {}",
                     excess, limits.max_allocs);
}

/// An end that the server has been told of wakes no fetch: what is over by now is known by asking.
Task<void> NodeAgent::fetch_now() {
  Result<DesiredAllocs> desired = co_await link_.fetch_allocs(context_.node.id, 0, 0);
  if (!desired) {
    context_.log.warn("fetch allocations: {}", desired.error().message);
  } else if (desired->index >= cluster_.index && accept_cluster(desired->cluster_id)) {
    apply(*desired);
  }
}

Task<bool> NodeAgent::collect_alloc(std::string alloc_id) {
  co_await fetch_now();
  if (over_.erase(alloc_id) == 0) co_return false;
  remove_later(alloc_id);
  co_return true;
}

Task<void> NodeAgent::collect_all() {
  co_await fetch_now();
  for (const auto& [id, finished_at_ns] : std::exchange(over_, {})) remove_later(id);
}

Task<void> NodeAgent::disk_loop() {
  for (;;) {
    co_await sleep_for(context_.env.executor, context_.options.gc.interval_ms);
    disk_look_due_ = true;
    removal_wanted_.set();
  }
}

/// With the disk over its limit, the oldest of those that are over goes. Nothing else may be
/// leaving: the disk is looked at once more after each, so that no more go than have to.
Task<void> NodeAgent::collect_for_disk() {
  auto look = [&disk = context_.env.disk, folder = context_.options.data_folder] {
    return disk.space(folder);
  };
  Result<DiskSpace> space = co_await on_pool(context_.env.executor, std::move(look));
  if (!space) context_.log.error("garbage collection: {}", space.error().message);
  const std::string trouble = space ? disk_trouble(context_.options.gc, *space) : std::string();
  if (!trouble.empty() && over_.empty()) co_await fetch_now();
  const auto oldest = std::ranges::min_element(over_, {}, [](const auto& item) {
    return std::pair(item.second, std::string_view(item.first));
  });
  if (trouble.empty() || oldest == over_.end()) {
    disk_look_due_ = false;
    co_return;
  }
  context_.log.info("allocation {} is over and removed here: {}", oldest->first, trouble);
  leaving_.insert(oldest->first);
  over_.erase(oldest);
}

void NodeAgent::remove_later(const std::string& alloc_id) {
  leaving_.insert(alloc_id);
  removal_wanted_.set();
}

/// One after the other and on the pool: thousands may go at once, each a tree of folders.
Task<void> NodeAgent::removal_loop() {
  for (;;) {
    co_await removal_wanted_.wait();
    removal_wanted_.clear();
    for (;;) {
      if (leaving_.empty() && disk_look_due_) co_await collect_for_disk();
      if (leaving_.empty()) break;
      const std::string id = *leaving_.begin();
      // The record last: as long as it is there, a start that finds it goes on with the removal.
      auto remove = [&disk = context_.env.disk, record = disk_.alloc_path(id),
                     folder = context_.options.data_folder + "/alloc/" + id]() -> Result<void> {
        Result<void> gone = disk.remove_tree(folder);
        return gone ? disk.remove_tree(record) : gone;
      };
      Result<void> gone = co_await on_pool(context_.env.executor, std::move(remove));
      if (!gone) context_.log.error("{}", gone.error().message);
      leaving_.erase(id);
    }
  }
}

}  // namespace sluice::orchestrator
