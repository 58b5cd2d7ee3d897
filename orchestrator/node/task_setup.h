// TaskSetup: what must be there before a task starts: its payload, its artifacts, its templates.
//
// Owner: the task's runner. Thread: the control loop.
#pragma once

#include <functional>
#include <string>

#include "core/scope.h"
#include "orchestrator/node/templates.h"

namespace sluice::orchestrator {

class TaskSetup {
 public:
  struct Hooks {
    std::function<void(std::string type, std::string message)> event;
    std::function<void(std::string reason)> restart;
    std::function<void(std::string signal)> signal;
  };

  TaskSetup(NodeContext& context, const Job& job, const TaskConfig& task, TaskFolders folders,
            Hooks hooks);

  /// Before a start. `fetched`: the payload and the artifacts are there since an earlier one.
  Task<Result<void>> prepare(const TaskEnv& environment, bool fetched);
  [[nodiscard]] const StringMap& variables() const { return templates_.variables(); }
  /// The task runs: from now on changes of its templates are acted on; `taken_over`: also those
  /// that came while no agent was there. `environment` outlives this.
  void watch(const TaskEnv& environment, bool taken_over);
  void service_changed(const std::string& service) { templates_.service_changed(service); }

 private:
  Result<void> write_payload();
  Task<void> follow_templates(const TaskEnv& environment, bool taken_over);

  NodeContext& context_;
  const std::string payload_;  // base64
  const TaskConfig task_;
  TaskFolders folders_;
  Hooks hooks_;
  TaskTemplates templates_;
  bool watching_ = false;
  Scope scope_;
};

}  // namespace sluice::orchestrator
