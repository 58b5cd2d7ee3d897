#include "core/civil_time.h"

#include <fmt/format.h>

#include <cstring>

#include "core/check.h"

namespace sluice {

namespace {
constexpr int64_t kDaySeconds = 86400;
constexpr int64_t kEraDays = 146097;  // 400 years
// Years begin in March here, so that the leap day is the last one of its year.
constexpr int64_t kEpochShiftDays = 719468;  // from 0000-03-01 to 1970-01-01

constexpr int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}
}  // namespace

CivilTime to_civil(int64_t unix_seconds) {
  const int64_t days = floor_div(unix_seconds, kDaySeconds);
  const int64_t in_day = unix_seconds - days * kDaySeconds;
  const int64_t shifted = days + kEpochShiftDays;
  const int64_t era = floor_div(shifted, kEraDays);
  const int64_t day_of_era = shifted - era * kEraDays;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  CivilTime out;
  out.day = static_cast<uint8_t>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  out.month = static_cast<uint8_t>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  out.year = static_cast<int32_t>(era * 400 + year_of_era + (out.month <= 2 ? 1 : 0));
  out.hour = static_cast<uint8_t>(in_day / 3600);
  out.minute = static_cast<uint8_t>(in_day / 60 % 60);
  out.second = static_cast<uint8_t>(in_day % 60);
  out.weekday = static_cast<uint8_t>(((days + 4) % 7 + 7) % 7);  // 1970-01-01 was a Thursday
  return out;
}

int64_t from_civil(const CivilTime& time) {
  const int64_t year = time.month <= 2 ? time.year - 1 : time.year;
  const int64_t era = floor_div(year, 400);
  const int64_t year_of_era = year - era * 400;
  const int64_t shifted_month = time.month > 2 ? time.month - 3 : time.month + 9;
  const int64_t day_of_year = (153 * shifted_month + 2) / 5 + time.day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  const int64_t days = era * kEraDays + day_of_era - kEpochShiftDays;
  return days * kDaySeconds + time.hour * 3600 + time.minute * 60 + time.second;
}

const char* month_name(uint8_t month) {
  static constexpr const char* kNames[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  CHECK(month >= 1 && month <= 12);
  return kNames[month - 1];
}

std::string date_time_text(const CivilTime& time) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", time.year, time.month, time.day,
                     time.hour, time.minute, time.second);
}

size_t put_decimal(char* out, uint64_t value, unsigned width) {
  char digits[20];
  size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  size_t pos = 0;
  for (; pos + count < width; ++pos) out[pos] = '0';
  while (count > 0) out[pos++] = digits[--count];
  return pos;
}

}  // namespace sluice
