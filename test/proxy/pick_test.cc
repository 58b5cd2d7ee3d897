#include "proxy/pick.h"

#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "proxy/weights.h"
#include "test/test.h"

namespace sluice::proxy {
namespace {

/// fabio's ring, made as fabio makes it: who gets how many of its slots.
std::vector<uint32_t> ring_counts(const std::vector<double>& weights) {
  std::vector<uint32_t> out;
  for (const double weight : weights) {
    int slots = static_cast<int>(10000.0 * weight);
    if (slots == 0 && weight > 0) slots = 1;
    out.push_back(static_cast<uint32_t>(slots));
  }
  return out;
}

TEST_CASE("weights as fabio shares them") {
  using W = std::vector<double>;
  const auto near = [](const W& a, const W& b) {
    REQUIRE(a.size() == b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      if (std::abs(a[i] - b[i]) > 1e-12) return false;
    }
    return true;
  };
  EXPECT(near(share_weights(W{0, 0, 0, 0}), W{.25, .25, .25, .25}));
  EXPECT(near(share_weights(W{.2, 0, 0}), W{.2, .4, .4}));
  EXPECT(near(share_weights(W{.2, .2}), W{.5, .5}));     // all fixed, under 1: scaled up
  EXPECT(near(share_weights(W{1.5, .5}), W{.75, .25}));  // over 1: scaled down
  EXPECT(near(share_weights(W{1.5, .5, 0}), W{.75, .25, 0}));
  EXPECT(near(share_weights(W{1, 0}), W{1, 0}));
  EXPECT(near(share_weights(W{-3, 0}), W{.5, .5}));
  EXPECT(near(share_weights(W{.1, .2, 0, 0}), W{.1, .2, .35, .35}));
}

TEST_CASE("slots: at least one for any share, and each slot has its owner") {
  const std::vector<double> weights = share_weights(std::vector<double>{0.00001, 0.3, 0});
  const std::vector<uint32_t> sums = share_slots(weights);
  const std::vector<uint32_t> counts = ring_counts(weights);
  EXPECT_EQ(counts[0], 1u);
  std::vector<uint32_t> seen(3, 0);
  for (uint32_t slot = 0; slot < sums.back(); ++slot) ++seen[slot_owner(sums, slot)];
  EXPECT_EQ(seen, counts);
  // A round of turns visits each slot once, and no target waits much longer than its share asks.
  std::vector<uint32_t> turns(3, 0);
  for (uint32_t turn = 0; turn < sums.back(); ++turn) {
    ++turns[slot_owner(sums, turn_slot(turn, sums.back()))];
  }
  EXPECT_EQ(turns, counts);
  const std::vector<uint32_t> halves = share_slots(std::vector<double>{.75, .25});
  std::vector<uint32_t> run(2, 0);
  for (uint32_t turn = 0; turn < 40; ++turn) ++run[slot_owner(halves, turn_slot(turn, 10000))];
  EXPECT(run[1] >= 9);
  EXPECT(run[1] <= 11);
}

class Routes {
 public:
  Ref<Route> make(const std::vector<double>& fixed, Strategy strategy) {
    Route::Parts parts;
    bool any = false;
    for (size_t i = 0; i < fixed.size(); ++i) {
      Target::Parts target;
      target.service = Label::make("web");
      target.options = Ref<SharedOptions>::adopt(new SharedOptions({}));
      target.endpoint = registry_.find_or_add(
          {.destination = {Scheme::kHttp, "10.0.0.1", static_cast<uint16_t>(5000 + i)}});
      target.fixed_weight = fixed[i];
      any = any || fixed[i] > 0;
      parts.targets.push_back(Target::make(std::move(target)));
    }
    parts.live = static_cast<uint32_t>(fixed.size());
    parts.strategy = strategy;
    if (any) {
      parts.extra = std::make_unique<RouteExtra>();
      parts.extra->weights = share_weights(fixed);
      parts.extra->slots = share_slots(parts.extra->weights);
    }
    return Route::make("/", std::move(parts));
  }

