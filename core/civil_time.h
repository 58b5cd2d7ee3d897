// Calendar time and its text, without the C library's locks.
// Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sluice {

struct CivilTime {
  int32_t year;
  uint8_t month;  // 1 to 12
  uint8_t day;    // 1 to 31
  uint8_t hour;
  uint8_t minute;
  uint8_t second;
  uint8_t weekday;  // 0: Sunday
};

/// Proleptic Gregorian calendar, UTC.
CivilTime to_civil(int64_t unix_seconds);
/// The inverse, UTC; the weekday is not looked at.
int64_t from_civil(const CivilTime& time);

/// "2006-01-02T15:04:05": RFC 3339 without fraction and offset. Years 0 to 9999.
std::string date_time_text(const CivilTime& time);

/// "Jan" to "Dec".
const char* month_name(uint8_t month);

/// Writes `value` in decimal, with leading zeroes up to `width` digits (0: as many as it has), and
/// returns how many bytes that were: at most 20, or `width` if that is more. `out` has room for
/// them.
size_t put_decimal(char* out, uint64_t value, unsigned width);

}  // namespace sluice
