#include "proxy/maglev.h"

#include <algorithm>

namespace sluice::proxy {

std::vector<uint16_t> build_maglev(std::span<const MaglevTarget> targets) {
  targets = targets.first(std::min(targets.size(), kMaglevTargets));
  double most = 0;
  for (const MaglevTarget& target : targets) most = std::max(most, target.weight);
  if (most <= 0) return {};

  // Each target walks through the slots in an order of its own and takes the next free one when it
  // has its turn; one of half the weight has every second turn.
  struct Walk {
    uint32_t at;
    uint32_t step;
    double turns;
  };
  std::vector<Walk> walks;
  walks.reserve(targets.size());
  for (const MaglevTarget& target : targets) {
    const uint64_t other = mix_hash(target.id + 0x9e3779b97f4a7c15);
    walks.push_back({static_cast<uint32_t>(target.id % kMaglevSlots),
                     static_cast<uint32_t>(other % (kMaglevSlots - 1)) + 1, 0});
  }
  constexpr uint16_t kFree = UINT16_MAX;
  std::vector<uint16_t> owners(kMaglevSlots, kFree);
  for (uint32_t filled = 0; filled < kMaglevSlots;) {
    for (size_t i = 0; i < targets.size() && filled < kMaglevSlots; ++i) {
      if (targets[i].weight <= 0) continue;
      Walk& walk = walks[i];
      walk.turns += targets[i].weight / most;
      if (walk.turns < 1) continue;
      walk.turns -= 1;
      while (owners[walk.at] != kFree) walk.at = (walk.at + walk.step) % kMaglevSlots;
      owners[walk.at] = static_cast<uint16_t>(i);
      ++filled;
    }
  }
  return owners;
}

}  // namespace sluice::proxy
