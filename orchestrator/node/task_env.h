// What a task sees of the cluster: its environment, and the `${...}` in its config, services and
// tags (reference: the job language's runtime interpolation). Pure. Owner: the task's runner.
// Values may be secrets: never logged.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "orchestrator/records.h"

namespace sluice::orchestrator {

struct TaskFolders {
  std::string alloc;    // NOMAD_ALLOC_DIR
  std::string local;    // NOMAD_TASK_DIR
  std::string secrets;  // NOMAD_SECRETS_DIR
  std::string task;     // the parent of local and secrets
  std::string logs;
};

class TaskEnv {
 public:
  TaskEnv(const Node& node, const Allocation& alloc, const TaskConfig& task,
          const TaskFolders& folders, std::string_view region);

  /// Variables from elsewhere (templates), over those of the job file.
  void add(const std::map<std::string, std::string>& variables);

  /// Every variable the task gets: NOMAD_*, then the `env` block with its `${...}` filled in.
  const std::map<std::string, std::string>& variables() const { return variables_; }
  /// `${NAME}`, `${env["NAME"]}`, `${node.*}`, `${attr.*}`, `${meta.*}` filled in. What is not
  /// known stays as written, as Nomad does.
  std::string expand(std::string_view text) const;
  /// The same for every string in the value; keys too.
  Json expand_json(const Json& value) const;

 private:
  void add_identity(const Node& node, const Allocation& alloc, const TaskConfig& task,
                    const TaskFolders& folders, std::string_view region);
  void add_ports(const Allocation& alloc, const TaskConfig& task);
  void add_meta(const Allocation& alloc, const TaskConfig& task);

  std::map<std::string, std::string> variables_;
  std::map<std::string, std::string>
      node_values_;  // "node.datacenter", "attr.cpu.arch", "meta.rack"
};

/// The port a container listens on for a label, by the driver's port_map or the network's `to`;
/// else the host's port.
uint16_t port_inside(const TaskConfig& task, const AssignedPort& port);

}  // namespace sluice::orchestrator
