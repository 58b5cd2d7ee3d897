#include "core/hcl/number.h"

#include <charconv>
#include <cmath>

#include "core/check.h"

namespace sluice::hcl {

Number Number::from_double(double value) {
  Number number;
  // Whole and small enough to be exact both ways.
  if (value == std::trunc(value) && std::fabs(value) < 0x1p63) {
    number.whole_ = static_cast<int64_t>(value);
    return number;
  }
  number.is_whole_ = false;
  number.real_ = value;
  return number;
}

std::optional<Number> Number::parse(std::string_view text) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  std::string_view digits = text;
  if (!digits.empty() && digits[0] == '-') digits.remove_prefix(1);
  if (digits.empty() || digits[0] < '0' || digits[0] > '9') return std::nullopt;
  int64_t whole = 0;
  const char* end = text.data() + text.size();
  auto as_whole = std::from_chars(text.data(), end, whole);
  if (as_whole.ec == std::errc() && as_whole.ptr == end) return Number(whole);
  double real = 0;
  auto as_real = std::from_chars(text.data(), end, real);
  if (as_real.ec != std::errc() || as_real.ptr != end || !std::isfinite(real)) return std::nullopt;
  return from_double(real);
}

int64_t Number::to_int64() const {
  CHECK(is_whole_);
  return whole_;
}

double Number::to_double() const {
  return is_whole_ ? static_cast<double>(whole_) : real_;
}

std::string Number::text() const {
  char out[400];
  auto end = is_whole_ ? std::to_chars(out, out + sizeof out, whole_)
                       : std::to_chars(out, out + sizeof out, real_, std::chars_format::fixed);
  CHECK(end.ec == std::errc());
  return {out, end.ptr};
}

int Number::sign() const {
  return compare(*this, Number(0));
}

Number operator+(const Number& a, const Number& b) {
  int64_t sum;
  if (a.is_whole_ && b.is_whole_ && !__builtin_add_overflow(a.whole_, b.whole_, &sum)) return sum;
  return Number::from_double(a.to_double() + b.to_double());
}

Number operator-(const Number& a, const Number& b) {
  int64_t difference;
  if (a.is_whole_ && b.is_whole_ && !__builtin_sub_overflow(a.whole_, b.whole_, &difference)) {
    return difference;
  }
  return Number::from_double(a.to_double() - b.to_double());
}

Number operator*(const Number& a, const Number& b) {
  int64_t product;
  if (a.is_whole_ && b.is_whole_ && !__builtin_mul_overflow(a.whole_, b.whole_, &product)) {
    return product;
  }
  return Number::from_double(a.to_double() * b.to_double());
}

Number operator/(const Number& a, const Number& b) {
  CHECK(b.sign() != 0);
  if (a.is_whole_ && b.is_whole_ && b.whole_ != -1 && a.whole_ % b.whole_ == 0) {
    return a.whole_ / b.whole_;
  }
  return Number::from_double(a.to_double() / b.to_double());
}

Number remainder(const Number& a, const Number& b) {
  CHECK(b.sign() != 0);
  if (a.is_whole_ && b.is_whole_) return b.whole_ == -1 ? Number(0) : Number(a.whole_ % b.whole_);
  return Number::from_double(std::fmod(a.to_double(), b.to_double()));
}

Number operator-(const Number& a) {
  return Number(0) - a;
}

int compare(const Number& a, const Number& b) {
  if (a.is_whole_ && b.is_whole_) return (a.whole_ > b.whole_) - (a.whole_ < b.whole_);
  double x = a.to_double();
  double y = b.to_double();
  return (x > y) - (x < y);
}

}  // namespace sluice::hcl
