#include "orchestrator/cron.h"

#include <fmt/format.h>

#include <cstdio>

#include "test/test.h"

namespace sluice::orchestrator {

namespace {

int64_t at(const char* text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  std::sscanf(text, "%d-%d-%d %d:%d:%d", &year, &month, &day, &hour, &minute, &second);
  return from_civil(CivilTime{year, static_cast<uint8_t>(month), static_cast<uint8_t>(day),
                              static_cast<uint8_t>(hour), static_cast<uint8_t>(minute),
                              static_cast<uint8_t>(second), 0});
}

std::string text_of(std::optional<int64_t> seconds) {
  if (!seconds) return "never";
  const CivilTime t = to_civil(*seconds);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", t.year, int(t.month), int(t.day),
                     int(t.hour), int(t.minute), int(t.second));
}

/// The next three launches, from the zone's clocks to UTC.
std::string launches(const char* spec, const char* after, const TimeZone& zone = {},
                     int count = 3) {
  const auto cron = Cron::parse(spec);
  REQUIRE(cron);
  std::string out;
  int64_t from = at(after);
  for (int i = 0; i < count; ++i) {
    const auto next = cron->next(from, zone);
    out += (i > 0 ? ", " : "") + text_of(next);
    if (!next) break;
    from = *next;
  }
  return out;
}

}  // namespace

TEST_CASE("cron: each form of a field") {
  struct Row {
    const char *spec, *after, *next;
  };
  const Row table[] = {
      {"*/15 * * * *", "2023-01-01 00:00:00",
       "2023-01-01 00:15:00, 2023-01-01 00:30:00, 2023-01-01 00:45:00"},
      {"0 0 * * *", "2023-01-01 00:00:00",
       "2023-01-02 00:00:00, 2023-01-03 00:00:00, 2023-01-04 00:00:00"},
      {"30 4 1,15 * *", "2023-01-31 00:00:00",
       "2023-02-01 04:30:00, 2023-02-15 04:30:00, 2023-03-01 04:30:00"},
      {"0 9-17/4 * * mon-fri", "2023-01-06 13:00:00",  // a Friday
       "2023-01-06 17:00:00, 2023-01-09 09:00:00, 2023-01-09 13:00:00"},
      {"0 12 * * 7", "2023-01-01 12:00:00",
       "2023-01-08 12:00:00, 2023-01-15 12:00:00, 2023-01-22 12:00:00"},
      {"0 0 13 * FRI", "2023-01-01 00:00:00",  // either of the two
       "2023-01-06 00:00:00, 2023-01-13 00:00:00, 2023-01-20 00:00:00"},
      {"0 0 29 feb ?", "2023-01-01 00:00:00",
       "2024-02-29 00:00:00, 2028-02-29 00:00:00, 2032-02-29 00:00:00"},
      {"0 0 L * *", "2024-01-30 00:00:00",
       "2024-01-31 00:00:00, 2024-02-29 00:00:00, 2024-03-31 00:00:00"},
      {"0 0 LW * *", "2023-09-01 00:00:00",  // 30 September 2023 is a Saturday
       "2023-09-29 00:00:00, 2023-10-31 00:00:00, 2023-11-30 00:00:00"},
      {"0 0 1W * *", "2023-06-30 00:00:00",  // 1 July 2023 is a Saturday: Monday the 3rd
       "2023-07-03 00:00:00, 2023-08-01 00:00:00, 2023-09-01 00:00:00"},
      {"0 0 * * 5L", "2023-01-01 00:00:00",
       "2023-01-27 00:00:00, 2023-02-24 00:00:00, 2023-03-31 00:00:00"},
      {"0 0 * * tue#2", "2023-01-01 00:00:00",
       "2023-01-10 00:00:00, 2023-02-14 00:00:00, 2023-03-14 00:00:00"},
      {"10 5 * * * * 2024", "2023-06-01 00:00:00",
       "2024-01-01 00:05:10, 2024-01-01 01:05:10, 2024-01-01 02:05:10"},
      {"0 0 31 12 * 2023", "2023-01-01 00:00:00", "2023-12-31 00:00:00, never"},
      {"0 0 31 2 *", "2023-01-01 00:00:00", "never"},
      {"@hourly", "2023-01-01 00:30:00",
       "2023-01-01 01:00:00, 2023-01-01 02:00:00, 2023-01-01 03:00:00"},
      {"@weekly", "2023-01-01 00:00:00",
       "2023-01-08 00:00:00, 2023-01-15 00:00:00, 2023-01-22 00:00:00"},
      {"@monthly", "2023-01-15 00:00:00",
       "2023-02-01 00:00:00, 2023-03-01 00:00:00, 2023-04-01 00:00:00"},
      {"@yearly", "2023-01-01 00:00:00",
       "2024-01-01 00:00:00, 2025-01-01 00:00:00, 2026-01-01 00:00:00"},
  };
  for (const Row& row : table) {
    CAPTURE(row.spec);
    EXPECT_EQ(launches(row.spec, row.after), row.next);
  }
}

TEST_CASE("cron: what is none") {
  for (const char* spec :
       {"", "* * * *", "* * * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
        "* * * * 8", "5-1 * * * *", "*/0 * * * *", "a * * * *", "1, * * * *", "* * 32W * *",
        "* * * * 1#6", "@never", "* * * * * 1969"}) {
    CAPTURE(spec);
    EXPECT(!Cron::parse(spec));
  }
}

TEST_CASE("cron: hours that the clocks leave out launch nothing, those shown twice count twice") {
  PosixDisk disk;
  const auto paris = load_time_zone(disk, "Europe/Paris");
  if (!paris) return;  // a machine without time zones
  // 26 March 2023: from 01:59:59 to 03:00:00. 29 October 2023: from 02:59:59 to 02:00:00.
  EXPECT_EQ(launches("30 2 * * *", "2023-03-25 12:00:00", *paris),
            "2023-03-27 00:30:00, 2023-03-28 00:30:00, 2023-03-29 00:30:00");
  EXPECT_EQ(launches("30 2 * * *", "2023-10-28 12:00:00", *paris),
            "2023-10-29 00:30:00, 2023-10-29 01:30:00, 2023-10-30 01:30:00");
  EXPECT_EQ(launches("0 0 * * *", "2023-07-01 12:00:00", *paris, 1), "2023-07-01 22:00:00");
}

}  // namespace sluice::orchestrator
