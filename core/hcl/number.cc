#include "core/hcl/number.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "core/check.h"
#include "core/hcl/decimal.h"
#include "core/hcl/natural.h"

namespace sluice::hcl {

// (-1)^negative * mantissa * 2^exponent. Zero has no Big that is kept.
struct Number::Big {
  bool negative = false;
  Natural mantissa;
  int64_t exponent = 0;
};

namespace {

uint64_t magnitude(int64_t value) {
  return value < 0 ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

Number::Big Number::widen(const Number& number) {
  if (number.big_) return *number.big_;
  return {number.whole_ < 0, Natural(magnitude(number.whole_)), 0};
}

// To that many bits, half to even; then in the smallest form.
std::optional<Number> Number::round(Big big, uint16_t precision) {
  Number out;
  out.precision_ = precision;
  if (big.mantissa.is_zero()) return out;
  size_t length = big.mantissa.bit_length();
  if (length > precision) {
    size_t drop = length - precision;
    bool half = big.mantissa.bit(drop - 1);
    bool more = big.mantissa.trailing_zeros() < drop - 1;
    Natural kept = big.mantissa >> drop;
    if (half && (more || kept.is_odd())) kept = kept + Natural(1);
    big.mantissa = std::move(kept);
    big.exponent += static_cast<int64_t>(drop);
  }
  size_t zeros = big.mantissa.trailing_zeros();
  big.mantissa = big.mantissa >> zeros;
  big.exponent += static_cast<int64_t>(zeros);
  int64_t top = big.exponent + static_cast<int64_t>(big.mantissa.bit_length());
  if (top > kMaxExponent || top < -kMaxExponent) return std::nullopt;
  bool fits = big.exponent >= 0 && top <= 63;
  if (fits) {
    auto value = static_cast<int64_t>(big.mantissa.low_bits() << big.exponent);
    out.whole_ = big.negative ? -value : value;
    return out;
  }
  bool lowest = big.negative && big.exponent == 63 && big.mantissa == Natural(1);
  if (lowest) {
    out.whole_ = INT64_MIN;
    return out;
  }
  out.big_ = std::make_shared<const Big>(std::move(big));
  return out;
}

Number Number::from_double(double value) {
  CHECK(std::isfinite(value));
  int exponent = 0;
  double fraction = std::frexp(std::fabs(value), &exponent);
  constexpr int kBits = 53;
  auto mantissa = static_cast<uint64_t>(std::ldexp(fraction, kBits));
  std::optional<Number> number =
      round({value < 0, Natural(mantissa), exponent - kBits}, kDoublePrecision);
  CHECK(number);
  return *number;
}

std::optional<Number> Number::parse(std::string_view text) {
  Big big;
  if (text.starts_with('-') || text.starts_with('+')) {
    big.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  std::string digits;
  int64_t scale = 0;  // the value is digits * 10^scale
  size_t i = 0;
  while (i < text.size() && is_digit(text[i])) digits += text[i++];
  if (i < text.size() && text[i] == '.') {
    ++i;
    for (; i < text.size() && is_digit(text[i]); --scale) digits += text[i++];
  }
  if (digits.empty() || digits.size() > kMaxDigits) return std::nullopt;
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && text[i] == '+') ++i;
    int64_t exponent = 0;
    auto end = std::from_chars(text.data() + i, text.data() + text.size(), exponent);
    if (end.ec != std::errc() || end.ptr == text.data() + i) return std::nullopt;
    i = static_cast<size_t>(end.ptr - text.data());
    if (exponent > kMaxExponent || exponent < -kMaxExponent) return std::nullopt;
    scale += exponent;
  }
  if (i != text.size()) return std::nullopt;
  big.mantissa = Natural::from_decimal(digits);
  big.exponent = scale;
  if (scale >= 0) {
    big.mantissa = big.mantissa * Natural::power(5, static_cast<uint32_t>(scale));
  } else {
    Natural divisor = Natural::power(5, static_cast<uint32_t>(-scale));
    // Enough bits for the quotient, and one more that tells whether anything remains.
    size_t shift = kTextPrecision + 2 + divisor.bit_length();
    Natural::Division division = divide(big.mantissa << shift, divisor);
    big.mantissa = division.quotient << 1;
    if (!division.remainder.is_zero()) big.mantissa = big.mantissa + Natural(1);
    big.exponent = scale - static_cast<int64_t>(shift) - 1;
  }
  return round(std::move(big), kTextPrecision);
}

int64_t Number::to_int64() const {
  CHECK(!big_);
  return whole_;
}

bool Number::is_whole() const {
  return !big_ || big_->exponent >= 0;
}

double Number::to_double() const {
  if (!big_) return static_cast<double>(whole_);
  // 62 bits and one that tells of the rest, so that the conversion rounds once and rightly.
  constexpr size_t kKept = 62;
  Natural mantissa = big_->mantissa;
  int64_t exponent = big_->exponent;
  size_t length = mantissa.bit_length();
  uint64_t bits = 0;
  if (length > kKept) {
    size_t drop = length - kKept;
    bits = (mantissa >> drop).low_bits() << 1;
    if (mantissa.trailing_zeros() < drop) bits |= 1;
    exponent += static_cast<int64_t>(drop) - 1;
  } else {
    bits = mantissa.low_bits();
  }
  double value = std::ldexp(static_cast<double>(bits), static_cast<int>(exponent));
  return big_->negative ? -value : value;
}

int Number::sign() const {
  if (big_) return big_->negative ? -1 : 1;
  return (whole_ > 0) - (whole_ < 0);
}

// ---- decimal digits ----

static void trim_zeros(Decimal& decimal) {
  while (!decimal.digits.empty() && decimal.digits.back() == '0') decimal.digits.pop_back();
}

static Decimal to_decimal(const Natural& mantissa, int64_t exponent) {
  Decimal out;
  if (exponent >= 0) {
    out.digits = (mantissa << static_cast<size_t>(exponent)).decimal();
    out.point = static_cast<int64_t>(out.digits.size());
  } else {
    // m / 2^n = m * 5^n / 10^n
    out.digits = (mantissa * Natural::power(5, static_cast<uint32_t>(-exponent))).decimal();
    out.point = static_cast<int64_t>(out.digits.size()) + exponent;
  }
  trim_zeros(out);
  return out;
}

Decimal Number::exact() const {
  if (sign() == 0) return {};
  Big big = widen(*this);
  Decimal out = to_decimal(big.mantissa, big.exponent);
  out.negative = big.negative;
  return out;
}

Decimal Number::shortest() const {
  if (!big_) return exact();
  size_t length = big_->mantissa.bit_length();
  // At its full precision, and two bits more for the midpoints to the neighbours.
  size_t shift = precision_ > length ? precision_ - length : 0;
  Natural full = big_->mantissa << shift;
  int64_t exponent = big_->exponent - static_cast<int64_t>(shift);
  Decimal value = to_decimal(full, exponent);
  value.negative = big_->negative;
  // Below a power of two the neighbour is twice as near.
  bool power = big_->mantissa == Natural(1);
  Decimal lower = power ? to_decimal((full << 2) - Natural(1), exponent - 2)
                        : to_decimal((full << 1) - Natural(1), exponent - 1);
  Decimal upper = to_decimal((full << 1) + Natural(1), exponent - 1);
  shorten(value, lower, upper, !full.is_odd());
  return value;
}

// ---- arithmetic ----

std::optional<Number> Number::sum(const Number& a, const Number& b, bool negate_b) {
  Big x = widen(a);
  Big y = widen(b);
  if (negate_b) y.negative = !y.negative;
  int64_t exponent = std::min(x.exponent, y.exponent);
  x.mantissa = x.mantissa << static_cast<size_t>(x.exponent - exponent);
  y.mantissa = y.mantissa << static_cast<size_t>(y.exponent - exponent);
  Big out{.exponent = exponent};
  if (x.negative == y.negative) {
    out.mantissa = x.mantissa + y.mantissa;
    out.negative = x.negative;
  } else {
    bool x_larger = compare(x.mantissa, y.mantissa) >= 0;
    out.mantissa = x_larger ? x.mantissa - y.mantissa : y.mantissa - x.mantissa;
    out.negative = x_larger ? x.negative : y.negative;
  }
  return round(std::move(out), std::max(a.precision_, b.precision_));
}

std::optional<Number> add(const Number& a, const Number& b) {
  return Number::sum(a, b, false);
}
std::optional<Number> subtract(const Number& a, const Number& b) {
  return Number::sum(a, b, true);
}

std::optional<Number> multiply(const Number& a, const Number& b) {
  Number::Big x = Number::widen(a);
  Number::Big y = Number::widen(b);
  return Number::round({x.negative != y.negative, x.mantissa * y.mantissa, x.exponent + y.exponent},
                       std::max(a.precision_, b.precision_));
}

std::optional<Number> divide(const Number& a, const Number& b) {
  CHECK(b.sign() != 0);
  Number::Big x = Number::widen(a);
  Number::Big y = Number::widen(b);
  uint16_t precision = std::max(a.precision_, b.precision_);
  size_t shift = precision + 2 + y.mantissa.bit_length();
  Natural::Division division = divide(x.mantissa << shift, y.mantissa);
  Natural mantissa = division.quotient << 1;
  if (!division.remainder.is_zero()) mantissa = mantissa + Natural(1);
  return Number::round({x.negative != y.negative, std::move(mantissa),
                        x.exponent - y.exponent - static_cast<int64_t>(shift) - 1},
                       precision);
}

Number truncate(const Number& a) {
  if (a.is_whole()) return a;
  Number::Big big = *a.big_;
  big.mantissa = big.mantissa >> static_cast<size_t>(-big.exponent);
  big.exponent = 0;
  std::optional<Number> out = Number::round(std::move(big), a.precision_);
  CHECK(out);
  return *out;
}

std::optional<Number> remainder(const Number& a, const Number& b) {
  CHECK(b.sign() != 0);
  std::optional<Number> quotient = divide(a, b);
  if (!quotient) return std::nullopt;
  std::optional<Number> back = multiply(truncate(*quotient), b);
  if (!back) return std::nullopt;
  return subtract(a, *back);
}

Number negate(const Number& a) {
  Number::Big big = Number::widen(a);
  big.negative = !big.negative;
  std::optional<Number> out = Number::round(std::move(big), a.precision_);
  CHECK(out);
  return *out;
}

int compare(const Number& a, const Number& b) {
  if (a.is_int64() && b.is_int64()) return (a.whole_ > b.whole_) - (a.whole_ < b.whole_);
  int sign = a.sign();
  if (sign != b.sign()) return sign < b.sign() ? -1 : 1;
  Number::Big x = Number::widen(a);
  Number::Big y = Number::widen(b);
  int64_t exponent = std::min(x.exponent, y.exponent);
  return sign * compare(x.mantissa << static_cast<size_t>(x.exponent - exponent),
                        y.mantissa << static_cast<size_t>(y.exponent - exponent));
}

}  // namespace sluice::hcl
