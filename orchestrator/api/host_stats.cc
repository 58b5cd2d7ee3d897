#include "orchestrator/api/host_stats.h"

#include <cstdio>
#include <cstring>

namespace sluice::orchestrator::api {
namespace {

constexpr uint64_t kKiB = 1024;

/// Calls `line(text)` for each line of a small file of /proc.
template <class F>
void each_line(const char* path, F line) {
  FILE* file = std::fopen(path, "re");
  if (file == nullptr) return;
  char text[512];
  while (std::fgets(text, sizeof text, file) != nullptr) line(text);
  std::fclose(file);
}

void write_disk(JsonWriter& out, const HostStats& stats) {
  const DiskSpace& disk = stats.disk;
  out.begin_object();
  out.member("Device", stats.disk_mount).member("Mountpoint", stats.disk_mount);
  out.member("Size", disk.size_bytes).member("Used", disk.size_bytes - disk.available_bytes);
  out.member("Available", disk.available_bytes).member("UsedPercent", disk.used_percent);
  out.member("InodesUsedPercent", disk.inodes_used_percent);
  out.end_object();
}

}  // namespace

HostStats read_host_stats(Disk& disk, const std::string& data_folder) {
  HostStats stats;
  each_line("/proc/meminfo", [&](const char* line) {
    unsigned long long kib = 0;
    if (std::sscanf(line, "MemTotal: %llu", &kib) == 1) stats.memory_total = kib * kKiB;
    if (std::sscanf(line, "MemAvailable: %llu", &kib) == 1) stats.memory_available = kib * kKiB;
    if (std::sscanf(line, "MemFree: %llu", &kib) == 1) stats.memory_free = kib * kKiB;
  });
  each_line("/proc/uptime", [&](const char* line) {
    double seconds = 0;
    if (std::sscanf(line, "%lf", &seconds) == 1) stats.uptime_s = static_cast<uint64_t>(seconds);
  });
  each_line("/proc/stat", [&](const char* line) {
    unsigned long long user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0;
    if (std::strncmp(line, "cpu ", 4) != 0) return;
    if (std::sscanf(line, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
                    &wait, &irq, &soft) != 7) {
      return;
    }
    const auto busy = static_cast<double>(user + nice + system + irq + soft);
    const double all = busy + static_cast<double>(idle + wait);
    stats.cpu_busy_percent = all > 0 ? busy / all * 100 : 0;
  });
  if (Result<DiskSpace> space = disk.space(data_folder)) {
    stats.disk = *space;
    stats.disk_mount = data_folder;
  }
  return stats;
}

void write_host_stats(JsonWriter& out, const HostStats& stats, int64_t cpu_mhz, int64_t now_ns) {
  out.begin_object();
  out.key("Memory").begin_object();
  out.member("Total", stats.memory_total).member("Available", stats.memory_available);
  out.member("Used", stats.memory_total - stats.memory_available);
  out.member("Free", stats.memory_free);
  out.end_object();
  out.key("CPU").begin_array().begin_object();
  out.member("CPU", "total").member("Total", stats.cpu_busy_percent);
  out.member("Idle", 100 - stats.cpu_busy_percent);
  out.end_object().end_array();
  out.key("DiskStats").begin_array();
  write_disk(out, stats);
  out.end_array();
  out.key("AllocDirStats");
  write_disk(out, stats);
  out.key("DeviceStats").null();
  out.member("Uptime", stats.uptime_s);
  out.member("CPUTicksConsumed", stats.cpu_busy_percent / 100 * static_cast<double>(cpu_mhz));
  out.member("Timestamp", now_ns);
  out.end_object();
}

}  // namespace sluice::orchestrator::api
