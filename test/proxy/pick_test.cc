#include "proxy/pick.h"

#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "proxy/maglev.h"
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

std::vector<Portion> portions_of(const std::vector<double>& fixed) {
  std::vector<Portion> out;
  for (const double weight : fixed) out.push_back({weight});
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
  EXPECT(near(share_weights(portions_of({0, 0, 0, 0})), W{.25, .25, .25, .25}));
  EXPECT(near(share_weights(portions_of({.2, 0, 0})), W{.2, .4, .4}));
  EXPECT(near(share_weights(portions_of({.2, .2})), W{.5, .5}));  // all fixed, under 1: scaled up
  EXPECT(near(share_weights(portions_of({1.5, .5})), W{.75, .25}));  // over 1: scaled down
  EXPECT(near(share_weights(portions_of({1.5, .5, 0})), W{.75, .25, 0}));
  EXPECT(near(share_weights(portions_of({1, 0})), W{1, 0}));
  EXPECT(near(share_weights(portions_of({-3, 0})), W{.5, .5}));
  EXPECT(near(share_weights(portions_of({.1, .2, 0, 0})), W{.1, .2, .35, .35}));
  // Two addresses of one name share what a target of its own would have.
  using P = std::vector<Portion>;
  EXPECT(near(share_weights(P{{0, 2}, {0, 2}, {0, 1}}), W{.25, .25, .5}));
  EXPECT(near(share_weights(P{{.2, 2}, {.2, 2}, {0, 1}}), W{.1, .1, .8}));
  EXPECT(near(share_weights(P{{.5, 2}, {.5, 2}, {.5, 1}}), W{.25, .25, .5}));
}

