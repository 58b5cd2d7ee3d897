#include "orchestrator/canary_policy.h"

#include "test/test.h"

namespace sluice::orchestrator {

TEST_CASE("what has to be measured of canaries, and what is wrong about it") {
  EXPECT(!parse_canary_policy({})->has_value());
  EXPECT(!parse_canary_policy({{"team", "a"}})->has_value());
  const auto policy = parse_canary_policy({{"sluice-max-error-rate", "2.5%"}});
  REQUIRE(policy);
  REQUIRE(policy->has_value());
  EXPECT_EQ((*policy)->max_error_rate, 0.025);
  EXPECT_EQ((*policy)->min_requests, 100u);
  const auto strict =
      parse_canary_policy({{"sluice-max-error-rate", "0"}, {"sluice-min-requests", "7"}});
  REQUIRE(strict);
  EXPECT_EQ((*strict)->min_requests, 7u);

  const auto refused = [](const char* rate, const char* least) {
    const auto wrong =
        parse_canary_policy({{"sluice-max-error-rate", rate}, {"sluice-min-requests", least}});
    return wrong ? "" : wrong.error().message;
  };
  for (const char* rate : {"", "%", "1", "100%", "-1%", "a", "1%%", "nan"}) {
    CAPTURE(rate);
    EXPECT(refused(rate, "1").starts_with("sluice-max-error-rate must be a share below 1"));
  }
  for (const char* least : {"", "0", "-1", "1.5", "many"}) {
    CAPTURE(least);
    EXPECT(refused("1%", least).starts_with("sluice-min-requests must be a whole number above 0"));
  }
  const auto alone = parse_canary_policy({{"sluice-min-requests", "7"}});
  REQUIRE(!alone);
  EXPECT_EQ(alone.error().message, "sluice-min-requests needs sluice-max-error-rate");
}

TEST_CASE("a verdict: bad as soon as nothing can make it good, good once there were enough") {
  const CanaryPolicy policy{.max_error_rate = 0.02, .min_requests = 100};
  EXPECT(policy.judge(0, 0) == CanaryVerdict::kOpen);
  EXPECT(policy.judge(99, 2) == CanaryVerdict::kOpen);
  EXPECT(policy.judge(3, 3) == CanaryVerdict::kBad);
  EXPECT(policy.judge(100, 2) == CanaryVerdict::kGood);
  EXPECT(policy.judge(100, 3) == CanaryVerdict::kBad);
  EXPECT(policy.judge(1'000, 20) == CanaryVerdict::kGood);
  const CanaryPolicy none{.max_error_rate = 0, .min_requests = 1};
  EXPECT(none.judge(1, 0) == CanaryVerdict::kGood);
  EXPECT(none.judge(1, 1) == CanaryVerdict::kBad);
}

}  // namespace sluice::orchestrator
