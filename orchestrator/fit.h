// Fit: whether an allocation's share fits on a node beside what is there, and which ports it gets.
//
// The one function for scheduling, dry run and the check before a commit. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/random.h"
#include "orchestrator/state.h"

namespace sluice::orchestrator {

struct PortAsk {
  std::string task;  // "": the group's network
  std::string label;
  uint16_t fixed = 0;  // 0: dynamic
  int64_t to = 0;
};

struct CoreAsk {
  std::string task;
  int64_t count = 0;
};

/// What one instance of a group takes, tasks and group together.
struct GroupAsk {
  int64_t cpu_mhz = 0;  // of the tasks that share cores
  int64_t memory_mb = 0;
  int64_t disk_mb = 0;
  std::vector<PortAsk> ports;
  std::vector<CoreAsk> cores;

  /// Those that have cores for themselves counted in: that depends on the node.
  [[nodiscard]] int64_t cpu_mhz_on(const Node& node) const;
};
GroupAsk ask_of(const TaskGroup& group);

/// What a node offers to allocations.
struct Capacity {
  int64_t cpu_mhz;
  int64_t memory_mb;
  int64_t disk_mb;
};
Capacity capacity_of(const Node& node);

/// What a placement is given by number.
struct Assigned {
  std::vector<AssignedPort> ports;
  std::vector<AssignedCores> cores;

  /// Takes it all, with the ask's share, from what is left on the node.
  void take(const Node& node, const GroupAsk& ask, Usage& usage) const;
};

/// "" where the ask fits beside `usage`, with `given` filled; else the dimension that is exhausted:
/// "cpu", "cores", "memory", "disk", "network: reserved port collision http=8080 (proxy listener)",
/// "network: dynamic port selection failed". `random` chooses the dynamic ports.
std::string fit(const Node& node, const Usage& usage, const GroupAsk& ask, int64_t now_ns,
                Random& random, Assigned& given);

/// The same for an allocation that has its ports and cores already.
std::string fits_as_it_is(const Node& node, const Usage& usage, const Allocation& alloc,
                          int64_t now_ns);

/// What makes two nodes alike for feasibility, as text: everything but what is `unique.`.
std::string computed_class(const Node& node);

}  // namespace sluice::orchestrator
