#include "orchestrator/catalog.h"

#include <algorithm>
#include <utility>

namespace sluice::orchestrator {

std::string_view to_string(CheckStatus status) {
  switch (status) {
    case CheckStatus::kPassing: return "passing";
    case CheckStatus::kWarning: return "warning";
    case CheckStatus::kCritical: return "critical";
  }
  std::unreachable();
}

/// What a check last said is no difference: routing and its readers go by the status.
bool ServiceInstance::operator==(const ServiceInstance& other) const {
  auto same_check = [](const CheckState& a, const CheckState& b) {
    return a.service_id == b.service_id && a.check_id == b.check_id && a.name == b.name &&
           a.status == b.status;
  };
  return id == other.id && service == other.service && address == other.address &&
         port == other.port && node == other.node && datacenter == other.datacenter &&
         tags == other.tags && meta == other.meta && healthy == other.healthy &&
         std::ranges::equal(checks, other.checks, same_check);
}

}  // namespace sluice::orchestrator
