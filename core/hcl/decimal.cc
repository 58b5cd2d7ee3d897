#include "core/hcl/decimal.h"

#include <algorithm>

namespace sluice::hcl {

namespace {

void trim_zeros(Decimal& decimal) {
  while (!decimal.digits.empty() && decimal.digits.back() == '0') decimal.digits.pop_back();
}

void round_up(Decimal& decimal, size_t keep) {
  decimal.digits.resize(keep);
  while (!decimal.digits.empty() && decimal.digits.back() == '9') decimal.digits.pop_back();
  if (decimal.digits.empty()) {
    decimal.digits = "1";
    ++decimal.point;
    return;
  }
  ++decimal.digits.back();
}

bool rounds_up(const Decimal& decimal, size_t keep) {
  bool exactly_half = decimal.digits[keep] == '5' && keep + 1 == decimal.digits.size();
  if (exactly_half) return keep > 0 && (decimal.digits[keep - 1] - '0') % 2 == 1;
  return decimal.digits[keep] >= '5';
}

// The digit at that place behind the common `point`.
char digit_at(const Decimal& decimal, int64_t point, int64_t index) {
  int64_t at = index - (point - decimal.point);
  if (at < 0 || at >= static_cast<int64_t>(decimal.digits.size())) return '0';
  return decimal.digits[static_cast<size_t>(at)];
}

}  // namespace

void round_decimal(Decimal& decimal, int64_t digits) {
  if (digits < 0) {
    decimal.digits.clear();
  } else if (digits < static_cast<int64_t>(decimal.digits.size())) {
    auto keep = static_cast<size_t>(digits);
    if (rounds_up(decimal, keep)) {
      round_up(decimal, keep);
    } else {
      decimal.digits.resize(keep);
      trim_zeros(decimal);
    }
  }
  if (decimal.digits.empty()) decimal.point = 0;
}

void shorten(Decimal& value, const Decimal& lower, const Decimal& upper, bool inclusive) {
  int64_t point = std::max({value.point, lower.point, upper.point});
  int64_t leading = point - value.point;
  for (size_t i = 0; i < value.digits.size(); ++i) {
    int64_t at = leading + static_cast<int64_t>(i);
    char middle = value.digits[i];
    char low = digit_at(lower, point, at);
    char high = digit_at(upper, point, at);
    auto past = [&](const Decimal& d) {
      int64_t next = at + 1 - (point - d.point);
      return next < static_cast<int64_t>(d.digits.size());
    };
    bool may_round_down = low != middle || (inclusive && !past(lower));
    bool may_round_up = middle != high && (inclusive || middle + 1 < high || past(upper));
    if (!may_round_down && !may_round_up) continue;
    if (may_round_down && may_round_up) {
      round_decimal(value, static_cast<int64_t>(i) + 1);
    } else if (may_round_down) {
      value.digits.resize(i + 1);
      trim_zeros(value);
    } else {
      round_up(value, i + 1);
    }
    return;
  }
}

// ---- text ----

namespace {

std::string fixed(const Decimal& value, int64_t decimals) {
  std::string out = value.negative ? "-" : "";
  auto digit = [&](int64_t at) {
    bool there = at >= 0 && at < static_cast<int64_t>(value.digits.size());
    return there ? value.digits[static_cast<size_t>(at)] : '0';
  };
  for (int64_t i = 0; i < value.point; ++i) out += digit(i);
  if (value.point <= 0) out += '0';
  if (decimals > 0) out += '.';
  for (int64_t i = 0; i < decimals; ++i) out += digit(value.point + i);
  return out;
}

std::string scientific(const Decimal& value, int64_t decimals, char letter) {
  std::string out = value.negative ? "-" : "";
  auto digit = [&](size_t at) { return at < value.digits.size() ? value.digits[at] : '0'; };
  out += digit(0);
  if (decimals > 0) out += '.';
  for (int64_t i = 1; i <= decimals; ++i) out += digit(static_cast<size_t>(i));
  int64_t exponent = value.digits.empty() ? 0 : value.point - 1;
  out += letter;
  out += exponent < 0 ? '-' : '+';
  std::string number = std::to_string(exponent < 0 ? -exponent : exponent);
  if (number.size() < 2) out += '0';
  return out + number;
}

int64_t decimals_of(const Decimal& value) {
  return std::max<int64_t>(0, static_cast<int64_t>(value.digits.size()) - value.point);
}

}  // namespace

std::string Number::text() const {
  if (!big_) return std::to_string(whole_);
  Decimal value = shortest();
  return fixed(value, decimals_of(value));
}

std::string Number::format(char form, int precision) const {
  bool wants_shortest = precision < 0;
  Decimal value = wants_shortest ? shortest() : exact();
  auto length = [&] { return static_cast<int64_t>(value.digits.size()); };
  char letter = form == 'E' || form == 'G' ? 'E' : 'e';
  if (form == 'f') {
    if (!wants_shortest) round_decimal(value, value.point + precision);
    return fixed(value, wants_shortest ? decimals_of(value) : precision);
  }
  if (form == 'e' || form == 'E') {
    if (!wants_shortest) round_decimal(value, precision + 1);
    return scientific(value, wants_shortest ? std::max<int64_t>(0, length() - 1) : precision,
                      letter);
  }
  // 'g': the exponent only where the number is very small, or has more digits before the point than
  // are shown (six for the shortest form).
  int64_t digits = wants_shortest ? length() : std::max(precision, 1);
  if (!wants_shortest) round_decimal(value, digits);
  int64_t limit = digits;
  if (limit > length() && length() >= value.point) limit = length();
  if (wants_shortest) limit = 6;
  int64_t exponent = value.digits.empty() ? 0 : value.point - 1;
  if (exponent < -4 || exponent >= limit) {
    return scientific(value, std::max<int64_t>(0, std::min(digits, length()) - 1), letter);
  }
  return fixed(value, decimals_of(value));
}

}  // namespace sluice::hcl
