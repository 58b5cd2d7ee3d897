#include "core/scope.h"

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "core/loop.h"
#include "test/test.h"

namespace sluice {

namespace {

Task<int> ready_value(int value) {
  co_return value;
}

/// Says on the way out that it was destroyed, so that cancelling can be seen.
struct Witness {
  std::string& log;
  const char* name;
  ~Witness() { log += name; }
};

}  // namespace

TEST_CASE("a loop of a million ready awaits does not grow the stack") {
  UvLoop loop;
  int64_t sum = 0;
  Scope scope(loop);
  auto body = [](int64_t& out, UvLoop& on) -> Task<void> {
    for (int i = 0; i < 1'000'000; ++i) out += co_await ready_value(1);
    on.stop();
  };
  scope.spawn(body(sum, loop));
  loop.run();
  EXPECT_EQ(sum, 1'000'000);
}

TEST_CASE("cancelling a scope destroys its tasks' locals, innermost first") {
  UvLoop loop;
  std::string log;
  {
    Scope scope(loop);
    auto inner = [](std::string& l, UvLoop& on) -> Task<void> {
      const Witness w{l, "inner "};
      co_await sleep_for(on, 3'600'000);
    };
    auto outer = [&inner](std::string& l, UvLoop& on) -> Task<void> {
      const Witness w{l, "outer "};
      co_await inner(l, on);
      l += "never ";
    };
    scope.spawn(outer(log, loop));
    loop.post([&] { loop.post([&] { loop.stop(); }); });
    loop.run();
    EXPECT_EQ(scope.running(), 1u);
    EXPECT_EQ(log, "");
  }
  EXPECT_EQ(log, "inner outer ");
}

TEST_CASE("an event wakes all who wait, in order, and not inside set()") {
  UvLoop loop;
  std::vector<std::string> log;
  Event event(loop);
  Scope scope(loop);
  auto wait = [](Event& e, std::vector<std::string>& l, std::string name) -> Task<void> {
    co_await e.wait();
    l.push_back(name);
  };
  scope.spawn(wait(event, log, "a"));
  scope.spawn(wait(event, log, "b"));
  auto setter = [](Event& e, std::vector<std::string>& l) -> Task<void> {
    e.set();
    l.push_back("set");
    co_return;
  };
  scope.spawn(setter(event, log));
  auto stop = [](Scope& s, UvLoop& on) -> Task<void> {
    co_await s.join();
    on.stop();
  };
  Scope outer(loop);
  outer.spawn(stop(scope, loop));
  loop.run();
  EXPECT_EQ(log, std::vector<std::string>{"set", "a", "b"});
}

TEST_CASE("with_timeout gives the result in time, and cancels what is late") {
  UvLoop loop;
  std::string log;
  std::vector<std::string> results;
  Scope scope(loop);
  auto slow = [](UvLoop& on, std::string& l) -> Task<Result<int>> {
    const Witness w{l, "cancelled"};
    co_await sleep_for(on, 3'600'000);
    co_return 1;
  };
  auto quick = [](UvLoop& on) -> Task<Result<int>> {
    co_await sleep_for(on, 1);
    co_return 42;
  };
  auto body = [&](UvLoop& on) -> Task<void> {
    Result<int> late = co_await with_timeout(on, 5, slow(on, log));
    results.push_back(late ? "late" : std::string(to_string(late.error().code)));
    Result<int> timely = co_await with_timeout(on, 3'600'000, quick(on));
    results.push_back(std::to_string(timely.value_or(-1)));
    on.stop();
  };
  scope.spawn(body(loop));
  loop.run();
  EXPECT_EQ(results, std::vector<std::string>{"timeout", "42"});
  EXPECT_EQ(log, "cancelled");
}

TEST_CASE(
    "pool work returns its value to the loop; cancelled work runs and its result is dropped") {
  UvLoop loop;
  int seen = 0;
  Scope scope(loop);
  auto body = [&](UvLoop& on) -> Task<void> {
    seen = co_await on_pool(on, [] { return 7; });
    on.stop();
  };
  scope.spawn(body(loop));
  loop.run();
  EXPECT_EQ(seen, 7);
  std::promise<void> cancelled;
  std::atomic<bool> worked = false;
  {
    Scope scope_of_late(loop);
    auto late = [&](UvLoop& on) -> Task<void> {
      seen = co_await on_pool(on, [&] {
        cancelled.get_future().wait();  // so that it cannot be done before
        worked = true;
        return 8;
      });
    };
    scope_of_late.spawn(late(loop));
    loop.post([&] { loop.post([&] { loop.stop(); }); });
    loop.run();
  }
  cancelled.set_value();
  auto settled = [&](UvLoop& on) -> Task<void> {
    while (!worked) co_await sleep_for(on, 1);
    co_await on_pool(on, [] { return 0; });
    on.stop();
  };
  scope.spawn(settled(loop));
  loop.run();
  EXPECT(worked);
  EXPECT_EQ(seen, 7);
}

TEST_CASE("the end of pool work that was cancelled is not told, whatever became of the work") {
  UvLoop loop;
  std::promise<void> cancelled;
  bool told = false;
  const auto late = loop.post_to_pool([&] { cancelled.get_future().wait(); }, [&] { told = true; });
  loop.cancel(late);
  cancelled.set_value();
  // More than the pool has threads: once all have ended, so has the one that was cancelled.
  int ended = 0;
  constexpr int kMore = 16;
  for (int i = 0; i < kMore; ++i) {
    loop.post_to_pool([] {},
                      [&] {
                        if (++ended == kMore) loop.post_after(10, [&] { loop.stop(); });
                      });
  }
  loop.run();
  EXPECT_EQ(ended, kMore);
  EXPECT(!told);
}

TEST_CASE("the pool is idle once all work on it has ended, what was cancelled among it") {
  UvLoop loop;
  std::promise<void> go;
  std::atomic<bool> worked{false};
  auto owned = std::make_shared<int>();
  const std::weak_ptr<int> alive = owned;
  const auto late = loop.post_to_pool(
      [&worked, &go, owned = std::move(owned)] {
        go.get_future().wait();
        worked = true;
      },
      [] {});
  loop.cancel(late);
  bool idle = false;
  loop.when_pool_idle([&] {
    idle = true;
    EXPECT(worked.load());
    EXPECT(alive.expired());  // nothing of the work is left
    loop.stop();
  });
  loop.post([&] {
    loop.post([&] {
      EXPECT(!idle);
      go.set_value();
    });
  });
  loop.run();
  EXPECT(idle);
  idle = false;
  loop.when_pool_idle([&] { idle = true, loop.stop(); });  // at once
  EXPECT(!idle);
  loop.run();
  EXPECT(idle);
}

TEST_CASE("timers run in the order of their due times, and a cancelled one does not") {
  UvLoop loop;
  std::string log;
  loop.post_after(3, [&] { log += "c", loop.stop(); });
  loop.post_after(1, [&] { log += "a"; });
  const auto gone = loop.post_after(2, [&] { log += "b"; });
  loop.cancel(gone);
  loop.run();
  EXPECT_EQ(log, "ac");
}

}  // namespace sluice
