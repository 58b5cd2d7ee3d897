#include "core/cpu_list.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>

namespace sluice {

namespace {

std::optional<int64_t> core_number(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  if (number < 0 || number >= kMaxCpus) return {};
  return number;
}

}  // namespace

Result<CpuList> parse_cpu_list(std::string_view text) {
  CpuList cpus;
  for (size_t at = 0; !text.empty() && at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string_view part = text.substr(at, end - at);
    const size_t dash = part.find('-');
    const std::optional<int64_t> first = core_number(part.substr(0, dash));
    const std::optional<int64_t> last =
        dash == std::string_view::npos ? first : core_number(part.substr(dash + 1));
    if (!first || !last || *last < *first) {
      return fail(Code::kInvalid, "\"{}\" is no list of cores: \"{}\" (as in \"0-3,8\", below {})",
                  text, part, kMaxCpus);
    }
    for (int64_t cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
    at = end + 1;
  }
  std::ranges::sort(cpus);
  cpus.erase(std::ranges::unique(cpus).begin(), cpus.end());
  return cpus;
}

std::string format_cpu_list(const CpuList& cpus) {
  std::string text;
  for (size_t i = 0; i < cpus.size();) {
    size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(cpus[i]);
    if (last > i) text += '-' + std::to_string(cpus[last]);
    i = last + 1;
  }
  return text;
}

CpuList cpus_without(const CpuList& from, const CpuList& without) {
  CpuList left;
  std::ranges::set_difference(from, without, std::back_inserter(left));
  return left;
}

CpuList allowed_cpus() {
  CpuList cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace sluice
