// System jobs take the room they need from what matters less; nobody else does.
#include <set>

#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

Job make_sized(const std::string& id, int64_t count, int64_t priority, int64_t cpu_mhz) {
  Job job = make_job(id, count);
  job.priority = priority;
  job.groups[0].tasks[0].resources->cpu_mhz = cpu_mhz;
  return job;
}

Job make_system(int64_t priority, int64_t cpu_mhz) {
  Job job = make_sized("agent", 1, priority, cpu_mhz);
  job.type = "system";
  job.groups[0].update.reset();
  job.groups[0].migrate.reset();
  job.groups[0].reschedule.reset();
  return job;
}

}  // namespace

TEST_CASE("a system job stops the least important, no more than it must, and they wait") {
  Cluster cluster(21);
  cluster.start();
  for (int i = 0; i < 2; ++i) cluster.add_node();
  cluster.executor.run_for(100);
  // A node has 4000 MHz: 1000 + 2 * 1400 = 3800 are taken on each.
  Job spread = make_sized("kept", 2, 55, 1'000);
  spread.constraints.push_back({.l_target = "", .r_target = "true", .operand = "distinct_hosts"});
  cluster.run_job(spread);
  cluster.run_job(make_sized("filler", 4, 20, 1'400));
  REQUIRE(cluster.settle());
  REQUIRE(cluster.live("filler").size() == 4);
  cluster.run_job(make_system(60, 1'000));
  cluster.executor.run_for(5'000);

  EXPECT_EQ(cluster.live("agent").size(), 2u);
  EXPECT_EQ(cluster.live("kept").size(), 2u);
  EXPECT_EQ(cluster.live("filler").size(), 2u);
  const Snapshot now = cluster.snapshot();
  std::set<std::string> by;
  now.of_job("default", "filler")->allocs.each([&](const AllocPtr& alloc) {
    if (!alloc->server_terminal()) return;
    EXPECT_EQ(to_string(alloc->desired_status), "evict");
    EXPECT_EQ(alloc->desired_description, "Preempted by alloc ID " + alloc->preempted_by);
    EXPECT_EQ(to_string(alloc->client_status), "complete");
    by.insert(alloc->preempted_by);
  });
  std::set<std::string> agents;
  for (const AllocPtr& alloc : cluster.live("agent")) agents.insert(alloc->id);
  EXPECT(by == agents);
  // Those that gave way are wanted still: with another node they run again.
  cluster.add_node();
  cluster.executor.run_for(5'000);
  EXPECT_EQ(cluster.live("filler").size(), 4u);
  EXPECT_EQ(cluster.live("agent").size(), 3u);
}

TEST_CASE("what is as important, or nearly, is not stopped; the system job says why it waits") {
  Cluster cluster(22);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_sized("filler", 2, 51, 1'900));
  REQUIRE(cluster.settle());
  const RegisterReply reply = cluster.run_job(make_system(60, 1'000));
  cluster.executor.run_for(5'000);
  EXPECT_EQ(cluster.live("filler").size(), 2u);
  EXPECT(cluster.live("agent").empty());
  const EvalPtr eval = cluster.snapshot().eval(reply.eval_id);
  REQUIRE(eval != nullptr);
  REQUIRE(eval->failed_groups.contains("web"));
  EXPECT_EQ(eval->failed_groups.at("web").dimension_exhausted.at("cpu"), 1);
}

TEST_CASE("a service never preempts") {
  Cluster cluster(23);
  cluster.start();
  cluster.add_node();
  cluster.executor.run_for(100);
  cluster.run_job(make_sized("filler", 2, 20, 1'900));
  REQUIRE(cluster.settle());
  cluster.run_job(make_sized("grand", 1, 100, 1'000));
  cluster.executor.run_for(5'000);
  EXPECT_EQ(cluster.live("filler").size(), 2u);
  EXPECT(cluster.live("grand").empty());
}

}  // namespace sluice::sim
