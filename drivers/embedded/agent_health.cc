#include "drivers/embedded/agent_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/http.h"

namespace sluice::drivers {

namespace {

using orchestrator::CheckStatus;

int status_of(CheckStatus status) {
  switch (status) {
    case CheckStatus::kPassing: return 200;
    case CheckStatus::kWarning: return 429;
    case CheckStatus::kCritical: return 503;
  }
  std::unreachable();
}

Json entry(const ReadNode& node, const CatalogRecord& record) {
  Json checks = Json::array();
  for (size_t i = 0; i < record.states.size(); ++i) {
    checks.push(check_json(node, record, i, false));
  }
  return Json::object({{"AggregatedStatus", to_string(record.status())},
                       {"Service", agent_service_json(node, record)},
                       {"Checks", std::move(checks)}});
}

/// The worst of the instances decides. Names are compared as they are, unlike the catalog's.
AgentHealth by_name(const std::string& name, const CatalogTable& table, const ReadNode& node) {
  Json list = Json::array();
  CheckStatus worst = CheckStatus::kPassing;
  for (const auto& [id, record] : table.records()) {
    if (record.registration.name != name || id == kServerService) continue;
    worst = std::max(worst, record.status());
    list.push(entry(node, record));
  }
  if (list.size() == 0) {
    return {404, fmt::format("ServiceName {} Not Found", name), std::move(list)};
  }
  return {status_of(worst), std::string(to_string(worst)), std::move(list)};
}

AgentHealth by_id(const std::string& id, const CatalogTable& table, const ReadNode& node) {
  const auto found = table.records().find(id);
  if (found == table.records().end() || id == kServerService) {
    return {
        404, fmt::format("ServiceId {} not found", id),
        Json::object({{"AggregatedStatus", "critical"}, {"Service", Json()}, {"Checks", Json()}})};
  }
  const CheckStatus status = found->second.status();
  return {status_of(status), std::string(to_string(status)), entry(node, found->second)};
}

}  // namespace

std::optional<AgentHealth> agent_health(std::string_view path, const CatalogTable& table,
                                        const ReadNode& node) {
  constexpr std::string_view kByName = "/v1/agent/health/service/name/";
  constexpr std::string_view kById = "/v1/agent/health/service/id/";
  if (path.starts_with(kByName)) {
    return by_name(percent_decode(path.substr(kByName.size()), false), table, node);
  }
  if (path.starts_with(kById)) {
    return by_id(percent_decode(path.substr(kById.size()), false), table, node);
  }
  return std::nullopt;
}

}  // namespace sluice::drivers
