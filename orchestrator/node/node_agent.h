// NodeAgent: the node component. Says what this machine is, fetches what it should run, runs it,
// reports back, and mends what differs.
//
// Owner: main.cc (or the simulation). Thread: the control loop. It meets the servers only at
// NodeLink, and keeps the rule that absence is not an order (node_link.h). Destroying it stops no
// task.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/scope.h"
#include "orchestrator/node/alloc_runner.h"
#include "orchestrator/node/context.h"
#include "orchestrator/node/local_state.h"
#include "orchestrator/node_link.h"

namespace sluice::orchestrator {

class NodeAgent {
 public:
  /// `context.node` holds what the configuration says of the node (name, datacenter, class, meta,
  /// reserved ports); start() adds the machine's facts. `link` outlives the agent.
  NodeAgent(NodeContext context, NodeLink& link);

  /// Reads the local state and looks at the drivers. Before run().
  Task<Result<void>> start();
  /// Works until cancelled.
  Task<void> run();
  /// For -dev: stops every task and waits until all are gone. run() must be running. Starts nothing
  /// from then on: the server would have each of them replaced, here.
  Task<void> stop_all_tasks();

  const Node& node() const { return context_.node; }
  NodeContext& context() { return context_; }
  /// What this node knows that the server's store does not.
  Result<Recovery> recovery() const;
  /// The server has taken it in: register again, now.
  void recovered() { recovered_.pulse(); }
  /// The runner of an allocation on this node, or nullptr.
  AllocRunner* find(const std::string& alloc_id);
  /// Removes the folder and the record of an allocation that is over. False: it is not, or not
  /// here.
  Task<bool> collect_alloc(std::string alloc_id);
  /// Of all that are over.
  Task<void> collect_all();

 private:
  Task<void> fetch_loop();
  Task<void> fetch_now();
  Task<void> heartbeat_loop();
  Task<void> report_loop();
  Task<void> publish_loop();
  Task<void> fingerprint_loop();
  Task<void> mend_loop();

  Task<void> register_until_done();
  Task<bool> fingerprint_drivers();
  bool accept_cluster(const std::string& cluster_id);
  void apply(const DesiredAllocs& desired);
  void apply_alloc(const AllocPtr& alloc);
  bool ports_held(const Allocation& alloc);
  Result<void> set_aside_cores();
  void share_cores();
  void stop_absent(const std::set<std::string>& listed);
  /// Lets go of an allocation whose end this node and the server both have on disk.
  bool settle(const Allocation& alloc);
  void sweep();
  void collect();
  void remove_later(const std::string& alloc_id);
  Task<void> removal_loop();
  Task<void> disk_loop();
  Task<void> collect_for_disk();
  void changed(const std::string& alloc_id);
  void publish_registrations();
  Task<bool> mend(TaskDriver& driver);
  void mend_folders(const std::set<std::string>& silent);
  bool owns(const TaskHandle& handle) const;

  NodeContext context_;
  NodeLink& link_;
  LocalState disk_;
  LocalCluster cluster_;
  NodeMemory memory_;                           // as of the start
  CpuList common_cores_;                        // of tasks, also those without cores of their own
  std::map<std::string, LocalAlloc> restored_;  // read at start, not yet claimed by an allocation
  /// Ended, and listed as such: nothing but a record and a folder, until there are too many of
  /// them. When each ended (Unix, ns), by allocation.
  std::map<std::string, int64_t> over_;
  std::set<std::string> leaving_;  // whose record and folder are being removed
  /// Read at start and not over, but no longer the server's. The drivers that may hold runs of it;
  /// nullopt: any may.
  std::map<std::string, std::optional<std::set<std::string>>> orphans_;
  bool folders_wait_said_ = false;
  std::map<std::string, std::unique_ptr<AllocRunner>> runners_;
  std::set<std::string>
      absent_;  // runners that a complete list did not hold: forgotten once finished
  std::set<std::string> to_report_;
  std::map<std::string, AllocUpdate> gone_;  // reports of what this node does not have
  int64_t heartbeat_ttl_ms_ = 10'000;
  uint64_t fetch_index_ = 0;
  bool foreign_cluster_said_ = false;
  bool refusal_said_ = false;
  bool disk_look_due_ = false;
  bool stopping_ = false;  // stop_all_tasks() was called
  Event registered_;
  Event recovered_;
  Event report_wanted_;
  Event publish_wanted_;
  Event register_wanted_;
  Event listed_;  // a complete list has come
  Event removal_wanted_;
  Scope runner_scope_;
  Scope loops_;
};

}  // namespace sluice::orchestrator
