#include "core/time_zone.h"

#include "test/test.h"

namespace sluice {

namespace {

int64_t utc(int year, int month, int day, int hour = 0, int minute = 0) {
  return from_civil(CivilTime{year, static_cast<uint8_t>(month), static_cast<uint8_t>(day),
                              static_cast<uint8_t>(hour), static_cast<uint8_t>(minute), 0, 0});
}

void put(std::string& out, int64_t value, int width) {
  for (int shift = (width - 1) * 8; shift >= 0; shift -= 8) {
    out += static_cast<char>(value >> shift);
  }
}

/// A TZif file of version 2: two types, the second from `transition` on, and a footer.
std::string make_file(int64_t first, int64_t transition, int64_t second,
                      const std::string& footer) {
  std::string out = "TZif2" + std::string(15, '\0');
  for (int count : {0, 0, 0, 0, 1, 4}) put(out, count, 4);
  put(out, 0, 4);
  out += std::string("\0\0UTC\0", 6);
  out += "TZif2" + std::string(15, '\0');
  for (int count : {0, 0, 0, 1, 2, 4}) put(out, count, 4);
  put(out, transition, 8);
  out += '\1';
  put(out, first, 4);
  out += std::string("\0\0", 2);
  put(out, second, 4);
  out += std::string("\0\0ABC\0", 6);
  return out + "\n" + footer + "\n";
}

}  // namespace

TEST_CASE("time zone: the types of the file up to its last transition, the footer after it") {
  const int64_t change = utc(2000, 1, 1);
  const auto zone = TimeZone::parse(make_file(-7200, change, 0, "CET-1CEST,M3.5.0,M10.5.0/3"));
  REQUIRE(zone);
  EXPECT_EQ(zone->offset_at(change - 1), -7200);
  EXPECT_EQ(zone->offset_at(change), 3600);
  // Central Europe, 2023: summer time from 26 March 01:00 UTC to 29 October 01:00 UTC.
  EXPECT_EQ(zone->offset_at(utc(2023, 3, 26, 0, 59)), 3600);
  EXPECT_EQ(zone->offset_at(utc(2023, 3, 26, 1, 0)), 7200);
  EXPECT_EQ(zone->offset_at(utc(2023, 10, 29, 0, 59)), 7200);
  EXPECT_EQ(zone->offset_at(utc(2023, 10, 29, 1, 0)), 3600);
  EXPECT_EQ(zone->offset_at(utc(2050, 7, 1)), 7200);
  EXPECT_EQ(int(zone->civil(utc(2023, 7, 1, 12)).hour), 14);
}

TEST_CASE("time zone: footers of the south, without summer, by day numbers") {
  const int64_t change = utc(2000, 1, 1);
  const auto south = TimeZone::parse(make_file(0, change, 0, "AEST-10AEDT,M10.1.0,M4.1.0/3"));
  REQUIRE(south);
  EXPECT_EQ(south->offset_at(utc(2024, 1, 15)), 11 * 3600);
  EXPECT_EQ(south->offset_at(utc(2024, 7, 15)), 10 * 3600);
  const auto plain = TimeZone::parse(make_file(0, change, 0, "<+0545>-5:45"));
  REQUIRE(plain);
  EXPECT_EQ(plain->offset_at(utc(2024, 1, 15)), 5 * 3600 + 45 * 60);
  const auto days = TimeZone::parse(make_file(0, change, 0, "XXX3YYY2,J60/0,300/0"));
  REQUIRE(days);  // J60 is 1 March in each year; day 300 counts from 0, leap days too
  EXPECT_EQ(days->offset_at(utc(2024, 3, 1, 2, 59)), -3 * 3600);
  EXPECT_EQ(days->offset_at(utc(2024, 3, 1, 3, 0)), -2 * 3600);
  EXPECT_EQ(days->offset_at(utc(2024, 10, 27, 1, 59)), -2 * 3600);
  EXPECT_EQ(days->offset_at(utc(2024, 10, 27, 2, 0)), -3 * 3600);
}

TEST_CASE("time zone: broken files are refused, cut anywhere") {
  const std::string whole = make_file(0, 1, 3600, "CET-1CEST,M3.5.0,M10.5.0/3");
  REQUIRE(TimeZone::parse(whole));
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT(!TimeZone::parse(whole.substr(0, length)));
  }
  for (const char* footer :
       {"CET", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1 CEST", "C-1", "CET-1CEST,M3.5.0,"}) {
    CAPTURE(footer);
    EXPECT(!TimeZone::parse(make_file(0, 1, 3600, footer)));
  }
}

TEST_CASE("time zone: names of this machine's") {
  PosixDisk disk;
  const auto zone = load_time_zone(disk, "");
  REQUIRE(zone);
  EXPECT_EQ(zone->offset_at(utc(2024, 7, 1)), 0);
  for (const char* name : {"No/Such", "../etc/passwd", "/etc/localtime"}) {
    const auto none = load_time_zone(disk, name);
    REQUIRE(!none);
    EXPECT_EQ(none.error().code, Code::kNotFound);
  }
  if (!disk.exists("/usr/share/zoneinfo/Europe/Paris")) return;  // the packages are optional
  const auto paris = load_time_zone(disk, "Europe/Paris");
  REQUIRE(paris);
  EXPECT_EQ(paris->offset_at(utc(2024, 1, 1)), 3600);
  EXPECT_EQ(paris->offset_at(utc(2024, 7, 1)), 7200);
  EXPECT_EQ(paris->offset_at(utc(2060, 7, 1)), 7200);
}

}  // namespace sluice
