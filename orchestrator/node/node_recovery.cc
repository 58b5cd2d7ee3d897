// What a node can give back to a server that has lost its store: the orders on its own disk.
#include <algorithm>

#include "orchestrator/node/node_agent.h"
#include "orchestrator/store.h"

namespace sluice::orchestrator {

namespace {

ClientStatus status_of(const LocalAlloc& local) {
  const auto any = [&](auto condition) {
    return std::ranges::any_of(local.tasks,
                               [&](const auto& item) { return condition(item.second.state); });
  };
  if (local.over()) {
    return any([](const TaskState& state) { return state.failed; }) ? ClientStatus::kFailed
                                                                    : ClientStatus::kComplete;
  }
  return any([](const TaskState& state) { return state.state == TaskRunState::kRunning; })
             ? ClientStatus::kRunning
             : ClientStatus::kPending;
}

}  // namespace

/// The store's form of both, which later versions of sluice read.
std::string encode_order(const Allocation& alloc) {
  auto ordered = std::make_shared<Allocation>(alloc);
  ordered->task_states.clear();  // they are beside it
  ordered->metric.reset();
  Commit commit;
  commit.versions.push_back(ordered->job);
  commit.allocs.push_back(std::move(ordered));
  return encode_commit(commit);
}

Result<AllocPtr> decode_order(const LocalAlloc& local) {
  if (local.order.empty()) return fail(Code::kNotFound, "no order is kept");
  Result<Commit> commit = decode_commit(local.order, Snapshot());
  if (!commit) return pass(commit);
  if (commit->allocs.size() != 1 || commit->allocs[0]->id != local.alloc_id) {
    return fail(Code::kInvalid, "the order is of another allocation");
  }
  const std::shared_ptr<Allocation> alloc = std::move(commit->allocs[0]);
  alloc->client_status = status_of(local);
  for (const auto& [name, task] : local.tasks) alloc->task_states[name] = task.state;
  return alloc;
}

Result<Recovery> NodeAgent::recovery() const {
  Recovery recovery{.node_id = context_.node.id, .memory = memory_, .allocs = {}};
  for (const auto& [id, local] : restored_) {
    Result<AllocPtr> alloc = decode_order(local);
    if (alloc) {
      recovery.allocs.push_back(*std::move(alloc));
    } else if (!local.over()) {
      // Without an order it would not be listed, and so be stopped.
      return fail(Code::kConflict,
                  "allocation {} runs here and this node's record of it does not say its job ({}): "
                  "nothing is changed",
                  id, alloc.error().message);
    }
  }
  return recovery;
}

}  // namespace sluice::orchestrator
