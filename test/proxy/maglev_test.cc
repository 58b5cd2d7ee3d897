#include "proxy/maglev.h"

#include <cmath>
#include <string>

#include "test/test.h"

namespace sluice::proxy {
namespace {

std::vector<MaglevTarget> targets(size_t count, double weight = 1) {
  std::vector<MaglevTarget> out;
  for (size_t i = 0; i < count; ++i) {
    out.push_back({stable_hash("http://10.0.0." + std::to_string(i) + ":5000/"), weight});
  }
  return out;
}

std::vector<uint32_t> counts(const std::vector<uint16_t>& owners, size_t size) {
  std::vector<uint32_t> out(size);
  for (const uint16_t owner : owners) ++out[owner];
  return out;
}

}  // namespace

TEST_CASE("the same targets give the same table, each its share within a hundredth") {
  for (const size_t size : {1, 2, 3, 10, 100}) {
    const std::vector<uint16_t> owners = build_maglev(targets(size));
    REQUIRE(owners.size() == kMaglevSlots);
    EXPECT(owners == build_maglev(targets(size)));
    for (const uint32_t count : counts(owners, size)) {
      EXPECT(std::abs(count / double{kMaglevSlots} * double(size) - 1) < 0.01);
    }
  }
}

TEST_CASE("one that goes moves little more than its own slots") {
  std::vector<MaglevTarget> all = targets(10);
  const std::vector<uint16_t> before = build_maglev(all);
  std::vector<MaglevTarget> fewer = all;
  fewer.erase(fewer.begin() + 3);
  const std::vector<uint16_t> after = build_maglev(fewer);
  uint32_t moved = 0;
  for (uint32_t i = 0; i < kMaglevSlots; ++i) {
    const bool was_gone = before[i] == 3;
    moved += !was_gone && all[before[i]].id != fewer[after[i]].id ? 1 : 0;
  }
  EXPECT(moved < kMaglevSlots / 20);
}

TEST_CASE("weights: in proportion, and none for none") {
  std::vector<MaglevTarget> all = targets(4);
  all[0].weight = 0.5;
  all[1].weight = 0.25;
  all[2].weight = 0.25;
  all[3].weight = 0;
  const std::vector<uint32_t> got = counts(build_maglev(all), 4);
  EXPECT(std::abs(got[0] / double{kMaglevSlots} - 0.5) < 0.005);
  EXPECT(std::abs(got[1] / double{kMaglevSlots} - 0.25) < 0.005);
  EXPECT_EQ(got[3], 0u);
  EXPECT(build_maglev(targets(3, 0)).empty());
  EXPECT(build_maglev({}).empty());
}

}  // namespace sluice::proxy
