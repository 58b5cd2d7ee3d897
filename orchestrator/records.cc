#include "orchestrator/records.h"

#include <charconv>

#include "core/check.h"

namespace sluice::orchestrator {

const AssignedCores* Allocation::cores_of(std::string_view task) const {
  for (const AssignedCores& each : cores) {
    if (each.task == task) return &each;
  }
  return nullptr;
}

int64_t Allocation::task_cpu_mhz(const TaskConfig& task) const {
  const AssignedCores* own = cores_of(task.name);
  return own ? own->cpu_mhz : task.resources->cpu_mhz;
}

const TaskGroup& Allocation::task_group() const {
  const TaskGroup* found = job->group(group);
  CHECK(found);
  return *found;
}

int64_t Allocation::name_index() const {
  const size_t open = name.rfind('[');
  if (open == std::string::npos || name.back() != ']') return -1;
  int64_t number = -1;
  const char* end = name.data() + name.size() - 1;
  const auto [at, error] = std::from_chars(name.data() + open + 1, end, number);
  return error == std::errc() && at == end ? number : -1;
}

}  // namespace sluice::orchestrator
