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
#include <set>
#include <string>
#include <vector>

#include "core/scope.h"
#include "orchestrator/node/context.h"
#include "orchestrator/node/local_state.h"
#include "orchestrator/node/services.h"
#include "orchestrator/node/task_runner.h"
#include "orchestrator/node_link.h"

namespace sluice::orchestrator {

class AllocRunner {
 public:
  /// `changed`: report() or registrations() may say something new. `ports_held`: another allocation
  /// that is stopping still holds one of this one's ports.
  struct Hooks {
    std::function<void(const std::string& alloc_id)> changed;
    std::function<bool(const Allocation& alloc)> ports_held;
  };
  AllocRunner(NodeContext& context, LocalState& disk, AllocPtr alloc, LocalAlloc local,
              Hooks hooks);

  /// Ends when every task is dead for good and that is on disk.
  Task<void> run();

  /// A newer version of the record from the server; one that is told to stop is stopped.
  void update(AllocPtr alloc);
  void stop();
  void on_check(const CheckState& check);
  /// A check of one of its services, as its catalog last told.
  struct CheckView {
    const NodeCheck* check = nullptr;
    std::string service;
    std::optional<CheckStatus> status;  // nullopt: nothing was told yet
    int64_t since_ns = 0;               // Unix; when the status came to be
    std::string output;
  };
  [[nodiscard]] std::vector<CheckView> checks() const;
  /// Another allocation of this node has ended: what waited for its ports looks again.
  void look_again() {
    if (waits_for_ports_) changed_.pulse();
  }
  /// Restarts these tasks, those that run: each leaves the catalog and the balancers first, its
  /// requests finish, then it goes down and up again. `is_failure`: its policy judges it.
  void restart(std::vector<std::string> tasks, std::string reason, bool is_failure = false);
  /// From the beginning, as at the start: what ran once before or behind the main tasks runs again.
  void restart_all(std::string reason);

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
  static bool is_sidecar(const TaskConfig& task) {
    return task.lifecycle && task.lifecycle->sidecar;
  }

  Result<void> make_folders();
  Task<bool> claim_ports();
  void make_tasks();
  void start_phase(Phase phase);
  template <class Condition>
  Task<void> wait_for(Condition condition);
  Task<void> save();
  Task<void> save_loop();
  Task<void> watch_stop();
  Task<void> watch_health();
  Task<void> watch_check_restarts();
  Task<void> restart_whole(std::string reason);
  Task<std::vector<std::string>> take_out(const std::vector<std::string>& names);
  void put_back(const std::vector<std::string>& names, const std::vector<std::string>& gone);
  Task<void> restart_tasks(std::vector<std::string> names, std::string reason, bool is_failure);
  Task<void> drain(std::vector<std::string> instances);
  void task_changed();
  void kill_where(const std::function<bool(const TaskRunner&)>& which, const std::string& reason);
  Task<void> kill_and_wait(std::function<bool(const TaskRunner&)> which);
  [[nodiscard]] bool none_runs(const std::function<bool(const TaskRunner&)>& which) const;
  void refresh_registrations();
  void restore_registrations();
  void follow_scripts();
  const std::string& script_task(const NodeCheck& check) const;
  Task<void> run_script(NodeCheck check);
  /// When the check's task is to be restarted, as it looks now (monotonic); nullopt: it is well.
  std::optional<int64_t> restart_due(const NodeCheck& check) const;
  struct Strategy {
    std::string health_check;
    int64_t min_healthy_time_ms = 0;
    int64_t healthy_deadline_ms = 0;
  };
  /// How this instance's health is judged; nullopt: not at all.
  std::optional<Strategy> strategy() const;
  bool healthy_now(const Strategy& strategy) const;
  bool any_failed() const;
  void set_healthy(bool healthy, const std::string& why);
  void begin_deployment();
  /// Keeps what was ordered, for the next save. True: it was another order.
  bool keep_order();

  NodeContext& context_;
  LocalState& disk_;
  AllocPtr alloc_;
  LocalAlloc local_;
  std::function<void(const std::string&)> changed_hook_;
  std::function<bool(const Allocation&)> ports_held_;
  std::vector<BusyPort> busy_ports_;
  std::vector<std::unique_ptr<TaskRunner>> tasks_;
  std::vector<ServiceRegistration> registrations_;
  std::vector<NodeCheck> checks_;     // of registrations_
  std::set<std::string> restarting_;  // tasks on their way down and up again
  std::set<std::string> draining_;    // registrations taken out before a signal
  struct Seen {
    CheckStatus status = CheckStatus::kCritical;
    int64_t since_ms = 0;
    int64_t since_wall_ns = 0;
    std::string output;  // of when the status came to be
  };
  std::map<std::string, Seen> seen_;  // by service id and check id
  struct Script {
    NodeCheck check;
    std::unique_ptr<Scope> loop;
  };
  std::map<std::string, Script> scripts_;  // by the same key
  std::string setup_error_;
  bool stopping_ = false;
  std::string again_;  // why all tasks are to run once more when they are down; "": they are not
  bool waits_for_ports_ = false;
  bool finished_ = false;
  uint64_t save_wanted_ = 0;
  uint64_t saved_ = 0;
  Event changed_;
  Event stop_wanted_;
  Event save_event_;
  Scope scope_;  // last: its tasks use all of the above
};

}  // namespace sluice::orchestrator
