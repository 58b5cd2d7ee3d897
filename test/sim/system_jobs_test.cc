// System and sysbatch jobs: an instance on each node that may run it, and on no other.
#include <algorithm>

#include "orchestrator/server.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

Job system_job(std::string_view type = kTypeSystem) {
  Job job = make_job("logger", 1);
  job.type = type;
  job.groups[0].update.reset();
  job.groups[0].migrate.reset();
  job.groups[0].reschedule.reset();
  canonicalize(job);
  return job;
}

void add_zone_nodes(Cluster& cluster) {
  for (int i = 0; i < 3; ++i) {
    SimNode& node = cluster.add_node();
    node.facts().meta["zone"] = i == 0 ? "a" : "b";
  }
  cluster.executor.run_for(1'000);
  for (auto& node : cluster.nodes) node->connect(&cluster.server->node_link());
  cluster.executor.run_for(1'000);
}

}  // namespace

TEST_CASE("a system job's new constraint ends it on the nodes that it leaves out") {
  for (const bool other_config : {false, true}) {
    CAPTURE(other_config);
    Cluster cluster(41);
    cluster.start();
    add_zone_nodes(cluster);
    Job job = system_job();
    cluster.run_job(job);
    REQUIRE(cluster.settle());
    REQUIRE(cluster.live("logger").size() == 3);
    job.constraints.push_back({"${meta.zone}", "b", "="});
    if (other_config) job.groups[0].tasks[0].env["version"] = "1";
    auto plan = cluster.await(cluster.server->plan_job(job, false));
    REQUIRE(plan);
    EXPECT_EQ(plan->desired_updates.at("web").stop, 1);
    EXPECT_EQ(plan->desired_updates.at("web").in_place_update, other_config ? 0 : 2);
    EXPECT_EQ(plan->desired_updates.at("web").destructive_update, other_config ? 2 : 0);
    EXPECT(plan->failed_groups.empty());
    cluster.run_job(job);
    REQUIRE(cluster.settle());
    EXPECT_EQ(cluster.nodes[0]->running(), 0u);
    for (const AllocPtr& alloc : cluster.live("logger")) {
      EXPECT(alloc->node_id != cluster.nodes[0]->id());
      EXPECT_EQ(alloc->job->version, 1);
    }
    EXPECT_EQ(cluster.live("logger").size(), 2u);
    job.constraints.clear();
    cluster.run_job(job);
    REQUIRE(cluster.settle());
    EXPECT_EQ(cluster.live("logger").size(), 3u);
  }
}

TEST_CASE("a system job that failed for good stays down, until the job or its node is looked at") {
  Cluster cluster(42);
  cluster.start();
  SimNode& bad = cluster.add_node({.fail_starts = true});
  SimNode& good = cluster.add_node();
  cluster.executor.run_for(100);
  const Job job = system_job();
  cluster.run_job(job);
  cluster.executor.run_for(600'000);
  EXPECT_EQ(bad.starts, 1u);
  EXPECT_EQ(cluster.live("logger").size(), 1u);
  // Somebody else's news are no reason.
  cluster.run_job(make_job("web", 1));
  REQUIRE(cluster.await(cluster.server->set_eligibility(good.id(), Eligibility::kIneligible)));
  REQUIRE(cluster.await(cluster.server->set_eligibility(good.id(), Eligibility::kEligible)));
  cluster.executor.run_for(10'000);
  const auto tries = [&] {
    uint64_t count = 0;
    cluster.snapshot().of_job("default", "logger")->allocs.each([&](const AllocPtr& alloc) {
      count += alloc->node_id == bad.id() ? 1 : 0;
    });
    return count;
  };
  EXPECT_EQ(tries(), 1u);
  cluster.run_job(job);  // as it is
  cluster.executor.run_for(10'000);
  EXPECT_EQ(tries(), 2u);
  REQUIRE(cluster.await(cluster.server->set_eligibility(bad.id(), Eligibility::kIneligible)));
  bad.options.fail_starts = false;
  REQUIRE(cluster.await(cluster.server->set_eligibility(bad.id(), Eligibility::kEligible)));
  cluster.executor.run_for(10'000);
  EXPECT_EQ(tries(), 3u);
  EXPECT_EQ(cluster.live("logger").size(), 2u);
  // What was replaced is not kept for ever.
  REQUIRE(cluster.await(cluster.server->collect_garbage()));
  EXPECT_EQ(tries(), 1u);
}

TEST_CASE("what a sysbatch job is done with is done, whatever happens to its node") {
  Cluster cluster(43);
  cluster.start();
  SimNode& node = cluster.add_node({.fail_starts = true});
  cluster.executor.run_for(100);
  const Job job = system_job(kTypeSysBatch);
  cluster.run_job(job);
  cluster.executor.run_for(10'000);
  EXPECT_EQ(node.starts, 1u);
  cluster.run_job(job);
  REQUIRE(cluster.await(cluster.server->set_eligibility(node.id(), Eligibility::kIneligible)));
  REQUIRE(cluster.await(cluster.server->set_eligibility(node.id(), Eligibility::kEligible)));
  cluster.executor.run_for(10'000);
  EXPECT_EQ(node.starts, 1u);
  Job next = job;
  next.groups[0].tasks[0].env["version"] = "1";
  cluster.run_job(next);
  cluster.executor.run_for(10'000);
  EXPECT_EQ(node.starts, 2u);
}

}  // namespace sluice::sim
