#include "proxy/traffic_limits.h"

#include "test/test.h"

namespace sluice::proxy {
namespace {

const uint64_t kOne = hash_address(*SocketAddress::make("10.0.0.1", 1));
const uint64_t kTwo = hash_address(*SocketAddress::make("10.0.0.2", 1));

}  // namespace

TEST_CASE("an address is one whatever its port, and IPv4 in IPv6 is IPv4") {
  EXPECT_EQ(kOne, hash_address(*SocketAddress::make("10.0.0.1", 9)));
  EXPECT_EQ(kOne, hash_address(*SocketAddress::make("::ffff:10.0.0.1", 9)));
  EXPECT(kOne != kTwo);
}

TEST_CASE("a rate: its burst at once, then one an interval, and never more in store") {
  const Ref<RouteLimits> limits = RouteLimits::make({.rate = {.a_second = 10, .burst = 3}}, 1);
  int64_t now = 1'000'000;
  for (int i = 0; i < 3; ++i) EXPECT(limits->enter(kOne, now) == Admission::kYes);
  EXPECT(limits->enter(kOne, now) == Admission::kTooFast);
  EXPECT(limits->enter(kOne, now + 99) == Admission::kTooFast);
  EXPECT(limits->enter(kOne, now + 100) == Admission::kYes);
  EXPECT(limits->enter(kOne, now + 100) == Admission::kTooFast);
  now += 1'000'000;
  for (int i = 0; i < 3; ++i) EXPECT(limits->enter(kOne, now) == Admission::kYes);
  EXPECT(limits->enter(kOne, now) == Admission::kTooFast);
  // Over a long run it is the rate.
  int passed = 0;
  for (int i = 0; i < 10'000; ++i) {
    now += 1;
    if (limits->enter(kOne, now) == Admission::kYes) ++passed;
  }
  EXPECT(passed >= 99);
  EXPECT(passed <= 101);
}

TEST_CASE("what one address may not have is not taken from the others") {
  const Ref<RouteLimits> limits = RouteLimits::make(
      {.rate = {.a_second = 1, .burst = 4}, .address_rate = {.a_second = 1, .burst = 2}}, 1);
  for (int i = 0; i < 2; ++i) EXPECT(limits->enter(kOne, 5000) == Admission::kYes);
  for (int i = 0; i < 9; ++i) EXPECT(limits->enter(kOne, 5000) == Admission::kTooFast);
  for (int i = 0; i < 2; ++i) EXPECT(limits->enter(kTwo, 5000) == Admission::kYes);
  EXPECT(limits->enter(kTwo, 5000) == Admission::kTooFast);
}

TEST_CASE("requests at once: of the route and of an address, and back with leave") {
  const Ref<RouteLimits> limits = RouteLimits::make({.requests = 3, .address_requests = 2}, 1);
  EXPECT(limits->enter(kOne, 1) == Admission::kYes);
  EXPECT(limits->enter(kOne, 1) == Admission::kYes);
  EXPECT(limits->enter(kOne, 1) == Admission::kTooMany);
  EXPECT(limits->enter(kTwo, 1) == Admission::kYes);
  EXPECT(limits->enter(kTwo, 1) == Admission::kTooMany);  // the route's
  limits->leave(kOne);
  EXPECT(limits->enter(kTwo, 1) == Admission::kYes);
  EXPECT(limits->enter(kOne, 1) == Admission::kTooMany);
  limits->leave(kTwo);
  limits->leave(kTwo);
  limits->leave(kOne);
  for (int i = 0; i < 2; ++i) EXPECT(limits->enter(kOne, 1) == Admission::kYes);
}

TEST_CASE("the queue has a bound; no limit is no object") {
  const Ref<RouteLimits> limits = RouteLimits::make({.connections = 1, .queue = 2}, 1);
  EXPECT(limits->join_queue());
  EXPECT(limits->join_queue());
  EXPECT(!limits->join_queue());
  limits->leave_queue();
  EXPECT(limits->join_queue());
  EXPECT(!RouteLimits::make({}, 1));
}

TEST_CASE("an instance that is wanted is asked for once in a while") {
  const Ref<RouteLimits> limits = RouteLimits::make({.wakes = true}, 1);
  REQUIRE(limits);
  EXPECT(limits->ask(5));
  EXPECT(!limits->ask(5));
  EXPECT(!limits->ask(5 + RouteLimits::kAskAgainMs - 1));
  EXPECT(limits->ask(5 + RouteLimits::kAskAgainMs));
  EXPECT(!limits->ask(6 + RouteLimits::kAskAgainMs));
}

TEST_CASE("the limits of every listener") {
  AddressLimits limits({.connections = 2, .rate = {.a_second = 1, .burst = 1}}, 7);
  EXPECT(limits.connect(kOne));
  EXPECT(limits.connect(kOne));
  EXPECT(!limits.connect(kOne));
  EXPECT(limits.connect(kTwo));
  limits.disconnect(kOne);
  EXPECT(limits.connect(kOne));
  EXPECT(limits.request(kOne, 1));
  EXPECT(!limits.request(kOne, 1));
  EXPECT(limits.request(kTwo, 1));
  AddressLimits none({}, 7);
  for (int i = 0; i < 10; ++i) EXPECT((none.connect(kOne) && none.request(kOne, 1)));
}

}  // namespace sluice::proxy
