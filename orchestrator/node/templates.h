// TaskTemplates: the `template` blocks of one task: rendered before it starts, watched while it
// runs, and what a change of them asks for.
//
// Owner: the task's runner. Thread: the control loop; files are written in place, for they are
// small. Destroying it ends the watching and leaves the files.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/node/task_env.h"
#include "orchestrator/node/template_inputs.h"

namespace sluice::orchestrator {

/// The lines of an environment file: NAME=value, `export` before it, quotes around the value, # for
/// comments.
Result<StringMap> parse_env_file(std::string_view text);

class TaskTemplates {
 public:
  struct Hooks {
    std::function<void(std::string message)> event;  // for the task's events
    std::function<void(std::string reason)> restart;
    std::function<void(std::string signal)> signal;
  };

  TaskTemplates(NodeContext& context, const std::vector<Template>& templates, TaskFolders folders,
                Hooks hooks);

  /// Renders and writes all of them; ready once that was possible, which may take as long as
  /// something is missing.
  Task<Result<void>> render_all(const TaskEnv& environment);
  /// For a task that runs since before this agent: what its files say now is compared with what is
  /// there, and a difference acted on.
  Task<void> take_over(const TaskEnv& environment);
  /// Variables from templates with `env = true`, of the last rendering.
  [[nodiscard]] const StringMap& variables() const { return variables_; }
  /// Renders again at each news, and calls the hooks where a file has changed. Until cancelled.
  Task<void> watch(const TaskEnv& environment);
  void service_changed(const std::string& service) { inputs_.service_changed(service); }

 private:
  struct Item {
    const Template* spec = nullptr;
    std::optional<text_template::Template> parsed;
    std::string source;  // that `parsed` was made of
    std::string rendered;
    bool written = false;
  };
  struct Round {
    bool whole = false;  // nothing was missing
    std::vector<Item*> changed;
  };
  Result<Round> render(const TaskEnv& environment);
  Result<std::string> source_of(const Template& spec, const TaskEnv& environment);
  Result<void> parse(Item& item, std::string source, const text_template::Functions& functions);
  Result<void> write(Item& item, const TaskEnv& environment);
  Result<void> take_variables(const Item& item);
  [[nodiscard]] bool is_there(const Item& item, const TaskEnv& environment) const;
  Task<Result<void>> wait_until_whole(const TaskEnv& environment);
  Task<Result<void>> wait_until_believed(const TaskEnv& environment);
  void act(const std::vector<Item*>& changed);

  NodeContext& context_;
  TaskFolders folders_;
  Hooks hooks_;
  std::vector<Item> items_;
  StringMap variables_;
  Event changed_;
  TemplateInputs inputs_;
};

}  // namespace sluice::orchestrator
