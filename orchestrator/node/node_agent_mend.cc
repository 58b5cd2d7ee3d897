// The part of the node that mends: what is on this machine and should not be goes, whatever brought
// it about.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "orchestrator/node/node_agent.h"

namespace sluice::orchestrator {

namespace {

/// Allocations have UUIDs (make_uuid); a folder with another name is not ours.
bool is_alloc_id(std::string_view name) {
  constexpr std::string_view kForm = "00000000-0000-0000-0000-000000000000";
  constexpr std::string_view kHex = "0123456789abcdef";
  return std::ranges::equal(name, kForm, [&](char have, char form) {
    return form == '-' ? have == '-' : kHex.contains(have);
  });
}

}  // namespace

bool NodeAgent::owns(const TaskHandle& handle) const {
  const auto found = runners_.find(handle.key.alloc_id);
  if (found == runners_.end()) return false;
  for (const auto& task : found->second->tasks()) {
    if (task->name() != handle.key.task) continue;
    const LocalTask& local = task->local();
    if (local.starting) return true;  // its outcome is not known yet
    return local.handle && local.handle->key.run == handle.key.run;
  }
  return false;
}

/// Removes runs of ours that no allocation owns. True: none is left.
Task<bool> NodeAgent::mend(TaskDriver& driver) {
  Result<std::vector<FoundTask>> found = co_await driver.list();
  // Not there now, as its health says; one that never was has left nothing either.
  if (!found) co_return !context_.node.drivers[std::string(driver.name())].detected;
  bool clean = true;
  for (const FoundTask& task : *found) {
    if (owns(task.handle)) continue;
    if (restored_.contains(task.handle.key.alloc_id)) continue;
    context_.log.warn("driver {}: removing run {} of task {} of alloc {}, which no allocation owns",
                      driver.name(), task.handle.key.run, task.handle.key.task,
                      task.handle.key.alloc_id.substr(0, 8));
    if (task.running) (void)co_await driver.stop(task.handle, "", 5'000);
    const Result<void> removed = co_await driver.remove(task.handle);
    clean = clean && removed;
  }
  co_return clean;
}

/// Removes the folders of allocations that are forgotten: the agent was killed after it had
/// forgotten one and before its folder was gone, or the server forgot it while the agent was away.
/// Not one that may be in use by a run in a driver of `silent`, which do not say what they hold.
void NodeAgent::mend_folders(const std::set<std::string>& silent) {
  const std::string root = context_.options.data_folder + "/alloc";
  std::set<std::string> forgotten;
  for (const auto& [id, drivers] : orphans_) forgotten.insert(id);
  if (context_.env.disk.exists(root)) {
    const Result<std::vector<std::string>> names = context_.env.disk.list(root);
    if (!names) return context_.log.error("{}", names.error().message);
    for (const std::string& name : *names) {
      if (!is_alloc_id(name) || runners_.contains(name) || restored_.contains(name)) continue;
      if (!over_.contains(name) && !leaving_.contains(name)) forgotten.insert(name);
    }
  }
  size_t waiting = 0;
  for (const std::string& id : forgotten) {
    const auto orphan = orphans_.find(id);
    const bool known = orphan != orphans_.end() && orphan->second;
    const bool may_run =
        known ? std::ranges::any_of(*orphan->second,
                                    [&](const std::string& one) { return silent.contains(one); })
              : !silent.empty();
    if (may_run) {
      ++waiting;
      continue;
    }
    if (orphan != orphans_.end()) orphans_.erase(orphan);
    context_.log.warn("removing the folder of alloc {}, which is forgotten", id.substr(0, 8));
    remove_later(id);
  }
  if (waiting > 0 && !folders_wait_said_) {
    context_.log.warn(
        "the folders of {} forgotten allocations stay until it is known that nothing uses them: no "
        "word of the driver {}",
        waiting, fmt::join(silent, ", "));
  }
  folders_wait_said_ = waiting > 0;
}

Task<void> NodeAgent::mend_loop() {
  co_await listed_.wait();
  for (;;) {
    std::set<std::string> silent;
    for (const auto& [name, driver] : context_.drivers) {
      if (!co_await mend(*driver)) silent.insert(name);
    }
    mend_folders(silent);
    publish_wanted_.set();
    share_cores();
    co_await sleep_for(context_.env.executor, context_.options.mend_interval_ms);
  }
}

}  // namespace sluice::orchestrator
