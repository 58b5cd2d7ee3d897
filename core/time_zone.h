// TimeZone: what the clocks of a place show, from the machine's time zone files (RFC 9636).
//
// What for: periodic jobs whose cron is written for a place. Owner: whoever parsed it; a value that
// never changes, any thread. parse is pure; load_time_zone reads one file through the Disk.
// Limits: kMaxZoneBytes of a file, kMaxTransitions in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/civil_time.h"
#include "core/disk.h"
#include "core/result.h"

namespace sluice {

class TimeZone {
 public:
  static constexpr size_t kMaxZoneBytes = 256 * 1024;
  static constexpr uint32_t kMaxTransitions = 20'000;

  /// UTC.
  TimeZone() = default;
  /// The bytes of a TZif file, version 2 or later (RFC 9636, section 3).
  static Result<TimeZone> parse(std::string_view bytes);

  /// Seconds east of UTC at that moment.
  [[nodiscard]] int64_t offset_at(int64_t unix_seconds) const;
  /// What the clocks show then.
  [[nodiscard]] CivilTime civil(int64_t unix_seconds) const {
    return to_civil(unix_seconds + offset_at(unix_seconds));
  }

 private:
  /// A yearly change: the n-th (5: last) weekday of a month, or a day of the year; RFC 9636 takes
  /// it from POSIX's TZ.
  struct Rule {
    enum class Kind : uint8_t { kMonthWeekDay, kJulian, kDayOfYear } kind = Kind::kMonthWeekDay;
    int month = 1, week = 1, day = 0;
    int64_t at_seconds = 2 * 3600;  // local time of the day; may be negative or over a day
  };
  struct Footer {
    int64_t standard = 0;
    int64_t summer = 0;
    bool has_summer = false;
    Rule begin, end;
  };
  static std::optional<Footer> parse_footer(std::string_view text);
  static int64_t rule_time(const Rule& rule, int32_t year);
  [[nodiscard]] int64_t footer_offset(int64_t unix_seconds) const;

  std::vector<int64_t> transitions_;  // ascending
  std::vector<int64_t> offsets_;      // one more than transitions_: [0] holds before the first
  std::optional<Footer> footer_;      // holds after the last
};

/// "UTC", "" and "Local" need no file. kNotFound: this machine has no such zone.
Result<TimeZone> load_time_zone(Disk& disk, const std::string& name);

}  // namespace sluice
