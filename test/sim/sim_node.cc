#include "test/sim/sim_node.h"

#include <tuple>

namespace sluice::sim {

using namespace orchestrator;

namespace {

constexpr int64_t kReportMs = 10;
constexpr int64_t kRetryMs = 200;

}  // namespace

void SimNode::connect(NodeLink* link) {
  scope_.reset();
  link_ = link;
  fetched_ = 0;
  // The server may have lost what was not durable: say everything again.
  for (const auto& [id, task] : tasks_) news_.insert(id);
  if (!link_) return;
  scope_ = std::make_unique<Scope>(executor_);
  scope_->spawn(live());
}

size_t SimNode::running() const {
  size_t count = 0;
  for (const auto& [id, task] : tasks_) count += task.status == ClientStatus::kRunning ? 1 : 0;
  return count;
}

void SimNode::kill(const std::string& alloc_id) {
  tasks_[alloc_id].status = ClientStatus::kFailed;
  news(alloc_id);
}

void SimNode::finish(const std::string& alloc_id) {
  const auto found = tasks_.find(alloc_id);
  if (found == tasks_.end() || found->second.status != ClientStatus::kRunning) return;
  found->second.status = ClientStatus::kComplete;
  news(alloc_id);
}

sluice::Task<void> SimNode::live() {
  while (true) {
    auto registered = co_await link_->register_node(facts_, {});
    if (registered) {
      if (cluster_id_.empty()) cluster_id_ = registered->cluster_id;
      break;
    }
    co_await sleep_for(executor_, kRetryMs);
  }
  scope_->spawn(beat());
  scope_->spawn(fetch());
  scope_->spawn(report_loop());
}

sluice::Task<void> SimNode::beat() {
  int64_t ttl_ms = 1'000;
  while (true) {
    auto reply = co_await link_->heartbeat(facts_.id);
    if (reply) {
      ttl_ms = reply->heartbeat_ttl_ms;
      if (reply->register_again) {
        auto again = co_await link_->register_node(facts_, {});
        if (!again) ttl_ms = kRetryMs;
      }
    }
    co_await sleep_for(executor_, ttl_ms / 2);
  }
}

sluice::Task<void> SimNode::fetch() {
  while (true) {
    auto desired = co_await link_->fetch_allocs(facts_.id, fetched_, 60'000);
    if (!desired) {
      co_await sleep_for(executor_, kRetryMs);
      continue;
    }
    fetched_ = desired->index;
    obey(*desired);
  }
}

void SimNode::obey(const DesiredAllocs& desired) {
  if (desired.cluster_id.empty() || desired.cluster_id != cluster_id_) return;
  const std::pair<uint64_t, uint64_t> at{desired.term, desired.index};
  if (at < last_) return;
  last_ = at;
  std::set<std::string> listed;
  for (const AllocPtr& alloc : desired.allocs) {
    listed.insert(alloc->id);
    const bool fresh = !tasks_.contains(alloc->id);
    if (fresh && (alloc->server_terminal() || alloc->client_terminal())) {
      if (!alloc->client_terminal()) {  // never started here: nothing to stop
        tasks_[alloc->id] = {alloc, ClientStatus::kComplete, true};
        news(alloc->id);
      }
      continue;
    }
    Task& task = tasks_[alloc->id];
    const bool other = !fresh && task.order->deployment_id != alloc->deployment_id;
    task.order = alloc;
    if (fresh) start(task);
    if (other) become_healthy(alloc->id);
    if (alloc->server_terminal()) stop(task);
  }
  if (!desired.complete) return;
  for (auto& [id, task] : tasks_) {
    if (!listed.contains(id)) stop(task);
  }
  std::erase_if(tasks_, [&](const auto& item) {  // nobody asks for it any more
    const ClientStatus status = item.second.status;
    const bool over = status == ClientStatus::kComplete || status == ClientStatus::kFailed;
    return over && !listed.contains(item.first) && !news_.contains(item.first);
  });
}

void SimNode::start(Task& task) {
  const std::string id = task.order->id;
  ++starts;
  if (!started_.insert(id).second) ++double_starts;
  executor_.post_after(options.start_ms, [this, id] {
    const auto found = tasks_.find(id);
    if (found == tasks_.end() || found->second.stopping) return;
    Task& it = found->second;
    if (it.status != ClientStatus::kPending) return;
    it.status = options.fail_starts ? ClientStatus::kFailed : ClientStatus::kRunning;
    news(id);
    if (!options.fail_starts) become_healthy(id);
  });
}

void SimNode::become_healthy(const std::string& id) {
  if (options.healthy_ms < 0) return;
  executor_.post_after(options.healthy_ms, [this, id] {
    const auto found = tasks_.find(id);
    if (found == tasks_.end() || found->second.status != ClientStatus::kRunning) return;
    health_[id] = {found->second.order->deployment_id, !options.unhealthy};
    news(id);
  });
}

void SimNode::stop(Task& task) {
  if (task.stopping) return;
  task.stopping = true;
  if (task.status == ClientStatus::kRunning || task.status == ClientStatus::kPending) ++stops;
  const std::string id = task.order->id;
  executor_.post_after(options.stop_ms, [this, id] {
    const auto found = tasks_.find(id);
    if (found == tasks_.end()) return;
    Task& it = found->second;
    if (it.status == ClientStatus::kRunning || it.status == ClientStatus::kPending) {
      it.status = ClientStatus::kComplete;
    }
    news(id);
  });
}

sluice::Task<void> SimNode::report_loop() {
  while (true) {
    while (news_.empty()) co_await has_news_.wait();
    co_await sleep_for(executor_, kReportMs);
    const std::set<std::string> now = std::exchange(news_, {});
    std::vector<AllocUpdate> updates;
    for (const std::string& id : now) {
      const auto found = tasks_.find(id);
      if (found == tasks_.end()) continue;
      const Task& task = found->second;
      AllocUpdate update;
      update.alloc_id = id;
      update.client_status = task.status;
      TaskState state;
      state.state = task.status == ClientStatus::kRunning   ? TaskRunState::kRunning
                    : task.status == ClientStatus::kPending ? TaskRunState::kPending
                                                            : TaskRunState::kDead;
      state.failed = task.status == ClientStatus::kFailed;
      if (state.state == TaskRunState::kDead) state.finished_at.ns = executor_.wall_ns();
      for (const TaskConfig& config : task.order->task_group().tasks) {
        update.task_states[config.name] = state;
      }
      if (const auto health = health_.find(id); health != health_.end()) {
        std::tie(update.deployment_id, update.healthy) = health->second;
        update.healthy_at_ns = executor_.wall_ns();
      }
      updates.push_back(std::move(update));
    }
    auto done = co_await link_->update_allocs(facts_.id, std::move(updates));
    // kNotFound: the server forgot it; everything else is said again.
    if (!done && done.error().code != Code::kNotFound) news_.insert(now.begin(), now.end());
  }
}

}  // namespace sluice::sim
