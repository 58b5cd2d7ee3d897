#include "orchestrator/records.h"

#include <charconv>

#include "core/check.h"

namespace sluice::orchestrator {

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
