// A server whose store does not know the node: what the node says of itself, what it leaves alone,
// and what it can give back.
#include "orchestrator/job.h"
#include "orchestrator/node/node_agent.h"
#include "test/orchestrator/node/node_world.h"

namespace sluice::orchestrator {

using test::Lines;
using test::make_alloc;
using test::World;

namespace {

/// The record that the node's disk has now.
LocalAlloc record(World& world, const std::string& id) {
  const std::string path = world.folder + "/client/allocs/" + id + ".json";
  Result<std::string> text = world.disk.read_file(path, 1 << 20);
  Result<LocalAlloc> local = text ? decode_local_alloc(*text) : pass(text);
  return local ? *std::move(local) : LocalAlloc();
}

}  // namespace

TEST_CASE("a node that is refused changes nothing, gives back its orders, and goes on at a word") {
  World world;
  world.start_agent();
  EXPECT(world.link.memory.cluster_id.empty());
  world.link.say({make_alloc("a"), make_alloc("b")});
  world.until([&] {
    return world.status("a") == ClientStatus::kRunning &&
           world.status("b") == ClientStatus::kRunning;
  });
  // What is told of later is kept too: b is to stop, and does not yet.
  world.machine.hold_stops = true;
  world.link.say({make_alloc("a", 7), make_alloc("b", 8, DesiredStatus::kStop)});
  world.until(
      [&] { return record(world, "a").order_index == 7 && record(world, "b").order_index == 8; });
  world.kill_agent();
  world.machine.hold_stops = false;
  world.machine.log.clear();
  world.link.reports.clear();
  world.link.refusal = Error{.code = Code::kConflict, .message = "another cluster"};
  world.link.registered = 0;
  world.start_agent();
  world.until([&] { return world.link.registered > 0; });
  world.settle();
  EXPECT_EQ(world.link.memory.cluster_id, "cluster-1");
  EXPECT_EQ(world.link.memory.term, 1u);
  EXPECT_EQ(world.link.memory.index, 2u);
  EXPECT_EQ(world.link.memory.allocs, 2u);
  EXPECT_EQ(world.machine.log, Lines{});
  EXPECT_EQ(world.machine.runs.size(), 2u);
  EXPECT(world.link.reports.empty());

  const Result<Recovery> recovery = world.agent->recovery();
  REQUIRE(recovery);
  REQUIRE(recovery->allocs.size() == 2);
  const Allocation& a = *recovery->allocs[0];
  const Allocation& b = *recovery->allocs[1];
  EXPECT_EQ(a.id, "a");
  EXPECT_EQ(a.alloc_modify_index, 7u);
  EXPECT(a.desired_status == DesiredStatus::kRun);
  EXPECT(a.client_status == ClientStatus::kRunning);
  EXPECT(a.task_states.at("srv").state == TaskRunState::kRunning);
  EXPECT(same_spec(*a.job, *make_alloc("a")->job));
  EXPECT(b.desired_status == DesiredStatus::kStop);

  world.link.refusal.reset();
  world.link.desired.term = 2;
  world.link.desired.allocs = {recovery->allocs[0]};
  const int64_t begun_ms = world.loop.now_ms();
  world.agent->recovered();
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  EXPECT(world.loop.now_ms() - begun_ms < 10'000);  // not with the next try
}

TEST_CASE("an allocation that runs and whose order is not kept cannot be recovered") {
  World world;
  world.start_agent();
  world.link.say({make_alloc("a")});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  world.kill_agent();
  bool quiet = false;
  world.loop.when_pool_idle([&] { quiet = true; });
  world.until([&] { return quiet; });
  LocalAlloc local = record(world, "a");
  REQUIRE(!local.order.empty());
  local.order.clear();
  REQUIRE(world.disk.write_file(world.folder + "/client/allocs/a.json", encode_local_alloc(local),
                                0600));
  world.link.refusal = Error{.code = Code::kConflict, .message = "another cluster"};
  world.link.registered = 0;
  world.start_agent();
  world.until([&] { return world.link.registered > 0; });
  const Result<Recovery> recovery = world.agent->recovery();
  REQUIRE(!recovery);
  EXPECT(recovery.error().code == Code::kConflict);
  EXPECT(recovery.error().message.contains("allocation a runs here"));
}

}  // namespace sluice::orchestrator
