// Cron: when a periodic job is launched next.
//
// The language is that of Nomad's `periodic`: five fields (minute hour day month weekday), six (a
// year behind them) or seven (a second before them); `*`, lists, ranges, `/` steps, names of months
// and weekdays, `?`, in days `L`, `W` and `#`; and @yearly, @monthly, @weekly, @daily, @hourly.
// Where both day and weekday are restricted, a day that fits either counts.
//
// Pure values; any thread. Searching ends at kLastYear.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time_zone.h"

namespace sluice::orchestrator {

class Cron {
 public:
  static constexpr int kFirstYear = 1970;
  static constexpr int kLastYear = 2099;

  static Result<Cron> parse(std::string_view text);

  /// The first moment after that one at which the zone's clocks show what it asks for. An hour that
  /// the clocks leave out launches nothing, one that they show twice counts twice.
  [[nodiscard]] std::optional<int64_t> next(int64_t after_unix_seconds, const TimeZone& zone) const;

 private:
  [[nodiscard]] bool day_fits(const CivilTime& at) const;

  std::bitset<60> seconds_, minutes_;
  std::bitset<24> hours_;
  std::bitset<13> months_;
  std::bitset<kLastYear - kFirstYear + 1> years_;
  std::bitset<32> days_;
  std::bitset<7> weekdays_;
  bool any_day_ = false, any_weekday_ = false;
  bool last_day_ = false, last_workday_ = false;
  std::bitset<32> workday_nearest_;              // `15W`
  std::bitset<7> last_weekday_;                  // `5L`: the month's last Friday
  std::array<std::bitset<6>, 7> nth_weekday_{};  // `5#3`: its third
};

/// The first of what several ask for; what is no cron text asks for nothing.
std::optional<int64_t> next_of(std::span<const std::string> texts, int64_t after_unix_seconds,
                               const TimeZone& zone);

}  // namespace sluice::orchestrator
