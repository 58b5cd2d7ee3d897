// AllocRunner: one allocation on this node: folders, its tasks in the order of their lifecycle, its
// services, its health, and its end: out of the balancers first, then the signal.
//
// Owner: the NodeAgent. Thread: the control loop. Destroying it leaves its tasks running, for the
// next agent to take over.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/scope.h"
#include "orchestrator/node/context.h"
#include "orchestrator/node/local_state.h"
#include "orchestrator/node/task_runner.h"
#include "orchestrator/node_link.h"

namespace sluice::orchestrator {

class AllocRunner {
 public:
  /// `changed`: report() or registrations() may say something new.
  AllocRunner(NodeContext& context, LocalState& disk, AllocPtr alloc, LocalAlloc local,
              std::function<void(const std::string& alloc_id)> changed);

  /// Ends when every task is dead for good and that is on disk.
  Task<void> run();

  /// A newer version of the record from the server; one that is told to stop is stopped.
  void update(AllocPtr alloc);
  void stop();
  void on_check(const CheckState& check);

  const Allocation& alloc() const { return *alloc_; }
  bool finished() const { return finished_; }
  AllocUpdate report() const;
  /// What the catalog should hold of it now; empty once it is stopping.
  const std::vector<ServiceRegistration>& registrations() const { return registrations_; }
  TaskRunner* task(std::string_view name);
  const std::vector<std::unique_ptr<TaskRunner>>& tasks() const { return tasks_; }
  TaskFolders folders(std::string_view task) const;

 private:
  enum class Phase : uint8_t { kPrestart, kMain, kPoststart, kPoststop };
  static Phase phase_of(const TaskConfig& task);

  Result<void> make_folders();
  void make_tasks();
  void start_phase(Phase phase);
  template <class Condition>
  Task<void> wait_for(Condition condition);
  Task<void> save();
  Task<void> save_loop();
  Task<void> watch_stop();
  Task<void> watch_health();
  Task<void> drain();
  void task_changed();
  void kill_where(const std::function<bool(const TaskRunner&)>& which, const std::string& reason);
  void refresh_registrations();
  bool healthy_now() const;
  bool any_failed() const;
  void set_healthy(bool healthy, const std::string& why);
  void begin_deployment();

  NodeContext& context_;
  LocalState& disk_;
  AllocPtr alloc_;
  LocalAlloc local_;
  std::function<void(const std::string&)> changed_hook_;
  std::vector<std::unique_ptr<TaskRunner>> tasks_;
  std::vector<ServiceRegistration> registrations_;
  std::vector<std::string> draining_;          // registrations taken out before the signal
  std::map<std::string, CheckStatus> checks_;  // by service id and check id
  std::string setup_error_;
  bool stopping_ = false;
  bool finished_ = false;
  uint64_t save_wanted_ = 0;
  uint64_t saved_ = 0;
  Event changed_;
  Event stop_wanted_;
  Event save_event_;
  Scope scope_;  // last: its tasks use all of the above
};

}  // namespace sluice::orchestrator
