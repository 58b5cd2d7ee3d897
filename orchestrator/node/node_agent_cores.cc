// The part of the node that deals out processor cores: those that tasks have for themselves are
// nobody else's, and all other tasks share the rest.
#include <algorithm>

#include "orchestrator/node/node_agent.h"

namespace sluice::orchestrator {

/// What the configuration leaves of the machine's cores for tasks, and of these for tasks alone.
Result<void> NodeAgent::set_aside_cores() {
  Node& node = context_.node;
  const CpuList machine = node.cores;
  const NodeOptions& options = context_.options;
  for (const auto& [name, cores] : {std::pair("reservable_cores", options.reservable_cores),
                                    std::pair("reserved cores", options.reserved_cores)}) {
    const CpuList missing = cpus_without(cores, machine);
    if (missing.empty()) continue;
    return fail(Code::kInvalid,
                "client {} = \"{}\": the agent may not run on core {}; it may on {}", name,
                format_cpu_list(cores), format_cpu_list(missing), format_cpu_list(machine));
  }
  node.reserved_cores = options.reserved_cores;
  common_cores_ = cpus_without(machine, options.reserved_cores);
  node.cores = options.reservable_cores.empty()
                   ? common_cores_
                   : cpus_without(options.reservable_cores, options.reserved_cores);
  node.attributes["cpu.reservablecores"] = std::to_string(node.cores.size());
  // Cores that are reserved are worth what they are worth, unless the configuration says more.
  node.reserved_cpu_mhz = std::max(
      node.reserved_cpu_mhz, static_cast<int64_t>(options.reserved_cores.size()) * node.core_mhz());
  context_.all_cpus = format_cpu_list(machine);
  share_cores();
  return {};
}

/// Where tasks without cores of their own run from now on; moves those that run.
void NodeAgent::share_cores() {
  CpuList taken;
  for (const auto& [id, runner] : runners_) {
    if (runner->finished()) continue;
    for (const AssignedCores& each : runner->alloc().cores) {
      taken.insert(taken.end(), each.cores.begin(), each.cores.end());
    }
  }
  std::ranges::sort(taken);
  CpuList left = cpus_without(common_cores_, taken);
  // Never so while the scheduler counts their worth as taken; after a change of the machine it may
  // be, and then all share all.
  if (left.empty()) left = common_cores_;
  std::string text = format_cpu_list(left);
  context_.shared_cpus = text == context_.all_cpus ? "" : std::move(text);
  for (const auto& [id, runner] : runners_) {
    for (const auto& task : runner->tasks()) task->follow_cpus();
  }
}

}  // namespace sluice::orchestrator
