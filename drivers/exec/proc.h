// Processes by number and start time, so that a reused number is never taken for the one we mean.
//
// proc(5): /proc/PID/stat field 22 is the start in clock ticks since boot; with the boot id it
// names one process for ever. Plain functions over /proc and pidfd_open(2); any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "core/result.h"

namespace sluice::drivers::exec {

struct ProcStat {
  char state = 0;  // 'R', 'S', 'Z', ...
  pid_t parent = 0;
  uint64_t start_ticks = 0;
  uint64_t cpu_ticks = 0;  // user and system
  uint64_t rss_pages = 0;
};

/// /proc/sys/kernel/random/boot_id without its newline; empty if it cannot be read.
std::string read_boot_id();
/// The text of a /proc/PID/stat. The command in it may hold blanks and brackets.
std::optional<ProcStat> parse_proc_stat(std::string_view text);
/// nullopt: no such process.
std::optional<ProcStat> read_proc_stat(pid_t pid);
/// A pidfd that surely means the process that started then, also if it is a zombie; else nothing.
Fd open_process(pid_t pid, uint64_t start_ticks);
/// The process and all below it that live now.
std::vector<pid_t> process_tree(pid_t root);
/// Up to `limit` bytes of a small file.
Result<std::string> read_small_file(int folder_fd, const char* name, size_t limit = 1 << 16);
/// By a temporary file and rename: what a killed process leaves is the old file or the new one.
Result<void> replace_file(int folder_fd, const std::string& name, std::string_view content,
                          mode_t mode);

/// "SIGTERM", "TERM" or "15"; nullopt for what is no signal.
std::optional<int> signal_number(std::string_view name);

}  // namespace sluice::drivers::exec
