#include "drivers/exec/isolate.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "drivers/exec/proc.h"

namespace sluice::drivers::exec {
namespace {

constexpr std::array<std::string_view, 41> kCapabilityNames = {"chown",
                                                               "dac_override",
                                                               "dac_read_search",
                                                               "fowner",
                                                               "fsetid",
                                                               "kill",
                                                               "setgid",
                                                               "setuid",
                                                               "setpcap",
                                                               "linux_immutable",
                                                               "net_bind_service",
                                                               "net_broadcast",
                                                               "net_admin",
                                                               "net_raw",
                                                               "ipc_lock",
                                                               "ipc_owner",
                                                               "sys_module",
                                                               "sys_rawio",
                                                               "sys_chroot",
                                                               "sys_ptrace",
                                                               "sys_pacct",
                                                               "sys_admin",
                                                               "sys_boot",
                                                               "sys_nice",
                                                               "sys_resource",
                                                               "sys_time",
                                                               "sys_tty_config",
                                                               "mknod",
                                                               "lease",
                                                               "audit_write",
                                                               "audit_control",
                                                               "setfcap",
                                                               "mac_override",
                                                               "mac_admin",
                                                               "syslog",
                                                               "wake_alarm",
                                                               "block_suspend",
                                                               "audit_read",
                                                               "perfmon",
                                                               "bpf",
                                                               "checkpoint_restore"};
// What Docker gives a container by default, less net_raw, as Nomad does.
constexpr std::array<std::string_view, 13> kDefaultNames = {
    "chown",   "dac_override", "fowner",  "fsetid",           "kill",       "setgid",     "setuid",
    "setpcap", "mknod",        "setfcap", "net_bind_service", "sys_chroot", "audit_write"};

constexpr std::array<const char*, 6> kDevices = {"null",   "zero",    "full",
                                                 "random", "urandom", "tty"};
constexpr std::array<std::array<const char*, 2>, 5> kDeviceLinks = {{{"/proc/self/fd", "fd"},
                                                                     {"/proc/self/fd/0", "stdin"},
                                                                     {"/proc/self/fd/1", "stdout"},
                                                                     {"/proc/self/fd/2", "stderr"},
                                                                     {"pts/ptmx", "ptmx"}}};

/// Makes ROOT/path, part by part, and opens it. A link among the parts is refused: an earlier run
/// of the task may have put it there.
Fd make_folder(const std::string& root, std::string_view path, mode_t mode) {
  Fd at(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  while (at && !path.empty()) {
    size_t begin = std::min(path.find_first_not_of('/'), path.size());
    path.remove_prefix(begin);
    std::string part(path.substr(0, path.find('/')));
    path.remove_prefix(part.size());
    if (part.empty()) break;
    mkdirat(at.get(), part.c_str(), mode);
    at = Fd(openat(at.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return at;
}

/// Binds the host's `from` to ROOT/from, read-only; a link (/bin on a merged /usr) becomes a link.
int bind_host_folder(const std::string& from, const std::string& root) {
  struct stat info;
  if (lstat(from.c_str(), &info) != 0) return 0;  // not on this machine
  std::string to = root + from;
  if (S_ISLNK(info.st_mode)) {
    char target[4096];
    ssize_t length = readlink(from.c_str(), target, sizeof target - 1);
    if (length < 0) return errno;
    target[length] = 0;
    return symlink(target, to.c_str()) == 0 || errno == EEXIST ? 0 : errno;
  }
  if (!S_ISDIR(info.st_mode)) return 0;
  if (!make_folder(root, from, 0755)) return errno;
  if (mount(from.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) return errno;
  unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NODEV;
  return mount(nullptr, to.c_str(), nullptr, flags, nullptr) == 0 ? 0 : errno;
}

int make_devices(const std::string& root) {
  std::string dev = root + "/dev";
  if (!make_folder(root, "dev", 0755)) return errno;
  if (mount("tmpfs", dev.c_str(), "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k") != 0) {
    return errno;
  }
  for (const char* name : kDevices) {
    std::string to = dev + "/" + name;
    std::string from = std::string("/dev/") + name;
    const Fd mount_point(open(to.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
    if (!mount_point) return errno;
    if (mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) != 0) return errno;
  }
  for (auto [target, name] : kDeviceLinks) {
    if (symlink(target, (dev + "/" + name).c_str()) != 0) return errno;
  }
  mkdir((dev + "/pts").c_str(), 0755);
  mkdir((dev + "/shm").c_str(), 01777);
  unsigned long plain = MS_NOSUID | MS_NOEXEC;
  if (mount("devpts", (dev + "/pts").c_str(), "devpts", plain,
            "newinstance,ptmxmode=0666,mode=0620") != 0 ||
      mount("tmpfs", (dev + "/shm").c_str(), "tmpfs", plain | MS_NODEV, "mode=1777,size=64m") !=
          0) {
    return errno;
  }
  return 0;
}

}  // namespace

bool may_isolate() {
  std::string status = read_small_file(AT_FDCWD, "/proc/self/status").value_or("");
  size_t at = status.find("CapEff:\t");
  if (at == std::string::npos) return false;
  uint64_t effective = 0;
  const char* begin = status.data() + at + 8;
  std::from_chars(begin, status.data() + status.size(), effective, 16);
  return (effective >> CAP_SYS_ADMIN & 1) != 0;
}

int join_cgroups(const Isolation& isolation) {
  for (const std::string& folder : isolation.cgroups) {
    Fd fd(open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || write(fd.get(), "0", 1) != 1) return errno;
  }
  return 0;
}

int enter_root(const Isolation& isolation, const std::string& folder, std::string& stage) {
  stage = "make the namespaces";
  int flags = (isolation.own_root ? CLONE_NEWNS : 0) | (isolation.own_ipc ? CLONE_NEWIPC : 0);
  if (flags != 0 && unshare(flags) != 0) return errno;
  if (!isolation.own_root) return 0;
  // What is mounted on the machine later appears here; what is mounted here stays here.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return errno;
  stage = "bind the task's folder";
  if (mount(folder.c_str(), folder.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
      mount(nullptr, folder.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_NODEV, nullptr) != 0) {
    return errno;
  }
  for (const std::string& host : isolation.host_folders) {
    stage = "bind " + host;
    if (int error_number = bind_host_folder(host, folder); error_number != 0) return error_number;
  }
  if (!isolation.alloc_folder.empty()) {
    stage = "bind the alloc's folder";
    std::string to = folder + "/alloc";
    if (!make_folder(folder, "alloc", 0755)) return errno;
    if (mount(isolation.alloc_folder.c_str(), to.c_str(), nullptr, MS_BIND | MS_REC, nullptr) !=
        0) {
      return errno;
    }
  }
  stage = "make /tmp";
  Fd tmp = make_folder(folder, "tmp", 0755);
  if (!tmp || fchmod(tmp.get(), 01777) != 0) return errno;
  stage = "mount /proc";
  if (!make_folder(folder, "proc", 0555)) return errno;
  unsigned long proc_flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("proc", (folder + "/proc").c_str(), "proc", proc_flags, nullptr) != 0) return errno;
  stage = "make /dev";
  if (int error_number = make_devices(folder); error_number != 0) return error_number;
  stage = "change the root";
  // pivot_root(2): "." twice stacks the old root on the new one, from where it is detached.
  if (chdir(folder.c_str()) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
      umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
    return errno;
  }
  return 0;
}

int limit_capabilities(uint64_t allowed) {
  for (size_t number = 0; number < 64; ++number) {
    if ((allowed >> number & 1) != 0) continue;
    // Numbers that this kernel does not know are refused with EINVAL.
    if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0 && errno != EINVAL) return errno;
  }
  return 0;
}

int capability_number(std::string_view name) {
  std::string lower;
  for (char c : name) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  std::string_view bare = lower;
  if (bare.starts_with("cap_")) bare.remove_prefix(4);
  for (size_t i = 0; i < kCapabilityNames.size(); ++i) {
    if (kCapabilityNames[i] == bare) return static_cast<int>(i);
  }
  return -1;
}

uint64_t default_capabilities() {
  uint64_t set = 0;
  for (std::string_view name : kDefaultNames) set |= uint64_t{1} << capability_number(name);
  return set;
}

}  // namespace sluice::drivers::exec
