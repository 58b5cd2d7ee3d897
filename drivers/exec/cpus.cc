#include "drivers/exec/cpus.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>

#include <cerrno>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/exec/proc.h"

namespace sluice::drivers::exec {
namespace {

constexpr size_t kMaxProcesses = 1 << 16;
constexpr int kMaxPasses = 8;  // over a tree that goes on starting threads

cpu_set_t set_of(const CpuList& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int64_t cpu : cpus) CPU_SET(static_cast<size_t>(cpu), &set);
  return set;
}

std::vector<pid_t> numbers(std::string_view text) {
  std::vector<pid_t> found;
  while (!text.empty()) {
    const size_t begin = text.find_first_not_of(" \n");
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin);
    pid_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) break;
    found.push_back(number);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
  }
  return found;
}

std::vector<pid_t> threads_of(pid_t pid) {
  std::vector<pid_t> threads;
  const std::string path = "/proc/" + std::to_string(pid) + "/task";
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  while (folder) {
    const dirent* entry = readdir(folder.get());
    if (entry == nullptr) break;
    for (const pid_t thread : numbers(entry->d_name)) threads.push_back(thread);
  }
  return threads;
}

struct Pass {
  bool changed = false;
  int error_number = 0;
};

Pass confine_all(pid_t root, pid_t spared, const cpu_set_t& set) {
  Pass pass;
  std::vector<pid_t> processes{root};
  for (size_t i = 0; i < processes.size() && processes.size() < kMaxProcesses; ++i) {
    const std::string tasks = "/proc/" + std::to_string(processes[i]) + "/task/";
    for (const pid_t thread : threads_of(processes[i])) {
      const std::string list = tasks + std::to_string(thread) + "/children";
      if (const auto text = read_small_file(AT_FDCWD, list.c_str(), size_t{1} << 20)) {
        for (const pid_t child : numbers(*text)) processes.push_back(child);
      }
      if (processes[i] == spared) continue;
      cpu_set_t now;
      if (sched_getaffinity(thread, sizeof now, &now) != 0 || CPU_EQUAL(&now, &set)) continue;
      if (sched_setaffinity(thread, sizeof set, &set) == 0) {
        pass.changed = true;
      } else if (errno != ESRCH) {
        pass.error_number = errno;
      }
    }
  }
  return pass;
}

}  // namespace

int keep_to_cpus(const CpuList& cpus) {
  if (cpus.empty()) return 0;
  const cpu_set_t set = set_of(cpus);
  return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}

int keep_tree_to_cpus(pid_t root, pid_t spared, const CpuList& cpus) {
  if (cpus.empty()) return EINVAL;
  const cpu_set_t set = set_of(cpus);
  // A thread that was looked at already may have started another just before it was moved.
  for (int i = 0; i < kMaxPasses; ++i) {
    const Pass pass = confine_all(root, spared, set);
    if (pass.error_number != 0) return pass.error_number;
    if (!pass.changed) break;
  }
  return 0;
}

}  // namespace sluice::drivers::exec
