// What surrounds a task of the exec driver: namespaces, a root of its own, few capabilities.
//
// What for: the task sees its own folder as `/`, with the machine's programs and libraries bound
// read-only into it, its own /proc, /dev, /tmp and process numbers. Called in the child that is to
// become the task, after fork; the C library may be used, because the supervisor has one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::drivers::exec {

struct Isolation {
  bool own_root = false;       // mount namespace, task folder as root
  bool own_processes = false;  // pid namespace; the keeper is its process 1
  bool own_ipc = false;
  std::string alloc_folder;               // appears as /alloc
  std::vector<std::string> host_folders;  // appear read-only under the same path
  uint64_t capabilities = ~uint64_t{0};   // those that the task may have at most
  std::vector<std::string> cgroups;       // folders to join
};

/// Where the machine allows it: the right to mount, which root usually has.
bool may_isolate();

/// Joins the groups. 0, or the errno.
int join_cgroups(const Isolation& isolation);
/// Makes `folder` the root. 0, or the errno; `stage` names what failed.
int enter_root(const Isolation& isolation, const std::string& folder, std::string& stage);
int limit_capabilities(uint64_t allowed);

/// "net_bind_service" or "CAP_NET_BIND_SERVICE"; -1 for no capability.
int capability_number(std::string_view name);
/// What a task has unless its configuration says otherwise.
uint64_t default_capabilities();

}  // namespace sluice::drivers::exec