TEST_CASE("slots: at least one for any share, and each slot has its owner") {
  const std::vector<double> weights = share_weights(portions_of({0.00001, 0.3, 0}));
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
  Ref<Route> make(const std::vector<double>& fixed, Strategy strategy,
                  const LimitOptions& limits = {}, bool sticky = false) {
    Route::Parts parts;
    bool any = false;
    for (size_t i = 0; i < fixed.size(); ++i) {
      Target::Parts target;
      target.service = Label::make("web");
      target.options = Ref<SharedOptions>::adopt(new SharedOptions({}));
      target.endpoint =
          registry_.find_or_add({.destination = {Scheme::kHttp, "10.0.0.1", ++port_}});
      target.fixed_weight = fixed[i];
      any = any || fixed[i] > 0;
      parts.targets.push_back(Target::make(std::move(target)));
    }
    parts.live = static_cast<uint32_t>(fixed.size());
    parts.strategy = strategy;
    if (any || strategy == Strategy::kHash || sticky || limits != LimitOptions()) {
      parts.extra = std::make_unique<RouteExtra>();
      parts.extra->limits = RouteLimits::make(limits, 1);
      std::vector<MaglevTarget> members;
      for (const Ref<Target>& each : parts.targets) {
        members.push_back({stable_hash(each->destination()), 1});
        if (sticky) parts.extra->ids.push_back(members.back().id);
      }
      if (strategy == Strategy::kHash) parts.extra->maglev = build_maglev(members);
    }
    if (any) {
      parts.extra->weights = share_weights(portions_of(fixed));
      parts.extra->slots = share_slots(parts.extra->weights);
    }
    return Route::make("/", std::move(parts));
  }

 private:
  EndpointRegistry registry_{[] {}};
  uint16_t port_ = 5000;
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

void eject(const Endpoint& endpoint, int64_t now_ms) {
  for (uint32_t i = 0; i < Endpoint::kFailuresToEject; ++i) endpoint.note_failure(now_ms);
}

TEST_CASE("ejected: five failures in a row, longer each time, forgiven after as long a good time") {
  Routes routes;
  const Ref<Route> route = routes.make({0, 0}, Strategy::kRandom);
  const Endpoint& endpoint = *route->targets()[0]->endpoint();
  for (int i = 0; i < 4; ++i) EXPECT(!endpoint.note_failure(1000));
  endpoint.note_success(1000);
  for (int i = 0; i < 4; ++i) EXPECT(!endpoint.note_failure(1000));
  EXPECT(!endpoint.ejected(1000));
  EXPECT(endpoint.note_failure(1000));
  EXPECT(!endpoint.note_failure(1000));  // those that were under way
  EXPECT(endpoint.ejected(30'999));
  EXPECT(!endpoint.ejected(31'000));
  // The first failure after it came back is one more of the same row.
  EXPECT(endpoint.note_failure(31'000));
  EXPECT_EQ(endpoint.ejected_until_ms(), 91'000);
  endpoint.note_success(91'000);
  EXPECT_EQ(endpoint.ejections(), 2u);
  endpoint.note_success(151'000);
  EXPECT_EQ(endpoint.ejections(), 0u);
  eject(endpoint, 151'000);
  EXPECT_EQ(endpoint.ejected_until_ms(), 181'000);
}

TEST_CASE("ejected ones get nothing, unless that were more than half of a route's") {
  Routes routes;
  for (const Strategy strategy :
       {Strategy::kRandom, Strategy::kRoundRobin, Strategy::kLeastConnections}) {
    CAPTURE(int(strategy));
    const Ref<Route> route = routes.make({0, 0, 0, 0}, strategy);
    const int64_t now = 1'000'000 * (1 + int(strategy));
    eject(*route->targets()[1]->endpoint(), now);
    eject(*route->targets()[2]->endpoint(), now);
    const std::vector<double> got = shares(*route, 10000, {.now_ms = now});
    EXPECT_EQ(got[1] + got[2], 0);
    EXPECT(got[0] > 0.3);
    EXPECT(got[3] > 0.3);
    eject(*route->targets()[0]->endpoint(), now);
    eject(*route->targets()[3]->endpoint(), now);
    int served = 0;
    for (const double share : shares(*route, 10000, {.now_ms = now})) served += share > 0 ? 1 : 0;
    EXPECT_EQ(served, 2);
    // A lone one is never passed over.
    const Ref<Route> one = routes.make({0}, strategy);
    EXPECT(pick(*one, {.now_ms = now}).outcome == PickOutcome::kPicked);
  }
}

TEST_CASE("one that comes back starts with a tenth of its share and grows into it") {
  Routes routes;
  const Ref<Route> route = routes.make({0, 0}, Strategy::kRandom);
  const Endpoint& endpoint = *route->targets()[0]->endpoint();
  eject(endpoint, 0);
  const int64_t back = endpoint.ejected_until_ms();
  EXPECT(shares(*route, 20000, {.now_ms = back})[0] < 0.08);
  const double half = shares(*route, 20000, {.now_ms = back + Endpoint::kSlowStartMs / 2})[0];
  EXPECT(half > 0.2);
  EXPECT(half < 0.3);
  expect_near(shares(*route, 20000, {.now_ms = back + Endpoint::kSlowStartMs}), {.5, .5});
  // The same after its health check recovered: from the first pick on.
  endpoint.recover();
  EXPECT(!endpoint.ejected(500'000));
  EXPECT(shares(*route, 20000, {.now_ms = 500'000})[0] < 0.08);
  expect_near(shares(*route, 20000, {.now_ms = 500'000 + Endpoint::kSlowStartMs}), {.5, .5});
}

TEST_CASE("at their limit: the others, and busy where there are none") {
  Routes routes;
  const Ref<Route> route = routes.make({0, 0}, Strategy::kRandom, {.connections = 1});
  const Endpoint& first = *route->targets()[0]->endpoint();
  const Endpoint& second = *route->targets()[1]->endpoint();
  EXPECT(first.try_begin(1));
  EXPECT(!first.try_begin(1));
  EXPECT_EQ(first.outstanding(), 1u);
  expect_near(shares(*route, 100), {0, 1});
  second.begin();
  EXPECT(pick(*route, {}).outcome == PickOutcome::kBusy);
  const Endpoint* tried[] = {&first, &second};
  EXPECT(pick(*route, {.failed = tried}).outcome == PickOutcome::kAllFailed);
  first.end();
  expect_near(shares(*route, 100), {1, 0});
  second.end();
}

TEST_CASE("a hash: always the same target, another one alike for all where it fails, and back") {
  Routes routes;
  const Ref<Route> route = routes.make({0, 0, 0, 0}, Strategy::kHash);
  std::map<const Target*, int> seen;
  for (uint64_t user = 0; user < 400; ++user) {
    PickInput input{.random = user * 77, .now_ms = 5, .hash = mix_hash(user)};
    const Target* owner = pick(*route, input).target;
    ++seen[owner];
    input.random = ~input.random;
    EXPECT(pick(*route, input).target == owner);
    const Endpoint* failed[] = {owner->endpoint()};
    input.failed = failed;
    const Target* other = pick(*route, input).target;
    EXPECT(other != owner);
    input.random = 3;
    EXPECT(pick(*route, input).target == other);
  }
  EXPECT_EQ(seen.size(), 4u);
  // Nothing to take a hash of: two choices.
  EXPECT(pick(*route, {.random = 9}).outcome == PickOutcome::kPicked);
}

TEST_CASE("a sticky id names its target while that can serve") {
  Routes routes;
  const Ref<Route> route = routes.make({0, 0, 0}, Strategy::kRoundRobin, {}, true);
  const PickInput input{.now_ms = 10, .sticky = route->extra()->ids[2]};
  for (int i = 0; i < 9; ++i) EXPECT_EQ(pick(*route, input).index, 2u);
  const PickInput unknown{.now_ms = 10, .sticky = 12345};
  for (uint32_t i = 0; i < 3; ++i) EXPECT(pick(*route, unknown).target == route->targets()[i]);
  eject(*route->targets()[2]->endpoint(), 10);
  EXPECT(pick(*route, input).index != 2);
}

}  // namespace
}  // namespace sluice::proxy
