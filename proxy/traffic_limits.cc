#include "proxy/traffic_limits.h"

#include <algorithm>
#include <cstring>

#include "proxy/maglev.h"

namespace sluice::proxy {

namespace {

constexpr int64_t kNsAMs = 1'000'000;

}  // namespace

RateRule::RateRule(const Rate& rate) {
  if (rate.a_second <= 0) return;
  interval_ns_ = std::max<int64_t>(1, static_cast<int64_t>(1e9 / rate.a_second));
  const double burst = std::max(1.0, rate.burst);
  tolerance_ns_ = static_cast<int64_t>((burst - 1) * static_cast<double>(interval_ns_));
}

void RateRule::count(std::atomic<int64_t>& ahead_until_ns, int64_t now_ns) const {
  int64_t before = ahead_until_ns.load(std::memory_order_relaxed);
  while (!ahead_until_ns.compare_exchange_weak(before, std::max(before, now_ns) + interval_ns_,
                                               std::memory_order_relaxed)) {
  }
}

template <class T>
AddressTable<T>::Places AddressTable<T>::find(uint64_t address_hash) {
  const uint64_t mixed = mix_hash(address_hash ^ seed_);
  return {&one_[mixed % kPlaces], &two_[(mixed >> 32) % kPlaces]};
}

template class AddressTable<int64_t>;
template class AddressTable<uint32_t>;

uint64_t hash_address(const SocketAddress& address) {
  uint8_t bytes[16];
  address.write_mapped(bytes);
  uint64_t high = 0;
  uint64_t low = 0;
  std::memcpy(&high, bytes, 8);
  std::memcpy(&low, bytes + 8, 8);
  return mix_hash(high + 0x9e3779b97f4a7c15) ^ mix_hash(low);
}

bool AddressRate::admit(uint64_t address_hash, int64_t now_ms) {
  const auto places = table_.find(address_hash);
  const int64_t now_ns = now_ms * kNsAMs;
  if (!rule_.admits(places.least(), now_ns)) return false;
  rule_.count(*places.one, now_ns);
  rule_.count(*places.two, now_ns);
  return true;
}

bool AddressCount::enter(uint64_t address_hash) {
  const auto places = table_.find(address_hash);
  const uint32_t one = places.one->fetch_add(1, std::memory_order_relaxed);
  const uint32_t two = places.two->fetch_add(1, std::memory_order_relaxed);
  if (std::min(one, two) < most_) return true;
  leave(address_hash);
  return false;
}

void AddressCount::leave(uint64_t address_hash) {
  const auto places = table_.find(address_hash);
  places.one->fetch_sub(1, std::memory_order_relaxed);
  places.two->fetch_sub(1, std::memory_order_relaxed);
}

Ref<RouteLimits> RouteLimits::make(const LimitOptions& options, uint64_t seed) {
  if (options == LimitOptions()) return {};
  return Ref<RouteLimits>::adopt(new RouteLimits(options, seed));
}

RouteLimits::RouteLimits(const LimitOptions& options, uint64_t seed)
    : options_(options), rate_(options.rate) {
  if (options.address_rate.a_second > 0) {
    address_rate_ = std::make_unique<AddressRate>(options.address_rate, seed);
  }
  if (options.address_requests > 0) {
    address_count_ = std::make_unique<AddressCount>(options.address_requests, mix_hash(seed));
  }
}

Admission RouteLimits::enter(uint64_t address_hash, int64_t now_ms) const {
  // What one address may not have does not use up what all may.
  if (address_count_ && !address_count_->enter(address_hash)) return Admission::kTooMany;
  const auto refuse = [&](Admission why) {
    if (address_count_) address_count_->leave(address_hash);
    return why;
  };
  if (address_rate_ && !address_rate_->admit(address_hash, now_ms)) {
    return refuse(Admission::kTooFast);
  }
  if (options_.requests != 0 &&
      requests_.fetch_add(1, std::memory_order_relaxed) >= options_.requests) {
    requests_.fetch_sub(1, std::memory_order_relaxed);
    return refuse(Admission::kTooMany);
  }
  if (!rate_.on()) return Admission::kYes;
  const int64_t now_ns = now_ms * kNsAMs;
  if (rate_.admits(ahead_until_ns_.load(std::memory_order_relaxed), now_ns)) {
    rate_.count(ahead_until_ns_, now_ns);
    return Admission::kYes;
  }
  if (options_.requests != 0) requests_.fetch_sub(1, std::memory_order_relaxed);
  return refuse(Admission::kTooFast);
}

void RouteLimits::leave(uint64_t address_hash) const {
  if (address_count_) address_count_->leave(address_hash);
  if (options_.requests != 0) requests_.fetch_sub(1, std::memory_order_relaxed);
}

bool RouteLimits::join_queue() const {
  if (waiting_.fetch_add(1, std::memory_order_relaxed) < options_.queue) return true;
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

bool RouteLimits::ask(int64_t now_ms) const {
  int64_t before = asked_at_ms_.load(std::memory_order_relaxed);
  return now_ms - before >= kAskAgainMs &&
         asked_at_ms_.compare_exchange_strong(before, now_ms, std::memory_order_relaxed);
}

AddressLimits::AddressLimits(const Options& options, uint64_t seed) {
  if (options.rate.a_second > 0) rate_ = std::make_unique<AddressRate>(options.rate, seed);
  if (options.connections > 0) {
    count_ = std::make_unique<AddressCount>(options.connections, mix_hash(seed));
  }
}

}  // namespace sluice::proxy
