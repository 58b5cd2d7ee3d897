// Feasible: whether a node may run a group at all, however empty it is: datacenter, drivers,
// constraints, volumes, network mode.
//
// Pure. An instance serves one job version and one thread; it remembers the answers by node class,
// so that thousands of like nodes cost one look.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "orchestrator/records.h"

namespace sluice::orchestrator {

/// The job's datacenters (with `*` and `?`) and its node pool.
bool in_scope(const Job& job, const Node& node);

class Feasibility {
 public:
  Feasibility(const Job& job, const TaskGroup& group);

  /// "" where the node may run the group; else what filters it, as Nomad names it:
  /// "missing drivers", "${attr.kernel.name} = windows", "missing compatible host volumes".
  const std::string& why_not(const Node& node);
  /// A driver that the group needs is there and does not answer now: a start would wait for it, so
  /// such a node is the last choice.
  [[nodiscard]] bool would_wait(const Node& node) const;

 private:
  [[nodiscard]] std::string look(const Node& node) const;
  const Job& job_;
  const TaskGroup& group_;
  bool by_class_ = true;  // no constraint looks at what is unique to a node
  std::unordered_map<std::string, std::string> answers_;  // looked up, never walked
  std::string answer_;
};

/// What decides whether an allocation can stay and take the new version over (in place) or must be
/// made anew (destructive): driver, user, config, env, artifacts, templates, mounts, meta,
/// networks, resources, disk, the set of tasks.
bool needs_new_alloc(const Job& before, const Job& after, std::string_view group);

}  // namespace sluice::orchestrator
