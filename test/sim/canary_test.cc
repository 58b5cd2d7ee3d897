// Canaries that come to grief: what runs already stays as it is, and there are as many canaries as
// were asked for.
#include <algorithm>
#include <map>
#include <set>

#include "orchestrator/server.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

/// Three instances of version 0, healthy, and version 1 registered with canaries.
struct Canaries {
  Canaries(uint64_t seed, int nodes, int64_t canaries = 1) : cluster(seed) {
    cluster.start();
    for (int i = 0; i < nodes; ++i) cluster.add_node();
    cluster.executor.run_for(100);
    job = make_job("web", 3);
    job.groups[0].update->canary = canaries;
    cluster.run_job(job);
    REQUIRE(cluster.settle());
    REQUIRE(until([&] { return latest()->status == DeploymentStatus::kSuccessful; }));
  }

  void register_next() {
    job.groups[0].tasks[0].env["version"] += "x";
    cluster.run_job(job);
  }
  void fail_starts(bool fails) {
    for (auto& node : cluster.nodes) node->options.fail_starts = fails;
  }
  DeploymentPtr latest() { return cluster.snapshot().latest_deployment("default", "web"); }
  const DeploymentGroup& group() { return latest()->groups.at("web"); }
  /// Those that are not to stop, by version, without what failed.
  std::map<int64_t, int64_t> versions() {
    std::map<int64_t, int64_t> counts;
    for (const AllocPtr& alloc : cluster.live("web")) ++counts[alloc->job->version];
    return counts;
  }
  AllocPtr canary() {
    for (const AllocPtr& alloc : cluster.live("web")) {
      if (alloc->is_canary()) return alloc;
    }
    return nullptr;
  }
  SimNode& node_of(const Allocation& alloc) {
    const auto at = std::find_if(cluster.nodes.begin(), cluster.nodes.end(),
                                 [&](auto& node) { return node->id() == alloc.node_id; });
    REQUIRE(at != cluster.nodes.end());
    return **at;
  }
  template <class Condition>
  bool until(Condition condition) {
    return cluster.executor.run_until(
        [&] {
          const auto now = versions();
          const auto old = now.find(0);
          least_old = std::min(least_old, old == now.end() ? 0 : old->second);
          int64_t fresh = 0;
          for (const AllocPtr& alloc : cluster.live("web")) fresh += alloc->is_canary() ? 1 : 0;
          most_canaries = std::max(most_canaries, fresh);
          return condition();
        },
        1'800'000);
  }
  void begin_watch() {
    least_old = 3;
    most_canaries = 0;
  }

  Cluster cluster;
  Job job;
  int64_t least_old = 3;
  int64_t most_canaries = 0;
};

}  // namespace

TEST_CASE("a canary that keeps failing fails its deployment, and the others run on") {
  Canaries world(21, 1);
  world.fail_starts(true);
  world.begin_watch();
  world.register_next();
  REQUIRE(world.until([&] { return world.latest()->status == DeploymentStatus::kFailed; }));
  world.until([&, at = world.cluster.executor.now_ms() + 60'000] {
    return world.cluster.executor.now_ms() > at;
  });
  EXPECT_EQ(world.least_old, 3);
  EXPECT_EQ(world.most_canaries, 1);
  EXPECT_EQ(world.versions(), (std::map<int64_t, int64_t>{{0, 3}}));
}

TEST_CASE("a newer version while a canary has failed: nothing that runs stops for its place") {
  Canaries world(22, 1);
  world.fail_starts(true);
  world.register_next();
  REQUIRE(world.until([&] {
    return world.latest()->groups.at("web").unhealthy_allocs == 1 ||
           world.cluster.executor.now_ms() > 5'000;
  }));
  world.fail_starts(false);
  world.begin_watch();
  world.register_next();
  REQUIRE(world.until(
      [&] { return world.latest()->job_version == 2 && world.group().healthy_allocs == 1; }));
  EXPECT_EQ(world.least_old, 3);
  EXPECT_EQ(world.versions(), (std::map<int64_t, int64_t>{{0, 3}, {2, 1}}));
  REQUIRE(
      world.cluster.await(world.cluster.server->promote_deployment(world.latest()->id, true, {})));
  REQUIRE(world.until([&] { return world.latest()->status == DeploymentStatus::kSuccessful; }));
  REQUIRE(world.cluster.settle());
  EXPECT_EQ(world.versions(), (std::map<int64_t, int64_t>{{2, 3}}));
}

