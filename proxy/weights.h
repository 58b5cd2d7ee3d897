// How the targets of a route share its traffic: fabio's rules, without its ring of 10,000 pointers.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sluice::proxy {

/// fabio's ring size; a share below one slot gets one.
inline constexpr uint32_t kWeightSlots = 10'000;

/// What a target brings to the sharing.
struct Portion {
  double fixed = 0;    // its fixed weight; not above 0: none
  uint32_t among = 1;  // so many targets have this weight, or this equal share, together
};

/// The share of each target. Fixed weights come first; a sum over 1, or all fixed with a sum under
/// 1, is scaled to 1; the rest goes in equal parts to the others.
std::vector<double> share_weights(std::span<const Portion> portions);

/// Slots of each share on fabio's ring, as running sums: a slot s belongs to the first target whose
/// sum is above s. The last sum is the number of slots, about 10,000.
std::vector<uint32_t> share_slots(std::span<const double> weights);

/// The target that slot `slot` (below the last sum) belongs to.
size_t slot_owner(std::span<const uint32_t> sums, uint32_t slot);

/// Turns 0, 1, 2, ... into slots such that `slots` turns in a row touch each slot once, and each
/// target's turns are spread evenly.
uint32_t turn_slot(uint32_t turn, uint32_t slots);

}  // namespace sluice::proxy
