// Latencies, counted.
//
// A value; one thread's. About 30 KiB.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace load {

/// Latencies in buckets of a 64th of a power of two: no figure is off by more than 1.6 %.
class Histogram {
 public:
  void add(int64_t ns) {
    const uint64_t value = ns < 1 ? 1 : static_cast<uint64_t>(ns);
    ++buckets_[index(value)];
    ++count_;
    if (value > max_) max_ = value;
  }
  double us(double quantile) const {
    if (count_ == 0) return 0;
    auto left = static_cast<int64_t>(static_cast<double>(count_) * quantile);
    for (size_t i = 0; i < buckets_.size(); ++i) {
      left -= static_cast<int64_t>(buckets_[i]);
      if (left < 0) return static_cast<double>(top(i)) / 1000;
    }
    return max_us();
  }
  double max_us() const { return static_cast<double>(max_) / 1000; }

 private:
  static size_t index(uint64_t value) {
    if (value < 64) return value;
    const int shift = std::bit_width(value) - 7;
    return static_cast<size_t>(shift + 1) * 64 + ((value >> shift) & 63);
  }
  static uint64_t top(size_t i) {
    if (i < 64) return i;
    const uint64_t shift = i / 64 - 1;
    return (uint64_t{64} + i % 64 + 1) << shift;
  }
  std::array<uint64_t, size_t{60} * 64> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace load
