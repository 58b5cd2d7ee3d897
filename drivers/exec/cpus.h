// The cores that a run's processes keep to (sched_setaffinity(2)).
//
// For tasks that have cores for themselves, and for those that must leave these. Inherited by what
// a process starts; a process may widen it again, so it binds those that want to share. Owner: the
// supervisor, and its children before they become a task. Plain functions.
#pragma once

#include <sys/types.h>

#include "core/cpu_list.h"

namespace sluice::drivers::exec {

/// The calling thread; empty: it stays as it is. 0, or the errno.
int keep_to_cpus(const CpuList& cpus);
/// Every thread of `root` and of all processes below it, `spared` apart; also what they start
/// meanwhile. 0, or the errno.
int keep_tree_to_cpus(pid_t root, pid_t spared, const CpuList& cpus);

}  // namespace sluice::drivers::exec
