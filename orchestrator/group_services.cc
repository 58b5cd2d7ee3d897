#include "orchestrator/group_services.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "orchestrator/fit.h"
#include "orchestrator/node/services.h"

namespace sluice::orchestrator {

namespace {

constexpr const char* kNoAddress = "0.0.0.0";

}  // namespace

std::vector<GroupService> group_services(const Job& job, const TaskGroup& group) {
  // On a node of which nothing is known.
  Node nowhere;
  nowhere.attributes["unique.network.ip-address"] = kNoAddress;
  Allocation first;
  first.name = fmt::format("{}.{}[0]", job.id, group.name);
  first.job = std::make_shared<Job>(job);
  first.group = group.name;
  for (const PortAsk& port : ask_of(group).ports) {
    first.ports.push_back({port.task, port.label, kNoAddress, port.fixed, 0});
  }
  std::vector<GroupService> found;
  const auto add = [&](const TaskConfig& task, const TaskConfig* own,
                       const std::vector<Service>& services) {
    const TaskEnv environment(nowhere, first, task, TaskFolders{}, job.region);
    for (const Service& service : services) {
      std::vector<NodeCheck> checks;
      std::vector<std::string> problems;
      for (ServiceRegistration& each :
           make_registrations("", first, own, {service}, environment, {}, checks, problems)) {
        if (each.checks.empty()) continue;
        found.push_back({std::move(each.name), std::move(each.tags), service.canary_meta});
      }
    }
  };
  for (const TaskConfig& task : group.tasks) add(task, &task, task.services);
  if (!group.tasks.empty()) add(group.tasks.front(), nullptr, group.services);
  return found;
}

}  // namespace sluice::orchestrator
