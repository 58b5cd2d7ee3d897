#include "core/duration.h"

#include "test/test.h"

namespace sluice {

TEST_CASE("durations print as Go prints them") {
  EXPECT_EQ(go_duration(0), "0s");
  EXPECT_EQ(go_duration(1), "1ns");
  EXPECT_EQ(go_duration(1'500), "1.5µs");
  EXPECT_EQ(go_duration(250'000'000), "250ms");
  EXPECT_EQ(go_duration(15'000'000'000), "15s");
  EXPECT_EQ(go_duration(15'300'000'000), "15.3s");
  EXPECT_EQ(go_duration(1'800'000'000'000), "30m0s");
  EXPECT_EQ(go_duration(3'661'000'000'000), "1h1m1s");
  EXPECT_EQ(go_duration(-1'000'000'000), "-1s");
}

TEST_CASE("durations are read as Go reads them, and everything else is refused") {
  EXPECT_EQ(parse_go_duration("1h30m").value(), 5'400'000'000'000);
  EXPECT_EQ(parse_go_duration("1.5s").value(), 1'500'000'000);
  EXPECT_EQ(parse_go_duration("-250ms").value(), -250'000'000);
  EXPECT_EQ(parse_go_duration("0").value(), 0);
  EXPECT_EQ(parse_go_duration("2us").value(), 2'000);
  for (const char* wrong : {"", "5", "s", "1x", "1h 2m", "--1s", "1e3s", "99999999999h"}) {
    INFO(wrong);
    EXPECT(!parse_go_duration(wrong));
  }
}

}  // namespace sluice
