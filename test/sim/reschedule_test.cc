// What failed is placed anew: how often, when, and where.
#include "orchestrator/reschedule.h"

#include <set>

#include "orchestrator/server.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

size_t allocs_of(Cluster& cluster, const std::string& job) {
  size_t count = 0;
  cluster.snapshot().of_job("default", job)->allocs.each([&](const AllocPtr&) { ++count; });
  return count;
}

}  // namespace

TEST_CASE("reschedule: as many attempts in the interval as were given, also many") {
  Cluster cluster(31);
  cluster.start();
  cluster.add_node({.fail_starts = true});
  cluster.executor.run_for(100);
  Job job = make_job("web", 1);
  job.groups[0].update->max_parallel = 0;  // without a deployment
  job.groups[0].reschedule = ReschedulePolicy{.attempts = 8,
                                              .interval_ns = 24 * kHourNs,
                                              .delay_ns = 5 * kSecondNs,
                                              .delay_function = "constant",
                                              .max_delay_ns = 0,
                                              .unlimited = false};
  cluster.run_job(job);
  cluster.executor.run_for(300'000);
  EXPECT_EQ(allocs_of(cluster, "web"), 9u);
}

TEST_CASE("reschedule: a delay that is as long as the interval is never waited for") {
  auto job = std::make_shared<Job>(make_job("web", 1));
  ReschedulePolicy& policy = *job->groups[0].reschedule;
  policy = {.attempts = 20,
            .interval_ns = 30 * kMinuteNs,
            .delay_ns = 10 * kSecondNs,
            .delay_function = "exponential",
            .max_delay_ns = kHourNs,
            .unlimited = false};
  Allocation alloc;
  alloc.job = job;
  alloc.group = "web";
  alloc.client_status = ClientStatus::kFailed;
  alloc.task_states["srv"].finished_at.ns = kHourNs;
  int64_t delay_ns = 0;
  alloc.reschedules.push_back({kHourNs - kMinuteNs, "before", "node", 10 * kMinuteNs});
  EXPECT_EQ(reschedule_at(alloc, delay_ns).value_or(0), kHourNs + 20 * kMinuteNs);
  alloc.reschedules.push_back({kHourNs - kMinuteNs, "before", "node", 15 * kMinuteNs});
  EXPECT(!reschedule_at(alloc, delay_ns));
}

TEST_CASE("reschedule: every node on which it failed before comes last, not only the latest") {
  Cluster cluster(32);
  cluster.start();
  for (int i = 0; i < 3; ++i) {
    SimNode& node = cluster.add_node({.fail_starts = i < 2});
    node.facts().meta["fast"] = i < 2 ? "yes" : "no";
  }
  cluster.executor.run_for(1'000);
  for (auto& node : cluster.nodes) node->connect(&cluster.server->node_link());
  cluster.executor.run_for(1'000);
  Job job = make_job("web", 1);
  job.groups[0].affinities.push_back({"${meta.fast}", "yes", "=", 1});
  cluster.run_job(job);
  REQUIRE(cluster.executor.run_until([&] { return cluster.nodes[2]->running() == 1; }, 600'000));
  EXPECT_EQ(allocs_of(cluster, "web"), 3u);
}

TEST_CASE("reschedule: many that fail together are looked at together") {
  Cluster cluster(33);
  cluster.start();
  cluster.add_node({.fail_starts = true});
  cluster.executor.run_for(100);
  Job job = make_job("web", 20);
  cluster.run_job(job);
  cluster.executor.run_for(20'000);
  size_t waiting = 0;
  std::set<std::string> followups;
  cluster.snapshot().tables().evals.each(
      [&](const EvalPtr& eval) { waiting += eval->status == EvalStatus::kPending ? 1 : 0; });
  cluster.snapshot().tables().allocs.each([&](const AllocPtr& alloc) {
    EXPECT(!alloc->followup_eval_id.empty());
    followups.insert(alloc->followup_eval_id);
  });
  EXPECT_EQ(followups.size(), 1u);
  EXPECT_EQ(waiting, 1u);
  cluster.nodes[0]->options.fail_starts = false;
  cluster.executor.run_for(30'000);
  EXPECT_EQ(cluster.live("web").size(), 20u);
}

}  // namespace sluice::sim
