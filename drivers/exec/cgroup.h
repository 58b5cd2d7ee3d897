// Control groups of the exec driver's tasks, version 1, version 2 or both on one machine.
//
// What for: memory and cpu limits, and word of an out-of-memory kill. A task's group is
// MOUNT/sluice/OWNER/RUN in each hierarchy that has a controller we need; OWNER names cluster and
// node, so that what is not ours is never touched. What the machine does not allow is said and not
// an error. Owner: the supervisor. Single-threaded; plain file operations.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::drivers::exec {

struct CgroupLimits {
  int64_t memory_bytes = 0;      // 0: none
  int64_t memory_max_bytes = 0;  // over memory_bytes: that is the limit, memory_bytes is kept free
  int64_t cpu_shares = 0;        // against the other tasks' (MHz)
};

/// A hierarchy with the controllers that are of use: of version 1, or 2 (`unified`).
struct CgroupMount {
  std::string path;
  bool unified = false;
  bool memory = false;
  bool cpu = false;
  bool operator==(const CgroupMount&) const = default;
};

/// From the text of /proc/self/mountinfo. The controllers of a unified one are read by
/// find_cgroup_mounts.
std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo);
std::vector<CgroupMount> find_cgroup_mounts();

/// Every folder that make_cgroups may make, for the record that is written before.
std::vector<std::string> cgroup_folders(const std::vector<CgroupMount>& mounts,
                                        const std::string& owner, const std::string& run);

struct Cgroups {
  std::vector<std::string> folders;  // one a hierarchy; the task joins each
  std::vector<std::string> missing;  // what could not be done, for the operator
};
/// Makes the groups, empty, with their limits. Idempotent.
Cgroups make_cgroups(const std::vector<CgroupMount>& mounts, const std::string& owner,
                     const std::string& run, const CgroupLimits& limits);
/// True where the kernel killed a process of the group for want of memory.
bool cgroups_saw_oom(const std::vector<std::string>& folders);
void kill_cgroups(const std::vector<std::string>& folders);
/// False: processes are still ending; say it again.
bool remove_cgroups(const std::vector<std::string>& folders);

/// cpu.weight (1 to 10000) for cpu.shares (2 to 262144), as the kernel's own conversion.
int64_t cpu_weight(int64_t shares);

}  // namespace sluice::drivers::exec
