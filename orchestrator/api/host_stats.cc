#include "orchestrator/api/host_stats.h"

#include <sys/statvfs.h>

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

}  // namespace

HostStats read_host_stats(const std::string& data_folder) {
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
  struct statvfs disk{};
  if (statvfs(data_folder.c_str(), &disk) == 0) {
    stats.disk_size = static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize;
    stats.disk_available = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
    stats.disk_mount = data_folder;
  }
  return stats;
}

void write_host_stats(JsonWriter& out, const HostStats& stats, int64_t cpu_mhz, int64_t now_ns) {
  const uint64_t disk_used = stats.disk_size - stats.disk_available;
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
  out.key("DiskStats").begin_array().begin_object();
  out.member("Device", stats.disk_mount).member("Mountpoint", stats.disk_mount);
  out.member("Size", stats.disk_size).member("Used", disk_used);
  out.member("Available", stats.disk_available);
  out.member("UsedPercent", stats.disk_size == 0 ? 0.0
                                                 : static_cast<double>(disk_used) /
                                                       static_cast<double>(stats.disk_size) * 100);
  out.end_object().end_array();
  out.key("AllocDirStats").null();
  out.key("DeviceStats").null();
  out.member("Uptime", stats.uptime_s);
  out.member("CPUTicksConsumed", stats.cpu_busy_percent / 100 * static_cast<double>(cpu_mhz));
  out.member("Timestamp", now_ns);
  out.end_object();
}

}  // namespace sluice::orchestrator::api
