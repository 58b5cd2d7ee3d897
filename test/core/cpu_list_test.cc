#include "core/cpu_list.h"

#include "test/test.h"

namespace sluice {

TEST_CASE("a list of cores and its text") {
  struct Row {
    const char* text;
    CpuList cpus;
    const char* shortest;
  };
  const Row rows[] = {
      {"", {}, ""},
      {"0", {0}, "0"},
      {"0-3,8", {0, 1, 2, 3, 8}, "0-3,8"},
      {"8,1,0,1", {0, 1, 8}, "0-1,8"},
      {"5-5,7-8,2", {2, 5, 7, 8}, "2,5,7-8"},
      {"1023", {1023}, "1023"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const Result<CpuList> cpus = parse_cpu_list(row.text);
    REQUIRE(cpus);
    EXPECT_EQ(*cpus, row.cpus);
    EXPECT_EQ(format_cpu_list(*cpus), row.shortest);
  }
  for (const char* text : {"a", "1,", ",1", "1--2", "2-1", "-1", "1-", "1024", "0-99999", " 1",
                           "1 ", "0x1", "99999999999999999999"}) {
    CAPTURE(text);
    const Result<CpuList> cpus = parse_cpu_list(text);
    REQUIRE(!cpus);
    EXPECT_EQ(cpus.error().code, Code::kInvalid);
  }
}

TEST_CASE("cores that are left: one taken twice is taken") {
  EXPECT_EQ(cpus_without({0, 1, 2, 3}, {1, 1, 3, 9}), CpuList{0, 2});
  EXPECT_EQ(cpus_without({}, {1}), CpuList{});
}

}  // namespace sluice
