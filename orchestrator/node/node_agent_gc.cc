// The part of the node that forgets: allocations that are over cost it a record and a folder, and
// not even these once they are too many or the server has forgotten them.
#include <algorithm>
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
  // it.
  for (auto it = restored_.begin(); it != restored_.end();) {
    if (listed.contains(it->first)) {
      ++it;
      continue;
    }
    if (it->second.over()) {
      remove_later(it->first);
    } else {
      Result<void> gone = disk_.forget(it->first);
      if (!gone) context_.log.error("{}", gone.error().message);
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
  const size_t limit = static_cast<size_t>(std::max<int64_t>(context_.options.gc_max_allocs, 0));
  const size_t here = runners_.size() + restored_.size() + over_.size();
  if (here <= limit || over_.empty()) return;
  std::vector<std::pair<int64_t, std::string>> by_end;
  by_end.reserve(over_.size());
  for (const auto& [id, finished_at_ns] : over_) by_end.emplace_back(finished_at_ns, id);
  const size_t excess = std::min(here - limit, by_end.size());
  std::ranges::partial_sort(by_end, by_end.begin() + static_cast<ptrdiff_t>(excess));
  for (size_t i = 0; i < excess; ++i) {
    over_.erase(by_end[i].second);
    remove_later(by_end[i].second);
  }
  context_.log.debug("{} allocations that are over are removed here: more than gc_max_allocs = {}",
                     excess, limit);
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
    while (!leaving_.empty()) {
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
