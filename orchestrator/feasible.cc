#include "orchestrator/feasible.h"

#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/constraint.h"

namespace sluice::orchestrator {

namespace {

/// `*` any run of characters, `?` any one.
bool glob_matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool is_distinct(const Constraint& constraint) {
  return constraint.operand == "distinct_hosts" || constraint.operand == "distinct_property";
}

/// Healthy or not: a Docker that restarts must not move what runs, and what is to start waits.
bool driver_there(const Node& node, const std::string& name) {
  const auto found = node.drivers.find(name);
  return found != node.drivers.end() && found->second.detected;
}

/// With what the driver, or the node in its place, says of why it is not there.
std::string missing_driver(const Node& node, const std::string& name) {
  const auto found = node.drivers.find(name);
  const std::string why = found == node.drivers.end() ? "" : found->second.description;
  return fmt::format("missing drivers \"{}\"{}", name, why.empty() ? "" : " (" + why + ")");
}

}  // namespace

bool in_scope(const Job& job, const Node& node) {
  if (job.node_pool != "all" && job.node_pool != node.node_pool) return false;
  return std::any_of(job.datacenters.begin(), job.datacenters.end(),
                     [&](const std::string& dc) { return glob_matches(dc, node.datacenter); });
}

Feasibility::Feasibility(const Job& job, const TaskGroup& group) : job_(job), group_(group) {
  const auto look_at = [&](const std::vector<Constraint>& constraints) {
    for (const Constraint& constraint : constraints) {
      if (is_unique_target(constraint.l_target) || is_unique_target(constraint.r_target)) {
        by_class_ = false;
      }
    }
  };
  look_at(job.constraints);
  look_at(group.constraints);
  for (const TaskConfig& task : group.tasks) look_at(task.constraints);
}

const std::string& Feasibility::why_not(const Node& node) {
  if (!by_class_ || node.computed_class.empty()) {
    answer_ = look(node);
    return answer_;
  }
  const auto found = answers_.find(node.computed_class);
  if (found != answers_.end()) return found->second;
  return answers_.emplace(node.computed_class, look(node)).first->second;
}

bool Feasibility::would_wait(const Node& node) const {
  return std::any_of(group_.tasks.begin(), group_.tasks.end(), [&](const TaskConfig& task) {
    const auto found = node.drivers.find(task.driver);
    return found != node.drivers.end() && !found->second.healthy;
  });
}

std::string Feasibility::look(const Node& node) const {
  const auto broken = [&](const std::vector<Constraint>& constraints) -> std::string {
    for (const Constraint& constraint : constraints) {
      if (is_distinct(constraint)) continue;
      if (!constraint_holds(constraint.l_target, constraint.operand, constraint.r_target, node)) {
        return to_string(constraint);
      }
    }
    return {};
  };
  if (std::string why = broken(job_.constraints); !why.empty()) return why;
  for (const TaskConfig& task : group_.tasks) {
    if (!driver_there(node, task.driver)) return missing_driver(node, task.driver);
  }
  if (std::string why = broken(group_.constraints); !why.empty()) return why;
  for (const TaskConfig& task : group_.tasks) {
    if (std::string why = broken(task.constraints); !why.empty()) return why;
  }
  for (const auto& [name, volume] : group_.volumes) {
    const auto found = node.host_volumes.find(volume.source);
    if (found == node.host_volumes.end() || (found->second.read_only && !volume.read_only)) {
      return "missing compatible host volumes";
    }
  }
  return {};
}

namespace {

bool same_networks(const std::vector<Network>& a, const std::vector<Network>& b) {
  // mbits is not enforced, so a change of it restarts nothing.
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    Network x = a[i], y = b[i];
    x.mbits = y.mbits = 0;
    if (x != y) return false;
  }
  return true;
}

bool same_meta(const Job& a, const Job& b, const TaskGroup& x, const TaskGroup& y,
               const TaskConfig& p, const TaskConfig& q) {
  const auto merged = [](const Job& job, const TaskGroup& group, const TaskConfig& task) {
    StringMap meta = task.meta;
    meta.insert(group.meta.begin(), group.meta.end());
    meta.insert(job.meta.begin(), job.meta.end());
    return meta;
  };
  return merged(a, x, p) == merged(b, y, q);
}

}  // namespace

bool needs_new_alloc(const Job& before, const Job& after, std::string_view group) {
  const TaskGroup* x = before.group(group);
  const TaskGroup* y = after.group(group);
  if (!x || !y || x->tasks.size() != y->tasks.size()) return true;
  if (x->ephemeral_disk != y->ephemeral_disk || x->volumes != y->volumes) return true;
  if (!same_networks(x->networks, y->networks)) return true;
  if (before.affinities != after.affinities || before.spreads != after.spreads) return true;
  if (x->affinities != y->affinities || x->spreads != y->spreads) return true;
  for (const TaskConfig& p : x->tasks) {
    const TaskConfig* q = y->task(p.name);
    if (!q) return true;
    if (p.driver != q->driver || p.user != q->user || p.config != q->config || p.env != q->env ||
        p.artifacts != q->artifacts || p.templates != q->templates ||
        p.volume_mounts != q->volume_mounts || p.lifecycle != q->lifecycle ||
        p.leader != q->leader || p.dispatch_payload != q->dispatch_payload ||
        p.affinities != q->affinities) {
      return true;
    }
    if (!same_meta(before, after, *x, *y, p, *q)) return true;
    if (p.resources->cpu_mhz != q->resources->cpu_mhz ||
        p.resources->memory_mb != q->resources->memory_mb ||
        p.resources->memory_max_mb != q->resources->memory_max_mb ||
        p.resources->cores != q->resources->cores) {
      return true;
    }
    if (!same_networks(p.resources->networks, q->resources->networks)) return true;
  }
  return false;
}

}  // namespace sluice::orchestrator