 private:
  EndpointRegistry registry_{[] {}};
};

/// How often each target is picked in `rounds`.
std::vector<double> shares(const Route& route, int rounds, PickInput input = {}) {
  std::mt19937_64 random(42);
  std::map<const Target*, int> seen;
  for (int i = 0; i < rounds; ++i) {
    input.random = random();
    const Pick picked = pick(route, input);
    REQUIRE(picked.outcome == PickOutcome::kPicked);
    ++seen[picked.target];
  }
  std::vector<double> out;
  for (const Target* target : route.targets()) out.push_back(double(seen[target]) / rounds);
  return out;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted) {
  REQUIRE(got.size() == wanted.size());
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    EXPECT(std::abs(got[i] - wanted[i]) < 0.02);
  }
}

TEST_CASE("random and round robin follow the shares") {
  Routes routes;
  expect_near(shares(*routes.make({0, 0, 0, 0}, Strategy::kRandom), 20000), {.25, .25, .25, .25});
  expect_near(shares(*routes.make({.2, 0, 0}, Strategy::kRandom), 20000), {.2, .4, .4});
  expect_near(shares(*routes.make({.2, 0, 0}, Strategy::kRoundRobin), 20000), {.2, .4, .4});
  expect_near(shares(*routes.make({1, 0}, Strategy::kRandom), 1000), {1, 0});
  const Ref<Route> turn = routes.make({0, 0, 0}, Strategy::kRoundRobin);
  for (uint32_t i = 0; i < 9; ++i) EXPECT(pick(*turn, {}).target == turn->targets()[i % 3]);
}

TEST_CASE("two choices: the one with less under way wins, and the busiest gets nothing") {
  Routes routes;
  const Ref<Route> route = routes.make({0, 0, 0}, Strategy::kLeastConnections);
  expect_near(shares(*route, 20000), {1 / 3., 1 / 3., 1 / 3.});
  const Endpoint& first = *route->targets()[0]->endpoint();
  const Endpoint& second = *route->targets()[1]->endpoint();
  first.begin();
  first.begin();
  second.begin();
  // Of the pairs: {0,1} -> 1, {0,2} and {1,2} -> 2.
  expect_near(shares(*route, 20000), {0, 1 / 3., 2 / 3.});
  first.end();
  first.end();
  second.end();
  EXPECT_EQ(first.outstanding(), 0u);
}

TEST_CASE("what failed or is ejected is passed over, and the others keep their proportions") {
  Routes routes;
  for (const Strategy strategy :
       {Strategy::kRandom, Strategy::kRoundRobin, Strategy::kLeastConnections}) {
    CAPTURE(int(strategy));
    const Ref<Route> route = routes.make({.5, 0, 0, 0}, strategy);
    const Endpoint* failed[] = {route->targets()[1]->endpoint(), route->targets()[2]->endpoint()};
    const std::vector<double> got = shares(*route, 20000, {.failed = failed});
    EXPECT_EQ(got[1], 0);
    EXPECT_EQ(got[2], 0);
    EXPECT(got[0] > got[3]);
    const Endpoint* all[] = {failed[0], failed[1], route->targets()[0]->endpoint(),
                             route->targets()[3]->endpoint()};
    EXPECT(pick(*route, {.failed = all}).outcome == PickOutcome::kAllFailed);
    route->targets()[0]->endpoint()->ejected_until_ms = 1000;
    EXPECT(pick(*route, {.now_ms = 999, .failed = failed}).target == route->targets()[3]);
    EXPECT(shares(*route, 100, {.now_ms = 1000})[0] > 0);
    route->targets()[0]->endpoint()->ejected_until_ms = 0;
  }
  const Ref<Route> one = routes.make({0}, Strategy::kRandom);
  const Endpoint* only[] = {one->targets()[0]->endpoint()};
  EXPECT(pick(*one, {.failed = only}).outcome == PickOutcome::kAllFailed);
  EXPECT(pick(*routes.make({}, Strategy::kRandom), {}).outcome == PickOutcome::kNoneHealthy);
  // Nothing with a share is left: the one without takes it.
  const Ref<Route> rest = routes.make({1, 0}, Strategy::kRandom);
  const Endpoint* main[] = {rest->targets()[0]->endpoint()};
  EXPECT(pick(*rest, {.failed = main}).target == rest->targets()[1]);
}

}  // namespace
}  // namespace sluice::proxy
