// The services of a group as its first instance would register them, as far as its job alone says:
// for whoever has to know them while there is no instance. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/job.h"

namespace sluice::orchestrator {

struct GroupService {
  std::string name;
  StringList tags;
  StringMap canary_meta;

  bool operator==(const GroupService&) const = default;
};

/// Those without a check get no traffic and are left out.
std::vector<GroupService> group_services(const Job& job, const TaskGroup& group);

}  // namespace sluice::orchestrator
