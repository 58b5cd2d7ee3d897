#include "proxy/pick.h"

#include <algorithm>

#include "proxy/weights.h"

namespace sluice::proxy {

namespace {

using Targets = std::span<Target* const>;

/// Uniform in [0, bound), from 32 random bits: a multiplication in place of a division.
uint32_t below(uint32_t random, size_t bound) {
  return static_cast<uint32_t>(uint64_t{random} * bound >> 32);
}

bool usable(const Target& target, const PickInput& input) {
  return target.endpoint() == nullptr || !passed_over(*target.endpoint(), input);
}

uint32_t load_of(const Target& target) {
  return target.endpoint() == nullptr ? 0 : target.endpoint()->outstanding();
}

/// One slot of all, or one target of all where the shares are equal.
size_t draw(const Route& route, Targets targets, uint32_t random) {
  const std::span<const uint32_t> sums = route.slots();
  if (sums.empty()) return below(random, targets.size());
  return slot_owner(sums, below(random, sums.back()));
}

size_t take_turn(const Route& route, Targets targets) {
  const uint32_t turn = route.next_turn();
  const std::span<const uint32_t> sums = route.slots();
  if (sums.empty()) return turn % targets.size();
  return slot_owner(sums, turn_slot(turn, sums.back()));
}

/// Two draws, the one with less under way: O(1), and no herd runs to the least loaded.
size_t draw_of_two(const Route& route, Targets targets, const PickInput& input) {
  const auto low = static_cast<uint32_t>(input.random);
  const auto high = static_cast<uint32_t>(input.random >> 32);
  const size_t first = draw(route, targets, low);
  size_t second = 0;
  if (route.slots().empty()) {
    second = below(high, targets.size() - 1);  // another one than the first
    if (second >= first) ++second;
  } else {
    second = draw(route, targets, high);
  }
  if (!usable(*targets[first], input)) return second;
  if (!usable(*targets[second], input)) return first;
  return load_of(*targets[second]) < load_of(*targets[first]) ? second : first;
}

/// Among those that are usable, by their shares. The slow way: something has failed.
const Target* draw_usable(const Route& route, Targets targets, const PickInput& input) {
  const std::span<const uint32_t> sums = route.slots();
  const auto slots_of = [&](size_t i) -> uint32_t {
    if (!usable(*targets[i], input)) return 0;
    if (sums.empty()) return 1;
    return sums[i] - (i == 0 ? 0 : sums[i - 1]);
  };
  uint32_t total = 0;
  for (size_t i = 0; i < targets.size(); ++i) total += slots_of(i);
  if (total == 0) {
    // Only those without a share are left: better they than nobody.
    const auto any = std::find_if(targets.begin(), targets.end(),
                                  [&](const Target* each) { return usable(*each, input); });
    return any == targets.end() ? nullptr : *any;
  }
  uint32_t slot = below(static_cast<uint32_t>(input.random), total);
  for (size_t i = 0; i < targets.size(); ++i) {
    const uint32_t slots = slots_of(i);
    if (slot < slots) return targets[i];
    slot -= slots;
  }
  return nullptr;
}

}  // namespace

bool passed_over(const Endpoint& endpoint, const PickInput& input) {
  const int64_t ejected = endpoint.ejected_until_ms.load(std::memory_order_relaxed);
  if (ejected != 0 && ejected > input.now_ms) return true;
  return std::find(input.failed.begin(), input.failed.end(), &endpoint) != input.failed.end();
}

Pick pick(const Route& route, const PickInput& input) {
  const Targets targets = route.targets();
  if (targets.empty()) return {PickOutcome::kNoneHealthy, nullptr};
  size_t index = 0;
  if (targets.size() > 1) {
    switch (route.strategy()) {
      case Strategy::kRandom:
        index = draw(route, targets, static_cast<uint32_t>(input.random));
        break;
      case Strategy::kRoundRobin: index = take_turn(route, targets); break;
      case Strategy::kDefault:  // resolved when the route was built
      case Strategy::kHash:
      case Strategy::kLeastConnections: index = draw_of_two(route, targets, input); break;
    }
  }
  const Target* target = targets[index];
  if (!usable(*target, input)) target = draw_usable(route, targets, input);
  if (target == nullptr) return {PickOutcome::kAllFailed, nullptr};
  return {PickOutcome::kPicked, target};
}

}  // namespace sluice::proxy
