// CPU lists: sets of a machine's processor cores, and their text "0-3,8" (cpuset(7), "List
// format").
//
// Plain functions; any thread. Core numbers are below kMaxCpus; a set is sorted, each core once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice {

using CpuList = std::vector<int64_t>;
inline constexpr int64_t kMaxCpus = 1024;  // as many as a cpu_set_t holds

/// "" is the empty set. kInvalid: not of that form, a range that runs down, or a core too high.
Result<CpuList> parse_cpu_list(std::string_view text);
std::string format_cpu_list(const CpuList& cpus);
/// Those of `from` that are not in `without`.
CpuList cpus_without(const CpuList& from, const CpuList& without);
/// Those on which this process may run (sched_getaffinity(2)); empty if the kernel does not say.
CpuList allowed_cpus();

}  // namespace sluice
