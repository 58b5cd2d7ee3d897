#include "orchestrator/scale_policy.h"

#include "test/test.h"

namespace sluice::orchestrator {

namespace {

Result<std::optional<ScalePolicy>> parsed(std::string_view text) {
  Result<Json> json = parse_json(text);
  REQUIRE(json);
  return parse_scale_policy(*json);
}

std::string refusal(std::string_view text) {
  const auto policy = parsed(text);
  return policy ? "" : policy.error().message;
}

constexpr const char* kBusy = R"({"cooldown":"1m","evaluation_interval":"5s","check":[
  {"busy":[{"source":"sluice","query":"requests","strategy":[{"target-value":[{"target":20}]}]}]},
  {"fast":[{"source":"sluice","query":"request_rate",
            "strategy":[{"target-value":[{"target":1.5}]}]}]},
  {"cpu":[{"source":"prometheus","query":"x","whatever":1}]}]})";

}  // namespace

TEST_CASE("a scaling policy: what is ours of it, in the form of HCL and of JSON") {
  const auto policy = parsed(kBusy);
  REQUIRE(policy);
  REQUIRE(policy->has_value());
  EXPECT_EQ((*policy)->cooldown_ms, 60'000);
  EXPECT_EQ((*policy)->interval_ms, 5'000);
  REQUIRE((*policy)->checks.size() == 2);
  EXPECT_EQ((*policy)->checks[0].name, "busy");
  EXPECT((*policy)->checks[1].query == ScaleCheck::Query::kRequestRate);
  EXPECT_EQ((*policy)->checks[1].target, 1.5);

  const auto flat = parsed(R"({"check":{"b":{"source":"sluice","query":"requests",
    "strategy":{"target-value":{"target":3}}}}})");
  REQUIRE(flat);
  REQUIRE(flat->has_value());
  EXPECT_EQ((*flat)->cooldown_ms, 300'000);
  EXPECT_EQ((*flat)->checks[0].target, 3);

  for (const char* foreign :
       {"{}", "null", "[]", "7", R"({"check":[{"a":[{"source":"nomad-apm"}]}]})",
        R"({"check":7,"cooldown":"x"})"}) {
    CAPTURE(foreign);
    const auto other = parsed(foreign);
    REQUIRE(other);
    EXPECT(!other->has_value());
  }
}

TEST_CASE("a scaling policy: what is wrong with it, by name") {
  const auto check = [](std::string_view more) {
    return refusal(std::string(R"({"check":[{"b":[{"source":"sluice",)") + std::string(more) +
                   "}]}]}");
  };
  const std::string good = R"("query":"requests","strategy":[{"target-value":[{"target":1}]}])";
  EXPECT_EQ(check(good), "");
  EXPECT_EQ(check(R"("query":"cpu")"),
            "check \"b\": query must be requests or request_rate, not \"cpu\"");
  EXPECT_EQ(check(R"("query":"requests")"),
            "check \"b\": needs strategy \"target-value\" { target = ... }");
  EXPECT_EQ(check(R"("query":"requests","strategy":[{"target-value":[{"target":0}]}])"),
            "check \"b\": target must be a number above 0");
  EXPECT_EQ(check(R"("query":"requests","strategy":[{"target-value":[{"target":"many"}]}])"),
            "check \"b\": target must be a number above 0");
  EXPECT_EQ(check(R"("group":"g",)" + good),
            "check \"b\": \"group\" is not known with source \"sluice\" (query and strategy are)");
  const auto times = [&](std::string_view more) {
    return refusal(R"({"check":[{"b":[{"source":"sluice",)" + good + "}]}]," + std::string(more) +
                   "}");
  };
  EXPECT(times(R"("cooldown":"soon")").starts_with("cooldown: "));
  EXPECT_EQ(times(R"("cooldown":true)"), "cooldown is no duration like \"30s\"");
  EXPECT_EQ(times(R"("evaluation_interval":"10ms")"), "evaluation_interval must be at least 1s");
  EXPECT_EQ(times(R"("cooldown":"5s")"), "cooldown must not be less than evaluation_interval");
}

TEST_CASE("how many instances a load asks for: the most of all checks, one for any load") {
  const auto policy = parsed(kBusy);
  REQUIRE(policy);
  const auto wanted = [&](double requests, double rate) {
    return (*policy)->wanted(
        {.requests = requests, .request_rate = rate, .any = requests > 0 || rate > 0});
  };
  EXPECT_EQ(wanted(0, 0), 0);
  EXPECT_EQ(wanted(0.01, 0), 1);
  EXPECT_EQ(wanted(20, 0), 1);
  EXPECT_EQ(wanted(20.1, 0), 1);  // within a hundredth of an instance
  EXPECT_EQ(wanted(21, 0), 2);
  EXPECT_EQ(wanted(41, 1), 3);
  EXPECT_EQ(wanted(41, 15), 10);
  EXPECT_EQ(wanted(1e300, 0), 1'000'000'000);
}

TEST_CASE("more comes at once, less once it would have done for the whole cooldown") {
  ScaleWindow window;
  EXPECT_EQ(window.next(0, 1, 1, 30), 1);
  EXPECT_EQ(window.next(10, 5, 1, 30), 5);
  EXPECT_EQ(window.next(20, 0, 5, 30), 5);
  EXPECT_EQ(window.next(30, 3, 5, 30), 5);
  EXPECT_EQ(window.next(40, 0, 5, 30), 5);  // five were wanted 30 ago
  EXPECT_EQ(window.next(50, 0, 5, 30), 3);
  EXPECT_EQ(window.next(60, 1, 3, 30), 3);
  EXPECT_EQ(window.next(70, 0, 3, 30), 1);
  EXPECT_EQ(window.next(80, 0, 1, 30), 1);
  EXPECT_EQ(window.next(100, 0, 1, 30), 0);
  EXPECT_EQ(window.next(110, 7, 0, 30), 7);
}

}  // namespace sluice::orchestrator
