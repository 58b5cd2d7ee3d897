// Running a test's loop until the test stops it.
//
// A test whose event never comes fails, and does not hang, so that what broke it is named and the
// tests behind it run.
#pragma once

#include "core/loop.h"
#include "test/test.h"

namespace sluice::test {

inline void run_until_stopped(UvLoop& loop) {
  constexpr int64_t kLimitMs = 30'000;  // no test needs half as long, under a sanitizer either
  bool over = false;
  const Executor::Ticket limit = loop.post_after(kLimitMs, [&] {
    over = true;
    loop.stop();
  });
  loop.run();
  loop.cancel(limit);
  REQUIRE_MESSAGE(!over, "what the test waits for does not come");
}

}  // namespace sluice::test
