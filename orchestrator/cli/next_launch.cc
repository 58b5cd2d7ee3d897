#include "orchestrator/cli/next_launch.h"

#include <fmt/format.h>

#include "core/time_zone.h"
#include "orchestrator/cron.h"
#include "orchestrator/job.h"

namespace sluice::orchestrator::cli {

std::string next_launch_text(Disk& disk, const Json& job, const Clock& clock) {
  const Json& periodic = at(job, "Periodic");
  if (!periodic.is_object() || at(job, "ParameterizedJob").is_object()) return {};
  if (!periodic.get_bool("Enabled", true)) return {};
  if (job.get_bool("Stop")) return "none (job stopped)";
  std::vector<std::string> specs = strings_of(periodic.find("Specs"));
  if (specs.empty()) specs.emplace_back(periodic.get_string("Spec"));
  const auto zone = load_time_zone(disk, std::string(periodic.get_string("TimeZone")));
  if (!zone) return {};
  const auto next = next_of(specs, clock.now_ns / kSecondNs, *zone);
  if (!next) return {};
  return fmt::format("{} ({})", time_text(*next * kSecondNs, clock),
                     time_difference(*next * kSecondNs, clock.now_ns));
}

}  // namespace sluice::orchestrator::cli
