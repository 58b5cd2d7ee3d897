#include "core/tls/keyring.h"

#include <algorithm>
#include <cstring>

#include "core/check.h"
#include "core/tls/boringssl.h"

namespace sluice::tls {

Keyring::Keyring(int64_t now_ms) {
  add_key(now_ms);
}

void Keyring::add_key(int64_t now_ms) {
  std::rotate(keys_.begin(), keys_.end() - 1, keys_.end());
  static_assert(sizeof(TicketKey) == 64);
  CHECK(RAND_bytes(reinterpret_cast<uint8_t*>(&keys_[0]), sizeof(TicketKey)) == 1);
  count_ = std::min(count_ + 1, kKept);
  made_ms_ = now_ms;
}

TicketKey Keyring::newest() const {
  const std::lock_guard lock(mutex_);
  return keys_[0];
}

std::optional<Keyring::Found> Keyring::find(const uint8_t name[16]) const {
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < count_; ++i) {
    if (std::memcmp(keys_[i].name.data(), name, keys_[i].name.size()) == 0)
      return Found{keys_[i], i == 0};
  }
  return std::nullopt;
}

void Keyring::rotate(int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (now_ms - made_ms_ >= kRotateMs) add_key(now_ms);
}

Keyring::State Keyring::state(int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  return {.keys = {keys_.begin(), keys_.begin() + count_}, .age_ms = now_ms - made_ms_};
}

void Keyring::take(const State& state, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (state.keys.empty()) return;
  count_ = static_cast<uint32_t>(std::min<size_t>(state.keys.size(), kKept));
  std::copy_n(state.keys.begin(), count_, keys_.begin());
  made_ms_ = now_ms - state.age_ms;
}

Keyring& Keyrings::of(const std::string& policy, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Keyring>& ring = rings_[policy];
  if (!ring) ring = std::make_unique<Keyring>(now_ms);
  return *ring;
}

std::map<std::string, Keyring::State> Keyrings::state(int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, Keyring::State> all;
  for (const auto& [policy, ring] : rings_) all.emplace(policy, ring->state(now_ms));
  return all;
}

void Keyrings::rotate(int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  for (const auto& [policy, ring] : rings_) ring->rotate(now_ms);
}

}  // namespace sluice::tls
