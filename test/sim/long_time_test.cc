// What always fails, for days that are not waited for: the work of a day and the records that are
// kept do not grow.
#include <vector>

#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kSecondNs = 1'000'000'000;

struct HalfDay {
  uint64_t turns = 0, starts = 0;
  size_t evals = 0, allocs = 0, jobs = 0;
};

Job failing(const std::string& id, const std::string& delay_function) {
  Job job = make_job(id, 2);
  job.groups[0].update->max_parallel = 0;  // in a deployment, what fails is not tried for ever
  auto& policy = *job.groups[0].reschedule;
  policy.delay_function = delay_function;
  policy.delay_ns = 30 * kSecondNs;
  policy.unlimited = true;
  return job;
}

Job every_minute() {
  Job job = make_job("minutely", 1);
  job.type = "batch";
  job.groups[0].update.reset();
  job.groups[0].migrate.reset();
  job.groups[0].reschedule.reset();
  job.periodic.emplace();
  job.periodic->spec = "* * * * *";
  return job;
}

}  // namespace

TEST_CASE("days in which everything fails: neither work nor records grow") {
  Cluster cluster(41);
  cluster.start();
  cluster.add_node().options.fail_starts = true;
  cluster.add_node().options.fail_starts = true;
  cluster.executor.run_for(100);
  cluster.run_job(failing("steady", "constant"));
  cluster.run_job(failing("growing", "exponential"));
  cluster.run_job(failing("adding", "fibonacci"));
  cluster.run_job(every_minute());
  Job big = make_job("big", 3);
  big.groups[0].tasks[0].resources->memory_mb = 100'000;
  cluster.run_job(std::move(big));

  std::vector<HalfDay> halves;
  for (int half = 0; half < 4; ++half) {
    const uint64_t turns = cluster.executor.turns();
    const uint64_t starts = cluster.nodes[0]->starts + cluster.nodes[1]->starts;
    cluster.executor.run_for(12 * kHourMs);
    const Snapshot now = cluster.snapshot();
    halves.push_back({.turns = cluster.executor.turns() - turns,
                      .starts = cluster.nodes[0]->starts + cluster.nodes[1]->starts - starts,
                      .evals = now.tables().evals.size(),
                      .allocs = now.tables().allocs.size(),
                      .jobs = now.tables().jobs.size()});
    CAPTURE(half);
    CAPTURE(halves.back().turns);
    CAPTURE(halves.back().starts);
    CAPTURE(halves.back().evals);
    CAPTURE(halves.back().allocs);
    CAPTURE(halves.back().jobs);
    // Every half minute 2 of "steady"; every minute 1 and its second attempt; the others every
    // hour.
    EXPECT(halves.back().starts >= 4'250);
    EXPECT(halves.back().starts <= 2 * 1'440 + 2 * 720 + 4 * 24);
    if (half < 2) continue;
    const HalfDay& before = halves[static_cast<size_t>(half) - 1];
    EXPECT(halves.back().turns <= before.turns + before.turns / 50);
    EXPECT(halves.back().evals <= before.evals + before.evals / 10);
    EXPECT(halves.back().allocs <= before.allocs + before.allocs / 10);
    EXPECT(halves.back().jobs <= before.jobs + before.jobs / 10);
  }
  // And what waited all the time for room is placed once there is some.
  cluster.add_node().facts().memory_mb = 400'000;
  cluster.executor.run_for(30'000);
  EXPECT_EQ(cluster.live("big").size(), 3u);
}

}  // namespace sluice::sim
