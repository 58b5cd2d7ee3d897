#include "proxy/service_stats.h"

#include <algorithm>

#include "core/check.h"

namespace sluice::proxy {

void ServiceCounts::add(const ServiceCounts& other) {
  for (size_t i = 0; i < answers.size(); ++i) answers[i] += other.answers[i];
  for (size_t i = 0; i < times.size(); ++i) times[i] += other.times[i];
  time_ms += other.time_ms;
  tunnels += other.tunnels;
  tunnels_failed += other.tunnels_failed;
  bytes_up += other.bytes_up;
  bytes_down += other.bytes_down;
}

ServiceStats::ServiceStats(std::vector<int64_t> bounds_ms)
    : bounds_ms_(std::move(bounds_ms)), names_{"", "(other)"}, counts_(names_.size()) {
  CHECK(bounds_ms_.size() <= ServiceCounts::kBuckets);
}

ServiceStats::Slot ServiceStats::slot(std::string_view service) {
  if (service.empty()) return Slot::kNone;
  if (names_[static_cast<size_t>(last_)] == service) return last_;
  const auto found = slots_.find(service);
  if (found != slots_.end()) return last_ = found->second;
  if (slots_.size() == kServices) return Slot::kOther;
  const auto slot = static_cast<Slot>(names_.size());
  names_.emplace_back(service);
  counts_.emplace_back();
  slots_.emplace(service, slot);
  return last_ = slot;
}

void ServiceStats::count_answer(Slot slot, uint16_t status, int64_t time_ms) {
  ServiceCounts& counts = counts_[static_cast<size_t>(slot)];
  const size_t status_class = status / 100;
  ++counts.answers[status_class < counts.answers.size() ? status_class : 0];
  counts.time_ms += static_cast<uint64_t>(std::max<int64_t>(time_ms, 0));
  const auto bound = std::lower_bound(bounds_ms_.begin(), bounds_ms_.end(), time_ms);
  const bool above = bound == bounds_ms_.end();
  ++counts.times[above ? ServiceCounts::kBuckets : static_cast<size_t>(bound - bounds_ms_.begin())];
}

void ServiceStats::count_tunnel(Slot slot, uint64_t bytes_up, uint64_t bytes_down) {
  ServiceCounts& counts = counts_[static_cast<size_t>(slot)];
  ++counts.tunnels;
  counts.bytes_up += bytes_up;
  counts.bytes_down += bytes_down;
}

}  // namespace sluice::proxy
