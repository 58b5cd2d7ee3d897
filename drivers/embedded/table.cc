#include "drivers/embedded/table.h"

#include <algorithm>
#include <utility>

#include "core/ascii.h"

namespace sluice::drivers {

using orchestrator::CheckState;
using orchestrator::CheckStatus;
using orchestrator::ServiceRegistration;

CheckStatus CatalogRecord::status() const {
  CheckStatus worst = CheckStatus::kPassing;
  for (const CheckState& state : states) worst = std::max(worst, state.status);
  return worst;
}

CatalogTable::CatalogTable(Executor& executor)
    : begin_index_(static_cast<uint64_t>(std::max<int64_t>(executor.wall_ns() / 1'000'000, 1))),
      newest_index_(begin_index_),
      services_index_(begin_index_),
      checks_index_(begin_index_),
      extinction_index_(begin_index_),
      news_(executor) {
  const std::string own(kServerService);
  by_service_[own] = begin_index_;
  records_[own] = {.registration = {.id = own, .name = own, .port = kServerPort},
                   .create_index = begin_index_,
                   .modify_index = begin_index_};
}

uint64_t CatalogTable::service_index(std::string_view name) const {
  const auto found = by_service_.find(ascii::lower(name));
  return found != by_service_.end() ? found->second : extinction_index_;
}

void CatalogTable::touch(const std::string& service, uint64_t& of_all) {
  of_all = ++newest_index_;
  by_service_[ascii::lower(service)] = newest_index_;
  news_.pulse();
}

CatalogRecord& CatalogTable::put(ServiceRegistration registration, std::vector<CheckState> states) {
  CHECK(states.size() == registration.checks.size());
  const std::string id = registration.id;
  uint64_t created = newest_index_ + 1;
  if (const auto found = records_.find(id); found != records_.end()) {
    created = found->second.create_index;
    if (found->second.registration.name != registration.name) erase(id);
  }
  touch(registration.name, services_index_);
  // Its checks are new, or may be gone.
  checks_index_ = newest_index_;
  CatalogRecord& record = records_[id];
  record = {.registration = std::move(registration),
            .states = std::move(states),
            .check_indexes = {},
            .create_index = created,
            .modify_index = newest_index_};
  record.check_indexes.assign(record.states.size(), newest_index_);
  return record;
}

void CatalogTable::replace(CatalogRecord& record, ServiceRegistration registration) {
  CHECK(registration.name == record.registration.name);
  CHECK(registration.checks.size() == record.states.size());
  touch(registration.name, services_index_);
  // A check is shown with its service's tags.
  checks_index_ = newest_index_;
  record.registration = std::move(registration);
  record.modify_index = newest_index_;
}

void CatalogTable::set_status(CatalogRecord& record, size_t check, CheckStatus status) {
  record.states[check].status = status;
  touch(record.registration.name, checks_index_);
  record.check_indexes[check] = newest_index_;
}

void CatalogTable::erase(const std::string& id) {
  const auto found = records_.find(id);
  CHECK(found != records_.end());
  const std::string name = ascii::lower(found->second.registration.name);
  touch(name, services_index_);
  checks_index_ = newest_index_;
  records_.erase(found);
  const bool more = std::ranges::any_of(records_, [&](const auto& entry) {
    return ascii::lower(entry.second.registration.name) == name;
  });
  if (more) return;
  by_service_.erase(name);
  extinction_index_ = newest_index_;
}

}  // namespace sluice::drivers
