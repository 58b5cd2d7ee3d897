#include "proxy/service_stats.h"

#include <algorithm>

#include "core/check.h"
#include "proxy/router.h"

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
    : bounds_ms_(std::move(bounds_ms)),
      names_{{}, {std::string(kOtherName), {}, false}},
      counts_(names_.size()) {
  CHECK(bounds_ms_.size() <= ServiceCounts::kBuckets);
}

bool ServiceStats::Key::is(const Name& name) const {
  return name.service == service && name.canary == canary &&
         name.route.size() == host.size() + path.size() && name.route.starts_with(host) &&
         name.route.ends_with(path);
}

/// The same for a route however it is cut into host and path.
size_t ServiceStats::Hash::operator()(const Key& key) const {
  uint64_t hash = std::hash<std::string_view>()(key.service) + (key.canary ? 1 : 0);
  for (const std::string_view part : {key.host, key.path}) {
    for (const char c : part)
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
  }
  return hash;
}

ServiceStats::Slot ServiceStats::slot(const RouteDecision& decision) {
  if (decision.service.empty()) return Slot::kNone;
  const Key key{decision.service, decision.route_host, decision.route_path, decision.canary};
  if (key.is(names_[static_cast<size_t>(last_)])) return last_;
  return last_ = find_or_add(key);
}

ServiceStats::Slot ServiceStats::find_or_add(const Key& key) {
  const auto found = slots_.find(key);
  if (found != slots_.end()) return found->second;
  const bool other = key.host == kOtherName;
  if (slots_.size() >= kRoutes + (other ? kServices : 0)) {
    return other ? Slot::kOther : find_or_add({key.service, kOtherName, {}, key.canary});
  }
  const auto slot = static_cast<Slot>(names_.size());
  names_.push_back(
      {std::string(key.service), std::string(key.host) + std::string(key.path), key.canary});
  counts_.emplace_back();
  slots_.emplace(names_.back(), slot);
  return slot;
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
