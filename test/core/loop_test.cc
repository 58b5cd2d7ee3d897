#include "core/loop.h"

#include <chrono>

#include "test/run_loop.h"
#include "test/test.h"

namespace sluice {

TEST_CASE("a timer is never early, wherever in a millisecond it is armed") {
  using Clock = std::chrono::steady_clock;
  constexpr int kTimers = 64;
  constexpr auto kDelay = std::chrono::milliseconds(5);
  UvLoop loop;
  int fired = 0;
  int early = 0;
  for (int i = 0; i < kTimers; ++i) {
    // The next one a part of a millisecond later: the loop's clock counts whole ones.
    const auto turn = Clock::now() + std::chrono::microseconds(130);
    while (Clock::now() < turn) {
    }
    const Clock::time_point armed = Clock::now();
    loop.post_after(kDelay.count(), [&, armed] {
      early += Clock::now() - armed < kDelay;
      if (++fired == kTimers) loop.stop();
    });
  }
  test::run_until_stopped(loop);
  EXPECT_EQ(early, 0);
  EXPECT_EQ(fired, kTimers);
}

}  // namespace sluice
