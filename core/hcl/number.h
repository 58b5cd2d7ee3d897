// HCL's number: exact for whole numbers of 64 bits, a double otherwise.
//
// A value; any thread. Text comes out in plain digits, never with an exponent, as HCL's templates
// show it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::hcl {

class Number {
 public:
  Number() = default;
  Number(int64_t value) : whole_(value) {}
  static Number from_double(double value);
  /// Decimal text with an optional sign, fraction and exponent; nothing else.
  static std::optional<Number> parse(std::string_view text);

  [[nodiscard]] bool is_int64() const { return is_whole_; }
  /// CHECKs is_int64.
  [[nodiscard]] int64_t to_int64() const;
  [[nodiscard]] double to_double() const;
  [[nodiscard]] std::string text() const;
  [[nodiscard]] int sign() const;  // -1, 0, 1

  friend Number operator+(const Number& a, const Number& b);
  friend Number operator-(const Number& a, const Number& b);
  friend Number operator*(const Number& a, const Number& b);
  /// Requires b != 0, as does remainder.
  friend Number operator/(const Number& a, const Number& b);
  /// With the sign of `a`.
  friend Number remainder(const Number& a, const Number& b);
  friend Number operator-(const Number& a);
  /// -1, 0, 1
  friend int compare(const Number& a, const Number& b);
  friend bool operator==(const Number& a, const Number& b) { return compare(a, b) == 0; }

 private:
  bool is_whole_ = true;
  int64_t whole_ = 0;
  double real_ = 0;
};

}  // namespace sluice::hcl
