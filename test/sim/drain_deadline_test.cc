// Drains: what moves when, and what a deadline means.
#include <algorithm>

#include "orchestrator/server.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

Job job_of(std::string_view type, const std::string& id) {
  Job job = make_job(id, 1);
  job.type = type;
  job.groups[0].update.reset();
  job.groups[0].migrate.reset();
  job.groups[0].reschedule.reset();
  canonicalize(job);
  return job;
}

void drain(Cluster& cluster, const SimNode& node, int64_t deadline_ns, bool keep_system = false) {
  DrainStrategy strategy;
  strategy.deadline_ns = deadline_ns;
  strategy.ignore_system_jobs = keep_system;
  REQUIRE(cluster.await(cluster.server->drain_node({.node_id = node.id(), .drain = strategy})));
}

}  // namespace

TEST_CASE("a batch job may finish on a node that drains, until the deadline") {
  for (const int64_t deadline_ns : {int64_t{0}, kMinuteNs, int64_t{-1}}) {
    CAPTURE(deadline_ns);
    Cluster cluster(21);
    cluster.start();
    SimNode& first = cluster.add_node();
    cluster.executor.run_for(100);
    cluster.run_job(job_of(kTypeBatch, "sums"));
    REQUIRE(cluster.settle());
    SimNode& second = cluster.add_node();
    cluster.executor.run_for(1'000);
    const std::string id = cluster.live("sums").at(0)->id;
    drain(cluster, first, deadline_ns);
    cluster.executor.run_for(50'000);
    EXPECT_EQ(first.running(), deadline_ns < 0 ? 0u : 1u);
    cluster.executor.run_for(30'000);
    EXPECT_EQ(first.running(), deadline_ns == 0 ? 1u : 0u);
    EXPECT_EQ(second.running(), deadline_ns == 0 ? 0u : 1u);
    if (deadline_ns == 0) first.finish(id);
    cluster.executor.run_for(10'000);
    EXPECT(!cluster.snapshot().node(first.id())->drain);
    EXPECT_EQ(cluster.live("sums").size(), deadline_ns == 0 ? 0u : 1u);
  }
}

TEST_CASE("system jobs leave a node that drains last, or not at all") {
  for (const bool keep : {false, true}) {
    CAPTURE(keep);
    Cluster cluster(22);
    cluster.start();
    SimNode& first = cluster.add_node();
    cluster.executor.run_for(100);
    cluster.run_job(job_of(kTypeSystem, "logger"));
    cluster.run_job(make_job("web", 3));
    REQUIRE(cluster.settle());
    cluster.add_node({.healthy_ms = 2'000});
    cluster.executor.run_for(1'000);
    drain(cluster, first, kHourNs, keep);
    bool together = true;
    REQUIRE(cluster.executor.run_until([&] {
      const auto here = [&](const std::string& job) {
        const auto live = cluster.live(job);
        return std::any_of(live.begin(), live.end(),
                           [&](const AllocPtr& alloc) { return alloc->node_id == first.id(); });
      };
      together &= here("logger") || !here("web");
      return !cluster.snapshot().node(first.id())->drain;
    }));
    EXPECT(together);
    EXPECT_EQ(first.running(), keep ? 1u : 0u);
    EXPECT_EQ(cluster.live("web").size(), 3u);
    EXPECT_EQ(cluster.live("logger").size(), keep ? 2u : 1u);
  }
}

}  // namespace sluice::sim
