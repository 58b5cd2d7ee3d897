#include "drivers/exec/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "drivers/exec/proc.h"

namespace sluice::drivers::exec {
namespace {

constexpr int64_t kLeastMemoryBytes = 4 << 20;

std::string_view next_word(std::string_view& text, char separator) {
  size_t end = std::min(text.find(separator), text.size());
  std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

bool has_word(std::string_view list, std::string_view word, char separator) {
  while (!list.empty()) {
    if (next_word(list, separator) == word) return true;
  }
  return false;
}

int write_value(const std::string& path, std::string_view value) {
  Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno;
  return write(fd.get(), value.data(), value.size()) < 0 ? errno : 0;
}

int write_number(const std::string& path, int64_t value) {
  return write_value(path, std::to_string(value));
}

int make_folder(const std::string& path) {
  return mkdir(path.c_str(), 0755) == 0 || errno == EEXIST ? 0 : errno;
}

std::string read_text(const std::string& path) {
  return read_small_file(AT_FDCWD, path.c_str()).value_or("");
}

/// Gives `folder` and what is below it the controllers of version 2.
int enable_controllers(const CgroupMount& mount, const std::string& folder) {
  int error_number = 0;
  if (mount.memory) error_number = write_value(folder + "/cgroup.subtree_control", "+memory");
  if (mount.cpu && error_number == 0) {
    error_number = write_value(folder + "/cgroup.subtree_control", "+cpu");
  }
  return error_number;
}

int limit_memory(const CgroupMount& mount, const std::string& folder, const CgroupLimits& limits) {
  if (limits.memory_bytes <= 0) return 0;
  int64_t wanted = std::max(limits.memory_bytes, kLeastMemoryBytes);
  int64_t most = std::max(wanted, limits.memory_max_bytes);
  if (mount.unified) {
    int error_number = write_number(folder + "/memory.max", most);
    // Without swap accounting these are not there, and there is nothing to limit.
    write_value(folder + "/memory.swap.max", "0");
    if (most > wanted) write_number(folder + "/memory.low", wanted);
    return error_number;
  }
  int error_number = write_number(folder + "/memory.limit_in_bytes", most);
  write_number(folder + "/memory.memsw.limit_in_bytes", most);
  if (most > wanted) write_number(folder + "/memory.soft_limit_in_bytes", wanted);
  return error_number;
}

int limit_cpu(const CgroupMount& mount, const std::string& folder, const CgroupLimits& limits) {
  if (limits.cpu_shares <= 0) return 0;
  if (mount.unified) return write_number(folder + "/cpu.weight", cpu_weight(limits.cpu_shares));
  return write_number(folder + "/cpu.shares", std::max<int64_t>(2, limits.cpu_shares));
}

}  // namespace

int64_t cpu_weight(int64_t shares) {
  shares = std::clamp<int64_t>(shares, 2, 262144);
  return 1 + (shares - 2) * 9999 / 262142;
}

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo) {
  // proc(5): ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAGS...] - TYPE SOURCE SUPER-OPTIONS
  std::vector<CgroupMount> mounts;
  while (!mountinfo.empty()) {
    std::string_view line = next_word(mountinfo, '\n');
    std::string_view left = line.substr(0, line.find(" - "));
    if (left.size() == line.size()) continue;
    std::string_view right = line.substr(left.size() + 3);
    for (int skip = 0; skip < 4; ++skip) next_word(left, ' ');
    CgroupMount mount;
    mount.path = next_word(left, ' ');
    std::string_view type = next_word(right, ' ');
    next_word(right, ' ');
    mount.unified = type == "cgroup2";
    if (!mount.unified && type != "cgroup") continue;
    mount.memory = !mount.unified && has_word(right, "memory", ',');
    mount.cpu = !mount.unified && has_word(right, "cpu", ',');
    if (mount.unified || mount.memory || mount.cpu) mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::vector<CgroupMount> find_cgroup_mounts() {
  // Read whole: a machine with many containers has many mounts.
  std::string text =
      read_small_file(AT_FDCWD, "/proc/self/mountinfo", size_t{16} << 20).value_or("");
  std::vector<CgroupMount> mounts = parse_cgroup_mounts(text);
  for (CgroupMount& mount : mounts) {
    if (!mount.unified) continue;
    std::string controllers = read_text(mount.path + "/cgroup.controllers");
    while (!controllers.empty() && controllers.back() == '\n') controllers.pop_back();
    mount.memory = has_word(controllers, "memory", ' ');
    mount.cpu = has_word(controllers, "cpu", ' ');
  }
  std::erase_if(mounts, [](const CgroupMount& mount) { return !mount.memory && !mount.cpu; });
  return mounts;
}

std::vector<std::string> cgroup_folders(const std::vector<CgroupMount>& mounts,
                                        const std::string& owner, const std::string& run) {
  std::vector<std::string> folders;
  for (const CgroupMount& mount : mounts) {
    folders.push_back(mount.path + "/sluice/" + owner + "/" + run);
  }
  return folders;
}

Cgroups make_cgroups(const std::vector<CgroupMount>& mounts, const std::string& owner,
                     const std::string& run, const CgroupLimits& limits) {
  Cgroups made;
  bool memory = false;
  bool cpu = false;
  for (const CgroupMount& mount : mounts) {
    if ((memory || !mount.memory) && (cpu || !mount.cpu)) continue;  // bound again elsewhere
    std::string folder = mount.path;
    int error_number = mount.unified ? enable_controllers(mount, folder) : 0;
    for (const std::string& part : {std::string("sluice"), owner, run}) {
      if (error_number != 0) break;
      folder += "/" + part;
      error_number = make_folder(folder);
      if (error_number == 0 && mount.unified && part != run) {
        error_number = enable_controllers(mount, folder);
      }
    }
    if (error_number == 0 && mount.memory) error_number = limit_memory(mount, folder, limits);
    if (error_number == 0 && mount.cpu) error_number = limit_cpu(mount, folder, limits);
    if (error_number != 0) {
      made.missing.push_back(folder + ": " + strerror(error_number));
      continue;
    }
    memory = memory || mount.memory;
    cpu = cpu || mount.cpu;
    made.folders.push_back(std::move(folder));
  }
  if (!memory && limits.memory_bytes > 0) made.missing.insert(made.missing.begin(), "memory limit");
  if (!cpu && limits.cpu_shares > 0) made.missing.insert(made.missing.begin(), "cpu share");
  return made;
}

bool cgroups_saw_oom(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    for (const char* file : {"/memory.events", "/memory.oom_control"}) {
      std::string text = read_text(folder + file);
      std::string_view rest = text;
      while (!rest.empty()) {
        std::string_view line = next_word(rest, '\n');
        if (next_word(line, ' ') == "oom_kill" && line != "0") return true;
      }
    }
  }
  return false;
}

void kill_cgroups(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    if (write_value(folder + "/cgroup.kill", "1") == 0) continue;  // version 2 since Linux 5.14
    std::string text = read_text(folder + "/cgroup.procs");
    std::string_view rest = text;
    while (!rest.empty()) {
      std::string_view line = next_word(rest, '\n');
      pid_t pid = 0;
      std::from_chars(line.data(), line.data() + line.size(), pid);
      if (pid > 1) kill(pid, SIGKILL);
    }
  }
}

bool remove_cgroups(const std::vector<std::string>& folders) {
  bool gone = true;
  for (const std::string& folder : folders) {
    if (rmdir(folder.c_str()) != 0 && errno == EBUSY) {
      gone = false;
      continue;
    }
    // OWNER and sluice go with the last run; the kernel refuses it as long as there is another.
    std::string owner = folder.substr(0, folder.rfind('/'));
    if (rmdir(owner.c_str()) == 0) rmdir(owner.substr(0, owner.rfind('/')).c_str());
  }
  return gone;
}

}  // namespace sluice::drivers::exec
