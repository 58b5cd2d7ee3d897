#include "proxy/pick.h"

#include <algorithm>

#include "proxy/maglev.h"
#include "proxy/weights.h"

namespace sluice::proxy {

namespace {

constexpr size_t kNone = SIZE_MAX;

/// Uniform in [0, bound), from 32 random bits: a multiplication in place of a division.
uint32_t below(uint32_t random, size_t bound) {
  return static_cast<uint32_t>(uint64_t{random} * bound >> 32);
}

/// One choice among the targets of one route.
class Chooser {
 public:
  Chooser(const Route& route, const PickInput& input)
      : route_(route), input_(input), targets_(route.targets()) {
    const RouteExtra* extra = route.extra();
    if (extra != nullptr && extra->limits) limit_ = extra->limits->options().connections;
  }

  size_t choose() const {
    const RouteExtra* extra = route_.extra();
    if (input_.sticky && extra != nullptr) {
      const size_t stuck = find_sticky(*extra);
      if (stuck != kNone) return stuck;
    }
    size_t index = 0;
    if (targets_.size() > 1) {
      switch (route_.strategy()) {
        case Strategy::kRandom: index = draw(static_cast<uint32_t>(input_.random)); break;
        case Strategy::kRoundRobin: index = take_turn(); break;
        case Strategy::kHash:
          if (input_.hash && !extra->maglev.empty()) return by_hash(extra->maglev, *input_.hash);
          [[fallthrough]];        // nothing to take a hash of
        case Strategy::kDefault:  // resolved when the route was built
        case Strategy::kLeastConnections: index = draw_of_two(); break;
      }
    }
    return usable(index) ? index : draw_usable();
  }

  /// Nothing can be chosen: whether one would do but for its limit.
  bool busy() const {
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (full(i) && !tried(i)) return true;
    }
    return false;
  }

 private:
  const Endpoint* endpoint(size_t i) const { return targets_[i]->endpoint(); }
  bool tried(size_t i) const {
    return std::find(input_.failed.begin(), input_.failed.end(), endpoint(i)) !=
           input_.failed.end();
  }
  bool full(size_t i) const {
    return limit_ != 0 && endpoint(i) != nullptr && endpoint(i)->outstanding() >= limit_;
  }
  bool ejected(size_t i) const {
    return endpoint(i) != nullptr && endpoint(i)->ejected(input_.now_ms);
  }
  bool starts_slowly(size_t i) const {
    return endpoint(i) != nullptr && endpoint(i)->starts_slowly(input_.now_ms, input_.random);
  }
  bool usable(size_t i) const {
    if (endpoint(i) == nullptr) return true;  // a redirect
    return !ejected(i) && !full(i) && !starts_slowly(i) && (input_.failed.empty() || !tried(i));
  }

  size_t find_sticky(const RouteExtra& extra) const {
    for (size_t i = 0; i < extra.ids.size(); ++i) {
      // One that comes back slowly has its own clients at once.
      if (extra.ids[i] == *input_.sticky && !ejected(i) && !full(i) && !tried(i)) return i;
    }
    return kNone;
  }

  /// One slot of all, or one target of all where the shares are equal.
  size_t draw(uint32_t random) const {
    const std::span<const uint32_t> sums = route_.slots();
    if (sums.empty()) return below(random, targets_.size());
    return slot_owner(sums, below(random, sums.back()));
  }

  size_t take_turn() const {
    const uint32_t turn = route_.next_turn();
    const std::span<const uint32_t> sums = route_.slots();
    if (sums.empty()) return turn % targets_.size();
    return slot_owner(sums, turn_slot(turn, sums.back()));
  }

  /// Two draws, the one with less under way: O(1), and no herd runs to the least loaded.
  size_t draw_of_two() const {
    const auto low = static_cast<uint32_t>(input_.random);
    const auto high = static_cast<uint32_t>(input_.random >> 32);
    const size_t first = draw(low);
    size_t second = 0;
    if (route_.slots().empty()) {
      second = below(high, targets_.size() - 1);  // another one than the first
      if (second >= first) ++second;
    } else {
      second = draw(high);
    }
    if (!usable(first)) return second;
    if (!usable(second)) return first;
    return load_of(second) < load_of(first) ? second : first;
  }
  uint32_t load_of(size_t i) const {
    return endpoint(i) == nullptr ? 0 : endpoint(i)->outstanding();
  }

  /// Where the owner of a slot cannot serve, the owner of another one that the same hash leads to
  /// does: the same for each request of that hash.
  size_t by_hash(const std::vector<uint16_t>& owners, uint64_t hash) const {
    constexpr int kTries = 16;
    for (int i = 0; i < kTries; ++i) {
      const size_t index = owners[maglev_slot(hash)];
      if (!ejected(index) && !full(index) && !tried(index)) return index;
      hash = mix_hash(hash + 0x9e3779b97f4a7c15);
    }
    return draw_usable();
  }

  /// Among those that are usable, by their shares. The slow way: something has failed.
  size_t draw_usable() const {
    size_t index = draw_usable(true);
    return index == kNone ? draw_usable(false) : index;
  }
  size_t draw_usable(bool slowly) const {
    // At most half of the targets stay away; which of them is as good as any.
    const size_t most_ejected = targets_.size() / 2;
    const std::span<const uint32_t> sums = route_.slots();
    const auto visit = [&](auto take) {
      size_t away = 0;
      for (size_t i = 0; i < targets_.size(); ++i) {
        if (full(i) || tried(i)) continue;
        if (ejected(i) && away++ < most_ejected) continue;
        if (slowly && starts_slowly(i)) continue;
        const uint32_t slots = sums.empty() ? 1 : sums[i] - (i == 0 ? 0 : sums[i - 1]);
        if (take(i, slots)) return;
      }
    };
    uint32_t total = 0;
    size_t last = kNone;
    visit([&](size_t i, uint32_t slots) {
      total += slots;
      last = i;
      return false;
    });
    // Only those without a share are left: better they than nobody.
    if (total == 0) return last;
    uint32_t slot = below(static_cast<uint32_t>(input_.random), total);
    visit([&](size_t i, uint32_t slots) {
      if (slot < slots) {
        last = i;
        return true;
      }
      slot -= slots;
      return false;
    });
    return last;
  }

  const Route& route_;
  const PickInput& input_;
  const std::span<Target* const> targets_;
  uint32_t limit_ = 0;
};

}  // namespace

Pick pick(const Route& route, const PickInput& input) {
  const std::span<Target* const> targets = route.targets();
  if (targets.empty()) return {PickOutcome::kNoneHealthy, nullptr};
  const Chooser chooser(route, input);
  const size_t index = chooser.choose();
  if (index == kNone) {
    return {chooser.busy() ? PickOutcome::kBusy : PickOutcome::kAllFailed, nullptr};
  }
  return {PickOutcome::kPicked, targets[index], index};
}

}  // namespace sluice::proxy
