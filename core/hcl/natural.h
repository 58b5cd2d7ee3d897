// Natural numbers of any size, for the numbers of HCL (number.h), which promise exact digits.
//
// A value; any thread. Sizes are bounded by the caller (number.h bounds exponents and digits).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::hcl {

class Natural {
 public:
  Natural() = default;
  explicit Natural(uint64_t value);
  /// Requires decimal digits only.
  static Natural from_decimal(std::string_view digits);
  static Natural power(uint32_t base, uint32_t exponent);

  [[nodiscard]] bool is_zero() const { return limbs_.empty(); }
  [[nodiscard]] bool is_odd() const { return !limbs_.empty() && (limbs_[0] & 1) != 0; }
  /// The place of the highest bit set, counted from 1; 0 of zero.
  [[nodiscard]] size_t bit_length() const;
  [[nodiscard]] bool bit(size_t index) const;
  /// How many zero bits there are below the lowest one that is set.
  [[nodiscard]] size_t trailing_zeros() const;
  /// The lowest 64 bits.
  [[nodiscard]] uint64_t low_bits() const;
  [[nodiscard]] std::string decimal() const;

  friend Natural operator+(const Natural& a, const Natural& b);
  /// Requires a >= b.
  friend Natural operator-(const Natural& a, const Natural& b);
  friend Natural operator*(const Natural& a, const Natural& b);
  friend Natural operator<<(const Natural& a, size_t bits);
  friend Natural operator>>(const Natural& a, size_t bits);
  friend bool operator==(const Natural& a, const Natural& b) = default;
  friend int compare(const Natural& a, const Natural& b);

  struct Division;
  /// Requires b != 0.
  friend Division divide(const Natural& a, const Natural& b);

 private:
  void trim();
  void multiply_add(uint32_t factor, uint32_t addend);
  uint32_t divide_small(uint32_t divisor);  // returns the remainder

  std::vector<uint32_t> limbs_;  // the lowest first; the highest is not 0
};

struct Natural::Division {
  Natural quotient;
  Natural remainder;
};

}  // namespace sluice::hcl
