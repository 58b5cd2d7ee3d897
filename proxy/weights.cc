#include "proxy/weights.h"

#include <algorithm>
#include <numeric>

#include "core/check.h"

namespace sluice::proxy {

std::vector<double> share_weights(std::span<const double> fixed) {
  size_t fixed_count = 0;
  double sum = 0;
  for (const double each : fixed) {
    if (each > 0) {
      ++fixed_count;
      sum += each;
    }
  }
  std::vector<double> out(fixed.size(), 0);
  if (fixed_count == 0) {
    std::fill(out.begin(), out.end(), 1.0 / static_cast<double>(fixed.size()));
    return out;
  }
  const size_t free_count = fixed.size() - fixed_count;
  const double scale = sum > 1 || (free_count == 0 && sum < 1) ? 1 / sum : 1;
  const double rest =
      free_count == 0 ? 0 : std::max(0.0, (1 - sum) / static_cast<double>(free_count));
  for (size_t i = 0; i < fixed.size(); ++i) out[i] = fixed[i] > 0 ? fixed[i] * scale : rest;
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