TEST_CASE("a canary that failed is placed anew by its policy, and there is one of it") {
  Canaries world(23, 2);
  world.fail_starts(true);
  world.begin_watch();
  world.register_next();
  const int64_t begin_ms = world.cluster.executor.now_ms();
  world.until([&] { return world.cluster.executor.now_ms() > begin_ms + 35'000; });
  world.fail_starts(false);
  REQUIRE(world.until([&] { return world.group().healthy_allocs == 1; }));
  REQUIRE(world.cluster.settle());
  EXPECT_EQ(world.least_old, 3);
  EXPECT_EQ(world.most_canaries, 1);
  const AllocPtr canary = world.canary();
  REQUIRE(canary);
  EXPECT_EQ(canary->reschedules.size(), 2u);  // 30 s, then 60 s
  EXPECT(!canary->previous_alloc.empty());
}

TEST_CASE(
    "a node drains or dies with a canary on it: the canary moves, and what it stands for too") {
  for (const bool dies : {false, true}) {
    CAPTURE(dies);
    Canaries world(24, 2);
    world.register_next();
    REQUIRE(world.until([&] { return world.group().healthy_allocs == 1; }));
    const AllocPtr canary = world.canary();
    REQUIRE(canary);
    SimNode& node = world.node_of(*canary);
    const auto here = world.cluster.live("web");
    REQUIRE(std::count_if(here.begin(), here.end(),
                          [&](const AllocPtr& alloc) { return alloc->node_id == node.id(); }) > 1);
    if (dies) {
      node.connect(nullptr);
    } else {
      REQUIRE(world.cluster.await(world.cluster.server->drain_node(
          {.node_id = node.id(), .drain = DrainStrategy{.deadline_ns = kHourNs}})));
    }
    REQUIRE(world.cluster.executor.run_until(
        [&] {
          const auto live = world.cluster.live("web");
          return live.size() == 4 &&
                 std::all_of(live.begin(), live.end(), [&](const AllocPtr& alloc) {
                   return alloc->node_id != node.id() && alloc->is_healthy();
                 });
        },
        1'200'000));
    EXPECT_EQ(world.versions(), (std::map<int64_t, int64_t>{{0, 3}, {1, 1}}));
    REQUIRE(world.canary());
    EXPECT(world.canary()->id != canary->id);
    REQUIRE(world.cluster.await(
        world.cluster.server->promote_deployment(world.latest()->id, true, {})));
    REQUIRE(world.until([&] { return world.latest()->status == DeploymentStatus::kSuccessful; }));
    EXPECT_EQ(world.versions(), (std::map<int64_t, int64_t>{{1, 3}}));
  }
}

TEST_CASE("a canary that was healthy and is dead is not promoted") {
  Canaries world(25, 1);
  world.register_next();
  REQUIRE(world.until([&] { return world.group().healthy_allocs == 1; }));
  const AllocPtr canary = world.canary();
  world.node_of(*canary).kill(canary->id);
  REQUIRE(world.until([&] { return world.canary() == nullptr; }));
  const auto promoted =
      world.cluster.await(world.cluster.server->promote_deployment(world.latest()->id, true, {}));
  REQUIRE(!promoted);
  EXPECT_EQ(promoted.error().message, "Task group \"web\" has 0/1 healthy allocations");
  EXPECT_EQ(world.versions(), (std::map<int64_t, int64_t>{{0, 3}}));
  REQUIRE(world.until([&] { return world.canary() && world.canary()->is_healthy(); }));
  REQUIRE(
      world.cluster.await(world.cluster.server->promote_deployment(world.latest()->id, true, {})));
  REQUIRE(world.until([&] { return world.latest()->status == DeploymentStatus::kSuccessful; }));
  EXPECT_EQ(world.versions(), (std::map<int64_t, int64_t>{{1, 3}}));
  const auto again =
      world.cluster.await(world.cluster.server->promote_deployment(world.latest()->id, true, {}));
  EXPECT_EQ(again.error().message, "can't promote terminal deployment");
}

}  // namespace sluice::sim
