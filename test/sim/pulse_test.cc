// pulse_within, in a simulation's time.
#include "orchestrator/node/pulse.h"

#include <vector>

#include "test/sim/sim_executor.h"
#include "test/test.h"

namespace sluice::sim {

using orchestrator::pulse_within;

TEST_CASE("pulse_within: hears what comes right behind the look, and ends by itself") {
  SeededRandom random(1);
  SimExecutor executor(random);
  Event event(executor);
  Scope scope(executor);
  std::vector<int64_t> woken;
  auto wait = [](Executor& on, Event& pulsed, std::vector<int64_t>& at) -> Task<void> {
    for (;;) {
      co_await pulse_within(on, 100, pulsed);
      at.push_back(on.now_ms());
    }
  };
  const int64_t start_ms = executor.now_ms();
  scope.spawn(wait(executor, event, woken));
  executor.post([&] { event.pulse(); });
  executor.run_for(150);
  EXPECT_EQ(woken, std::vector<int64_t>{start_ms, start_ms + 100});
}

}  // namespace sluice::sim
