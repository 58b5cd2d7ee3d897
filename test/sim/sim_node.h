// SimNode: the node's side of NodeLink with tasks that are only a status. It keeps the rules of
// absence and counts what would be starts and stops of real tasks, across restarts of the servers.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/scope.h"
#include "orchestrator/node_link.h"

namespace sluice::sim {

struct SimNodeOptions {
  int64_t start_ms = 50;  // from an order to a running task
  int64_t stop_ms = 20;
  int64_t healthy_ms = 0;  // after it runs; below 0: never reported
  bool fail_starts = false;
  bool unhealthy = false;
};

class SimNode {
 public:
  SimNode(Executor& executor, orchestrator::Node facts, SimNodeOptions options = {})
      : options(options), executor_(executor), facts_(std::move(facts)) {}

  /// Talks to this server from now on; nullptr: cut off.
  void connect(orchestrator::NodeLink* link);

  struct Task {
    orchestrator::AllocPtr order;
    orchestrator::ClientStatus status = orchestrator::ClientStatus::kPending;
    bool stopping = false;
  };
  const std::map<std::string, Task>& tasks() const { return tasks_; }
  const std::string& id() const { return facts_.id; }
  /// What it says at its next registration.
  orchestrator::Node& facts() { return facts_; }
  size_t running() const;
  /// The task of an allocation dies.
  void kill(const std::string& alloc_id);
  /// It ends by itself, with success.
  void finish(const std::string& alloc_id);

  SimNodeOptions options;
  uint64_t starts = 0;
  uint64_t stops = 0;
  uint64_t double_starts = 0;  // of what ran already: never

 private:
  sluice::Task<void> live();
  sluice::Task<void> beat();
  sluice::Task<void> fetch();
  sluice::Task<void> report_loop();
  void obey(const orchestrator::DesiredAllocs& desired);
  void start(Task& task);
  void become_healthy(const std::string& alloc_id);
  void stop(Task& task);
  void news(const std::string& alloc_id) {
    news_.insert(alloc_id);
    has_news_.pulse();
  }

  Executor& executor_;
  orchestrator::Node facts_;
  orchestrator::NodeLink* link_ = nullptr;
  std::unique_ptr<Scope> scope_;  // of the connection
  std::map<std::string, Task> tasks_;
  std::set<std::string> started_;
  std::set<std::string> news_;  // allocations whose status the server does not know yet
  Event has_news_{executor_};
  std::map<std::string, std::pair<std::string, bool>> health_;  // in which deployment
  std::string cluster_id_;
  std::pair<uint64_t, uint64_t> last_{0, 0};  // (term, index) acted on
  uint64_t fetched_ = 0;
};

}  // namespace sluice::sim
