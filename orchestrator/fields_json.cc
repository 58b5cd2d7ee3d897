#include "orchestrator/fields_json.h"

#include <charconv>
#include <cmath>

namespace sluice::orchestrator {

std::string format_time(TimeStamp time) {
  if (time.ns == 0) return "0001-01-01T00:00:00Z";
  int64_t seconds = time.ns / 1'000'000'000;
  int64_t fraction = time.ns % 1'000'000'000;
  if (fraction < 0) {
    fraction += 1'000'000'000;
    --seconds;
  }
  std::string text = date_time_text(to_civil(seconds));
  if (fraction != 0) {
    std::string digits = fmt::format(".{:09}", fraction);
    while (digits.back() == '0') digits.pop_back();
    text += digits;
  }
  return text + 'Z';
}

namespace {

/// Exactly `width` digits at `at`.
bool digits(std::string_view text, size_t at, size_t width, int& value) {
  if (at + width > text.size()) return false;
  const char* first = text.data() + at;
  const auto [end, error] = std::from_chars(first, first + width, value);
  return error == std::errc() && end == first + width && *first != '-';
}

}  // namespace

bool parse_time(std::string_view text, TimeStamp& time) {
  // RFC 3339 section 5.6.
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!digits(text, 0, 4, year) || !digits(text, 5, 2, month) || !digits(text, 8, 2, day) ||
      !digits(text, 11, 2, hour) || !digits(text, 14, 2, minute) || !digits(text, 17, 2, second)) {
    return false;
  }
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') || text[13] != ':' ||
      text[16] != ':') {
    return false;
  }
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) {
    return false;
  }
  size_t at = 19;
  int64_t fraction = 0;
  if (at < text.size() && text[at] == '.') {
    int64_t unit = 100'000'000;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      fraction += (text[at] - '0') * unit;
    }
  }
  if (at >= text.size()) return false;
  int64_t offset_s = 0;
  if (text[at] == 'Z' || text[at] == 'z') {
    if (at + 1 != text.size()) return false;
  } else {
    int hours = 0, minutes = 0;
    if (at + 6 != text.size() || (text[at] != '+' && text[at] != '-') || text[at + 3] != ':' ||
        !digits(text, at + 1, 2, hours) || !digits(text, at + 4, 2, minutes)) {
      return false;
    }
    offset_s = (hours * 60 + minutes) * 60 * (text[at] == '-' ? -1 : 1);
  }
  if (year < 1678 || year > 2261) {  // beyond what 64 bits of nanoseconds hold: Go's zero time
    time.ns = 0;
    return year == 1;
  }
  const int64_t seconds = from_civil({.year = year,
                                      .month = static_cast<uint8_t>(month),
                                      .day = static_cast<uint8_t>(day),
                                      .hour = static_cast<uint8_t>(hour),
                                      .minute = static_cast<uint8_t>(minute),
                                      .second = static_cast<uint8_t>(second),
                                      .weekday = 0}) -
                          offset_s;
  time.ns = seconds * 1'000'000'000 + fraction;
  return true;
}

std::string_view json_kind_name(const Json& json) {
  switch (json.kind()) {
    case Json::Kind::kNull: return "null";
    case Json::Kind::kBool: return "a truth value";
    case Json::Kind::kInt:
    case Json::Kind::kDouble: return "a number";
    case Json::Kind::kString: return "a string";
    case Json::Kind::kArray: return "a list";
    case Json::Kind::kObject: return "an object";
  }
  return "?";
}

namespace fields_internal {

bool take_int(const Json& json, int64_t low, int64_t high, int64_t& value) {
  if (json.is_int()) {
    value = json.as_int();
  } else if (json.is_number()) {
    const double number = json.as_double();
    if (number != std::floor(number) || std::abs(number) > 9.0e18) return false;
    value = static_cast<int64_t>(number);
  } else {
    return false;
  }
  return value >= low && value <= high;
}

}  // namespace fields_internal
}  // namespace sluice::orchestrator
