// Where the next instance goes, by what the others of its job stand on.
#include "orchestrator/rank.h"

#include "orchestrator/server.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

SimNode& add_in_rack(Cluster& cluster, const std::string& rack) {
  Node facts = make_node(static_cast<int>(cluster.nodes.size()) + 1);
  facts.meta["rack"] = rack;
  cluster.nodes.push_back(std::make_unique<SimNode>(cluster.executor, facts));
  cluster.nodes.back()->connect(&cluster.server->node_link());
  cluster.executor.run_for(500);
  return *cluster.nodes.back();
}

void close(Cluster& cluster, SimNode& node) {
  REQUIRE(cluster.await(cluster.server->set_eligibility(node.id(), Eligibility::kIneligible)));
}

}  // namespace

TEST_CASE("distinct_property counts what runs on nodes that take no more work") {
  Cluster cluster(51);
  cluster.start();
  SimNode& first = add_in_rack(cluster, "r1");
  Job job = make_job("web", 1);
  job.constraints.push_back({"${meta.rack}", "", "distinct_property"});
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  REQUIRE(first.running() == 1);
  close(cluster, first);
  SimNode& same_rack = add_in_rack(cluster, "r1");
  job.groups[0].count = 2;
  const RegisterReply reply = cluster.run_job(job);
  cluster.executor.run_for(2'000);
  EXPECT_EQ(same_rack.running(), 0u);
  const auto failed = cluster.snapshot().eval(reply.eval_id)->failed_groups;
  REQUIRE(failed.contains("web"));
  EXPECT_EQ(failed.at("web").constraint_filtered.begin()->first,
            "distinct_property: ${meta.rack}=r1 used by 1 allocs");
  SimNode& other_rack = add_in_rack(cluster, "r2");
  REQUIRE(cluster.settle());
  EXPECT_EQ(other_rack.running(), 1u);
  EXPECT_EQ(same_rack.running(), 0u);
}

TEST_CASE("a spread counts what runs on nodes that take no more work") {
  Cluster cluster(52);
  cluster.start();
  SimNode& first = add_in_rack(cluster, "r1");
  Job job = make_job("web", 2);
  job.groups[0].spreads.push_back({.attribute = "${meta.rack}", .weight = 100});
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  REQUIRE(first.running() == 2);
  close(cluster, first);
  SimNode& same_rack = add_in_rack(cluster, "r1");
  SimNode& other_rack = add_in_rack(cluster, "r2");
  job.groups[0].count = 4;
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  EXPECT_EQ(same_rack.running(), 0u);
  EXPECT_EQ(other_rack.running(), 2u);
}

TEST_CASE("spread: shares by percent, and what is named nowhere has the rest") {
  Cluster cluster(53);
  cluster.start();
  SimNode& a = add_in_rack(cluster, "r1");
  SimNode& b = add_in_rack(cluster, "r2");
  SimNode& c = add_in_rack(cluster, "r3");
  Job job = make_job("web", 10);
  job.groups[0].spreads.push_back(
      {.attribute = "${meta.rack}", .weight = 100, .targets = {{"r1", 50}, {"r2", 30}}});
  cluster.run_job(job);
  REQUIRE(cluster.settle());
  EXPECT_EQ(a.running(), 5u);
  EXPECT_EQ(b.running(), 3u);
  EXPECT_EQ(c.running(), 2u);
}

TEST_CASE("distinct_property over groups: of the job it counts them all, of a group its own") {
  for (const bool of_job : {true, false}) {
    CAPTURE(of_job);
    Cluster cluster(54);
    cluster.start();
    SimNode& a = add_in_rack(cluster, "r1");
    SimNode& b = add_in_rack(cluster, "r2");
    Job job = make_job("web", 2);
    TaskGroup second = job.groups[0];
    second.name = "second";
    job.groups.push_back(second);
    const Constraint distinct{"${meta.rack}", "1", "distinct_property"};
    if (of_job) {
      job.constraints.push_back(distinct);
    } else {
      for (TaskGroup& group : job.groups) group.constraints.push_back(distinct);
    }
    cluster.run_job(job);
    cluster.executor.run_for(3'000);
    EXPECT_EQ(a.running(), of_job ? 1u : 2u);
    EXPECT_EQ(b.running(), of_job ? 1u : 2u);
  }
}

}  // namespace sluice::sim
