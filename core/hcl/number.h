// HCL's number: a binary fraction of 512 bits, as the reference implementation has it, so that 0.1
// + 0.2 is 0.3 and large integers keep their digits.
//
// A value; any thread. Whole numbers of 64 bits take no memory of their own and are the common
// case. A number carries the precision it was made with (512 bits as text, 64 as a count, 53 as a
// double); a result has the larger one of its operands and is rounded to it, half to even. Limits:
// below 2^kMaxExponent and, but for zero, not below its inverse; what would leave this range is
// nullopt.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::hcl {

/// A decimal fraction: 0.DIGITS * 10^point. Digits have no zero at either end; zero has none at
/// all.
struct Decimal {
  bool negative = false;
  std::string digits;
  int64_t point = 0;
};

class Number {
 public:
  static constexpr uint16_t kTextPrecision = 512;
  static constexpr uint16_t kCountPrecision = 64;
  static constexpr uint16_t kDoublePrecision = 53;
  static constexpr int64_t kMaxExponent = 8192;
  static constexpr size_t kMaxDigits = 4096;

  Number() = default;
  Number(int64_t value) : whole_(value) {}
  /// Of a finite double.
  static Number from_double(double value);
  /// Decimal text with an optional sign, fraction and exponent; nothing else.
  static std::optional<Number> parse(std::string_view text);

  [[nodiscard]] bool is_int64() const { return !big_; }
  [[nodiscard]] bool is_whole() const;
  /// CHECKs is_int64.
  [[nodiscard]] int64_t to_int64() const;
  /// The nearest; infinite if there is none.
  [[nodiscard]] double to_double() const;
  /// All its digits.
  [[nodiscard]] Decimal exact() const;
  /// The fewest digits that tell it from its neighbours.
  [[nodiscard]] Decimal shortest() const;
  /// The shortest form without an exponent.
  [[nodiscard]] std::string text() const;
  /// As Go formats it: 'f', 'e' or 'g', upper case for an upper case exponent, that many digits
  /// (after the point, for 'g' in all), half to even; -1: the shortest.
  [[nodiscard]] std::string format(char form, int precision) const;
  [[nodiscard]] int sign() const;  // -1, 0, 1

  friend std::optional<Number> add(const Number& a, const Number& b);
  friend std::optional<Number> subtract(const Number& a, const Number& b);
  friend std::optional<Number> multiply(const Number& a, const Number& b);
  /// Requires b != 0, as does remainder.
  friend std::optional<Number> divide(const Number& a, const Number& b);
  /// With the sign of `a`.
  friend std::optional<Number> remainder(const Number& a, const Number& b);
  friend Number negate(const Number& a);
  friend Number truncate(const Number& a);  // toward zero
  /// -1, 0, 1
  friend int compare(const Number& a, const Number& b);
  friend bool operator==(const Number& a, const Number& b) { return compare(a, b) == 0; }

 private:
  struct Big;
  static Big widen(const Number& number);
  static std::optional<Number> round(Big big, uint16_t precision);
  static std::optional<Number> sum(const Number& a, const Number& b, bool negate_b);

  uint16_t precision_ = kCountPrecision;
  int64_t whole_ = 0;               // the value, unless big_ is set
  std::shared_ptr<const Big> big_;  // what is no whole number of 64 bits
};

}  // namespace sluice::hcl
