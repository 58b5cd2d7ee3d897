#include "orchestrator/node/fingerprint.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string_view>

#include "core/cpu_list.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kMegabyte = 1024 * 1024;
constexpr int64_t kUnknownCpuMhz = 1000;  // a core of which nothing is known

/// The value behind the first line of /proc/cpuinfo that begins with `key`.
std::string cpuinfo(std::string_view key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

int64_t core_mhz() {
  // The greatest frequency where the kernel tells it, else the present one.
  std::ifstream file("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq");
  int64_t khz = 0;
  if (file >> khz && khz > 0) return khz / 1000;
  const double mhz = std::strtod(cpuinfo("cpu MHz").c_str(), nullptr);
  return mhz > 0 ? static_cast<int64_t>(mhz) : kUnknownCpuMhz;
}

std::string first_global_ip() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return "127.0.0.1";
  std::string found = "127.0.0.1";
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    if ((entry->ifa_flags & IFF_LOOPBACK) != 0 || (entry->ifa_flags & IFF_UP) == 0) continue;
    const std::string_view name = entry->ifa_name;
    if (name.starts_with("docker") || name.starts_with("br-") || name.starts_with("veth")) continue;
    char text[INET_ADDRSTRLEN];
    const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
    inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
    found = text;
    break;
  }
  freeifaddrs(list);
  return found;
}

}  // namespace

Result<void> fingerprint_host(const std::string& data_folder, const std::string& interface_ip,
                              Node& node) {
  utsname system{};
  if (uname(&system) != 0) return fail_errno(errno, "uname");
  struct sysinfo memory{};
  if (sysinfo(&memory) != 0) return fail_errno(errno, "sysinfo");
  struct statvfs disk{};
  if (statvfs(data_folder.c_str(), &disk) != 0) return fail_errno(errno, "statvfs " + data_folder);

  node.cpu_cores = std::max<int64_t>(sysconf(_SC_NPROCESSORS_ONLN), 1);
  node.cores = allowed_cpus();
  const int64_t mhz = core_mhz();
  node.cpu_mhz = node.cpu_cores * mhz;
  node.memory_mb = static_cast<int64_t>(memory.totalram) * memory.mem_unit / kMegabyte;
  const auto block = static_cast<int64_t>(disk.f_frsize);
  node.disk_mb = static_cast<int64_t>(disk.f_bavail) * block / kMegabyte;
  node.ip = interface_ip.empty() ? first_global_ip() : interface_ip;
  if (node.name.empty()) node.name = system.nodename;

  auto& a = node.attributes;
  a["kernel.name"] = "linux";
  a["kernel.version"] = system.release;
  a["kernel.arch"] = system.machine;
  a["cpu.arch"] = std::string_view(system.machine) == "x86_64"    ? "amd64"
                  : std::string_view(system.machine) == "aarch64" ? "arm64"
                                                                  : system.machine;
  a["cpu.numcores"] = fmt::format("{}", node.cpu_cores);
  a["cpu.frequency"] = fmt::format("{}", mhz);
  a["cpu.totalcompute"] = fmt::format("{}", node.cpu_mhz);
  a["cpu.modelname"] = cpuinfo("model name");
  a["memory.totalbytes"] =
      fmt::format("{}", static_cast<int64_t>(memory.totalram) * memory.mem_unit);
  a["unique.hostname"] = system.nodename;
  a["unique.network.ip-address"] = node.ip;
  a["unique.storage.volume"] = data_folder;
  a["unique.storage.bytestotal"] = fmt::format("{}", static_cast<int64_t>(disk.f_blocks) * block);
  a["unique.storage.bytesfree"] = fmt::format("{}", static_cast<int64_t>(disk.f_bavail) * block);
  std::ifstream release("/etc/os-release");
  for (std::string line; std::getline(release, line);) {
    const auto value = [&line](std::string_view key) {
      std::string text = line.substr(key.size());
      std::erase(text, '"');
      return text;
    };
    if (line.starts_with("ID=")) a["os.name"] = value("ID=");
    if (line.starts_with("VERSION_ID=")) a["os.version"] = value("VERSION_ID=");
  }
  a["nomad.version"] =
      "1.4.0";  // what job files' constraints compare with: the language level we speak
  a["sluice.version"] = SLUICE_VERSION;
  return {};
}

}  // namespace sluice::orchestrator
