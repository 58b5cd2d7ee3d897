// When allocations that are over have to leave a node: Nomad's client { gc_... } settings.
// Plain values and pure decisions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/disk.h"

namespace sluice::orchestrator {

/// Over any of these, what is over goes, the oldest first. What runs is not limited by them.
struct GcLimits {
  int64_t max_allocs = 50;
  double disk_usage_percent = 80;   // of the file system that the data folder is on
  double inode_usage_percent = 70;  // the same
  int64_t interval_ms = 60'000;     // between two looks at the disk
};

/// How many of `here` allocations are too many.
size_t excess_allocs(const GcLimits& limits, size_t here);

/// Why the next one has to go, for the log; "": it may stay.
std::string disk_trouble(const GcLimits& limits, const DiskSpace& space);

}  // namespace sluice::orchestrator
