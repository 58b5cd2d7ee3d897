#include "orchestrator/node/restart_policy.h"

#include "test/test.h"

namespace sluice::orchestrator {

namespace {

constexpr RestartPolicy service_policy() {
  return RestartPolicy{.attempts = 2,
                       .interval_ns = 30 * kMinuteNs,
                       .delay_ns = 15 * kSecondNs,
                       .mode = "fail",
                       .render_templates = false};
}

}  // namespace

TEST_CASE(
    "a service restarts within its attempts, fails past them, and starts over after the interval") {
  RestartHistory history;
  const RestartPolicy policy = service_policy();
  const RestartDecision first = decide_restart(policy, false, false, 100, 0, history);
  EXPECT_EQ(first.action, AfterExit::kRestart);
  EXPECT_EQ(first.delay_ns, 15 * kSecondNs);
  EXPECT_EQ(decide_restart(policy, false, true, 200, 0, history).action, AfterExit::kRestart);
  const RestartDecision third = decide_restart(policy, false, false, 300, 0, history);
  EXPECT_EQ(third.action, AfterExit::kFail);
  EXPECT_EQ(third.reason, "Exceeded allowed attempts 2 in interval 30m0s and mode is \"fail\"");
  EXPECT_EQ(decide_restart(policy, false, false, 101 + 30 * kMinuteNs, 0, history).action,
            AfterExit::kRestart);
  EXPECT_EQ(history.attempts, 1);
}

TEST_CASE("a batch task that succeeded is complete; one that failed restarts") {
  RestartHistory history;
  EXPECT_EQ(decide_restart(service_policy(), true, true, 0, 0, history).action,
            AfterExit::kComplete);
  EXPECT_EQ(decide_restart(service_policy(), true, false, 0, 0, history).action,
            AfterExit::kRestart);
}

TEST_CASE("mode delay waits for the end of the interval") {
  RestartPolicy policy = service_policy();
  policy.mode = "delay";
  policy.attempts = 1;
  RestartHistory history;
  EXPECT_EQ(decide_restart(policy, false, false, 0, 0, history).delay_ns, 15 * kSecondNs);
  const RestartDecision second = decide_restart(policy, false, false, 10 * kMinuteNs, 0, history);
  EXPECT_EQ(second.action, AfterExit::kRestart);
  EXPECT_EQ(second.delay_ns, 20 * kMinuteNs);
}

TEST_CASE("jitter adds at most a quarter of the delay; no attempts is no restart") {
  RestartHistory history;
  EXPECT_EQ(decide_restart(service_policy(), false, false, 0, 1.0, history).delay_ns,
            15 * kSecondNs * 5 / 4);
  RestartPolicy none = service_policy();
  none.attempts = 0;
  for (const char* mode : {"fail", "delay"}) {
    none.mode = mode;
    const RestartDecision decision = decide_restart(none, false, false, 0, 0, history);
    EXPECT_EQ(decision.action, AfterExit::kFail);
    EXPECT_EQ(decision.reason, "Policy allows no restarts");
  }
}

}  // namespace sluice::orchestrator
