#include "orchestrator/node/gc_limits.h"

#include <fmt/core.h>

#include <algorithm>

namespace sluice::orchestrator {

size_t excess_allocs(const GcLimits& limits, size_t here) {
  const auto allowed = static_cast<size_t>(std::max<int64_t>(limits.max_allocs, 0));
  return here > allowed ? here - allowed : 0;
}

std::string disk_trouble(const GcLimits& limits, const DiskSpace& space) {
  if (space.used_percent > limits.disk_usage_percent) {
    return fmt::format("{:.0f} % of the disk is used, over gc_disk_usage_threshold = {:g}",
                       space.used_percent, limits.disk_usage_percent);
  }
  if (space.inodes_used_percent > limits.inode_usage_percent) {
    return fmt::format("{:.0f} % of the inodes are used, over gc_inode_usage_threshold = {:g}",
                       space.inodes_used_percent, limits.inode_usage_percent);
  }
  return {};
}

}  // namespace sluice::orchestrator
