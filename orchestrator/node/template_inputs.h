// What templates of a task read from: its environment, Consul's keys, services, files. Values are
// looked up in what has come so far; what has not is noted, fetched and waited for, and the
// templates are rendered again.
//
// Owner: the task's templates. Thread: the control loop. Functions are those of consul-template but
// for Vault's, plugins and sprig, which are refused by name.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/scope.h"
#include "core/text_template/template.h"
#include "orchestrator/catalog.h"
#include "orchestrator/node/context.h"

namespace sluice::orchestrator {

class TemplateInputs {
 public:
  /// `changed` is pulsed at each news of something that was asked for.
  TemplateInputs(NodeContext& context, Event& changed);

  /// For one rendering: functions over what is here. Clears what was noted.
  const text_template::Functions& begin(const std::map<std::string, std::string>& environment,
                                        const std::string& task_folder,
                                        const std::string& alloc_folder);
  /// What the last rendering still waits for, for people: "kv.block(a/b)"; empty: it was whole.
  [[nodiscard]] const std::set<std::string>& missing() const { return missing_; }
  /// Why something asked for cannot be had; the rendering is of no use then.
  [[nodiscard]] const std::optional<Error>& trouble() const { return trouble_; }
  /// The templates name services, or ask for all.
  [[nodiscard]] bool uses_services() const { return all_services_used_ || !services_used_.empty(); }
  /// Starts to fetch and watch what was asked for and is not watched yet.
  void follow();
  /// A service's instances changed.
  void service_changed(const std::string& service);

 private:
  struct Key {
    bool here = false;
    std::optional<std::string> value;
  };
  struct Folder {
    bool here = false;
    std::map<std::string, std::string> values;
  };
  std::optional<std::string> key(const std::string& name, bool must_exist);
  const std::map<std::string, std::string>* folder(const std::string& prefix, bool must_exist);
  Result<Json> service(std::span<const Json> arguments);
  Result<Json> services();
  Result<Json> file(const std::string& path);
  void add_data_functions();
  /// Until cancelled, or until it cannot be had. `ask(index)` answers when there is something
  /// newer; `take` keeps an answer and says whether it is news.
  template <class Ask, class Take>
  Task<void> follow(Ask ask, Take take);
  Task<void> follow_key(std::string name);
  Task<void> follow_folder(std::string prefix);

  NodeContext& context_;
  Event& changed_;
  text_template::Functions functions_;
  const std::map<std::string, std::string>* environment_ = nullptr;
  std::string task_folder_, alloc_folder_;
  std::map<std::string, Key> keys_;
  std::map<std::string, Folder> folders_;
  std::set<std::string> services_used_;
  bool all_services_used_ = false;
  std::set<std::string> followed_;  // keys, and folders with a slash before them
  std::set<std::string> missing_;
  std::optional<Error> trouble_;
  Scope scope_;
};

/// The functions of templates that need nothing from outside: base64Encode, toUpper, join, ...
void add_template_helpers(text_template::Functions& functions);
/// Every function that a task's template may call; for checking a template before it runs.
const text_template::Functions& known_template_functions();

}  // namespace sluice::orchestrator
