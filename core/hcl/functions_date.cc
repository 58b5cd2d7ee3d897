// formatdate and timeadd, on RFC 3339 timestamps.
#include <fmt/format.h>

#include <optional>

#include "core/ascii.h"
#include "core/civil_time.h"
#include "core/duration.h"
#include "core/hcl/functions_impl.h"

namespace sluice::hcl {

namespace {

struct Timestamp {
  int64_t seconds = 0;  // since 1970, UTC
  int64_t nanoseconds = 0;
  int offset_minutes = 0;  // of the zone that it is written in
};

std::optional<int> two_digits(std::string_view text, size_t at, size_t digits, int max) {
  int value = 0;
  if (text.size() < at + digits) return std::nullopt;
  for (size_t i = at; i < at + digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value <= max ? std::optional(value) : std::nullopt;
}

int days_in(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// "2006-01-02T15:04:05[.999]Z", or +07:00 in place of Z.
Result<Timestamp> parse_timestamp(std::string_view text) {
  auto wrong = [&] {
    return fail(Code::kInvalid,
                "a time such as \"2006-01-02T15:04:05Z\" is required, this is \"{}\"", text);
  };
  auto year = two_digits(text, 0, 4, 9999);
  auto month = two_digits(text, 5, 2, 12);
  auto day = two_digits(text, 8, 2, 31);
  auto hour = two_digits(text, 11, 2, 23);
  auto minute = two_digits(text, 14, 2, 59);
  auto second = two_digits(text, 17, 2, 59);
  if (!year || !month || !day || !hour || !minute || !second) return wrong();
  bool marks =
      text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' && text[16] == ':';
  if (!marks || *month == 0 || *day == 0 || *day > days_in(*year, *month)) return wrong();
  Timestamp out;
  CivilTime civil{.year = *year,
                  .month = static_cast<uint8_t>(*month),
                  .day = static_cast<uint8_t>(*day),
                  .hour = static_cast<uint8_t>(*hour),
                  .minute = static_cast<uint8_t>(*minute),
                  .second = static_cast<uint8_t>(*second),
                  .weekday = 0};
  out.seconds = from_civil(civil);
  size_t at = 19;
  if (at < text.size() && text[at] == '.') {
    int64_t unit = 100'000'000;
    size_t first = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      out.nanoseconds += (text[at] - '0') * unit;
    }
    if (at == first) return wrong();
  }
  if (text.substr(at) == "Z") return out;
  if (text.size() != at + 6 || (text[at] != '+' && text[at] != '-') || text[at + 3] != ':')
    return wrong();
  auto zone_hour = two_digits(text, at + 1, 2, 23);
  auto zone_minute = two_digits(text, at + 4, 2, 59);
  if (!zone_hour || !zone_minute) return wrong();
  out.offset_minutes = (*zone_hour * 60 + *zone_minute) * (text[at] == '-' ? -1 : 1);
  out.seconds -= int64_t{out.offset_minutes} * 60;
  return out;
}

CivilTime local_time(const Timestamp& time) {
  return to_civil(time.seconds + int64_t{time.offset_minutes} * 60);
}

std::string zone_text(int offset_minutes, std::string_view separator) {
  int size = offset_minutes < 0 ? -offset_minutes : offset_minutes;
  return fmt::format("{}{:02}{}{:02}", offset_minutes < 0 ? '-' : '+', size / 60, separator,
                     size % 60);
}

constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};

std::optional<std::string> zone_verb(const Timestamp& time, size_t length) {
  switch (length) {
    case 1: return time.offset_minutes == 0 ? "Z" : zone_text(time.offset_minutes, ":");
    case 3: return time.offset_minutes == 0 ? "UTC" : zone_text(time.offset_minutes, "");
    case 4: return zone_text(time.offset_minutes, "");
    case 5: return zone_text(time.offset_minutes, ":");
    default: return std::nullopt;
  }
}

// A number with one or two digits.
std::optional<std::string> short_number(int value, size_t length) {
  if (length == 1) return fmt::format("{}", value);
  if (length == 2) return fmt::format("{:02}", value);
  return std::nullopt;
}

std::optional<std::string> date_verb(const Timestamp& time, char verb, size_t length) {
  CivilTime civil = local_time(time);
  switch (verb) {
    case 'Y':
      if (length == 2) return fmt::format("{:02}", civil.year % 100);
      if (length == 4) return fmt::format("{:04}", civil.year);
      return std::nullopt;
    case 'M':
      if (length == 3) return std::string(kMonths[civil.month - 1].substr(0, 3));
      if (length == 4) return std::string(kMonths[civil.month - 1]);
      return short_number(civil.month, length);
    case 'D': return short_number(civil.day, length);
    case 'E':
      if (length == 3) return std::string(kDays[civil.weekday].substr(0, 3));
      if (length == 4) return std::string(kDays[civil.weekday]);
      return std::nullopt;
    case 'h': return short_number(civil.hour, length);
    case 'H': return short_number(civil.hour % 12 == 0 ? 12 : civil.hour % 12, length);
    case 'A':
    case 'a':
      if (length != 2) return std::nullopt;
      if (civil.hour < 12) return verb == 'A' ? "AM" : "am";
      return verb == 'A' ? "PM" : "pm";
    case 'm': return short_number(civil.minute, length);
    case 's': return short_number(civil.second, length);
    case 'Z': return zone_verb(time, length);
    default: return std::nullopt;
  }
}

// 'text', with '' for a quote inside; '' alone is a quote. `at` is behind the first quote.
Result<std::string> quoted_text(std::string_view format, size_t& at) {
  if (at < format.size() && format[at] == '\'') {
    ++at;
    return "'";
  }
  std::string out;
  while (at < format.size()) {
    char c = format[at++];
    if (c != '\'') {
      out += c;
    } else if (at < format.size() && format[at] == '\'') {
      out += c;
      ++at;
    } else {
      return out;
    }
  }
  return fail(Code::kInvalid, "the format has a ' that is not closed");
}

Result<Value> formatdate(Arguments arguments, CallContext&) {
  std::string_view format = arguments[0].as_string();
  Result<Timestamp> time = parse_timestamp(arguments[1].as_string());
  if (!time) return pass(time);
  std::string out;
  size_t at = 0;
  while (at < format.size()) {
    char c = format[at];
    if (c == '\'') {
      ++at;
      Result<std::string> text = quoted_text(format, at);
      if (!text) return pass(text);
      out += *text;
    } else if (ascii::is_letter(c)) {
      size_t end = std::min(format.find_first_not_of(c, at), format.size());
      std::optional<std::string> text = date_verb(*time, c, end - at);
      if (!text) {
        return fail(Code::kInvalid, "the format knows no \"{}\" (plain text stands in '')",
                    format.substr(at, end - at));
      }
      out += *text;
      at = end;
    } else {
      out += c;
      ++at;
    }
  }
  return Value::string(std::move(out));
}

Result<Value> timeadd(Arguments arguments, CallContext&) {
  Result<Timestamp> time = parse_timestamp(arguments[0].as_string());
  if (!time) return pass(time);
  Result<int64_t> duration = parse_go_duration(arguments[1].as_string());
  if (!duration) return pass(duration);
  constexpr int64_t kSecond = 1'000'000'000;
  int64_t nanoseconds = time->nanoseconds + *duration % kSecond;
  time->seconds += *duration / kSecond + (nanoseconds >= kSecond) - (nanoseconds < 0);
  CivilTime civil = local_time(*time);
  if (civil.year < 0 || civil.year > 9999) return fail(Code::kInvalid, "the year leaves 0 to 9999");
  return Value::string(date_time_text(civil) + *zone_verb(*time, 1));
}

}  // namespace

void add_date_functions(std::vector<Function>& out) {
  out.push_back(
      {"formatdate", {{"format", Type::string()}, {"time", Type::string()}}, false, formatdate});
  out.push_back(
      {"timeadd", {{"time", Type::string()}, {"duration", Type::string()}}, false, timeadd});
}

}  // namespace sluice::hcl
