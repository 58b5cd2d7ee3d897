#include "proxy/weights.h"

#include <algorithm>
#include <numeric>

#include "core/check.h"

namespace sluice::proxy {

std::vector<double> share_weights(std::span<const Portion> portions) {
  double fixed_sum = 0;
  double free_sum = 0;  // equal shares
  for (const Portion& each : portions) {
    if (each.fixed > 0) {
      fixed_sum += each.fixed / each.among;
    } else {
      free_sum += 1.0 / each.among;
    }
  }
  const double scale = fixed_sum > 1 || (free_sum == 0 && fixed_sum < 1) ? 1 / fixed_sum : 1;
  const double rest = free_sum == 0 ? 0 : std::max(0.0, (1 - fixed_sum) / free_sum);
  std::vector<double> out;
  out.reserve(portions.size());
  for (const Portion& each : portions) {
    out.push_back((each.fixed > 0 ? each.fixed * scale : rest) / each.among);
  }
  return out;
}

std::vector<uint32_t> share_slots(std::span<const double> weights) {
  std::vector<uint32_t> sums(weights.size());
  uint32_t sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    auto slots = static_cast<uint32_t>(kWeightSlots * weights[i]);
    if (slots == 0 && weights[i] > 0) slots = 1;
    sum += slots;
    sums[i] = sum;
  }
  return sums;
}

size_t slot_owner(std::span<const uint32_t> sums, uint32_t slot) {
  const auto owner = std::upper_bound(sums.begin(), sums.end(), slot);
  CHECK(owner != sums.end());
  return static_cast<size_t>(owner - sums.begin());
}

uint32_t turn_slot(uint32_t turn, uint32_t slots) {
  CHECK(slots > 0);
  // Steps of the golden ratio spread any run evenly; a step with no common divisor visits every
  // slot.
  uint32_t step = std::max<uint32_t>(1, static_cast<uint32_t>(slots * 0.6180339887498949));
  while (std::gcd(step, slots) != 1) ++step;
  return static_cast<uint32_t>(uint64_t{turn % slots} * step % slots);
}

}  // namespace sluice::proxy
