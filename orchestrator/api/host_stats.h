// What the machine uses now, for /v1/client/stats.
//
// Blocks on /proc and the disk for a few system calls: use it on the pool.
#pragma once

#include <cstdint>
#include <string>

#include "core/disk.h"
#include "core/json.h"

namespace sluice::orchestrator::api {

struct HostStats {
  uint64_t memory_total = 0;
  uint64_t memory_available = 0;
  uint64_t memory_free = 0;
  DiskSpace disk;  // of the data folder's file system
  uint64_t uptime_s = 0;
  std::string disk_mount;
  double cpu_busy_percent = 0;  // of all cores, since the machine started
};

HostStats read_host_stats(Disk& disk, const std::string& data_folder);

void write_host_stats(JsonWriter& out, const HostStats& stats, int64_t cpu_mhz, int64_t now_ns);

}  // namespace sluice::orchestrator::api
