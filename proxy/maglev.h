// Consistent hashing after Maglev (Eisenbud et al., NSDI 2016, section 3.4): a table of 65,537
// slots that every balancer with the same targets fills alike, and in which few slots change their
// owner when a target comes or goes. A target's part of it follows its weight.
//
// Pure; any thread. 128 KiB a table, so only routes that ask for it have one.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace sluice::proxy {

inline constexpr uint32_t kMaglevSlots = 65'537;  // a prime
inline constexpr size_t kMaglevTargets = 65'535;  // more get no slot

struct MaglevTarget {
  uint64_t id;    // the same on every balancer and after every restart: stable_hash of its address
  double weight;  // not above 0: no slot
};

/// The owner of each slot, as an index into `targets`. Empty if no target has a weight.
std::vector<uint16_t> build_maglev(std::span<const MaglevTarget> targets);

constexpr uint32_t maglev_slot(uint64_t hash) {
  return static_cast<uint32_t>(hash % kMaglevSlots);
}

/// Spreads neighbours apart (the finisher of SplitMix64).
constexpr uint64_t mix_hash(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// The same everywhere and always; not for what an attacker may choose to collide.
constexpr uint64_t stable_hash(std::string_view text) {
  uint64_t state = 0xcbf29ce484222325;
  for (const char c : text) {
    state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
  }
  return mix_hash(state);
}

}  // namespace sluice::proxy
