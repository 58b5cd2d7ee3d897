// Batch, system and sysbatch jobs whose nodes drain, die, come back, refuse and break at random
// times: what has ended well is not done again, and at the end each instance is where it belongs.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "orchestrator/server.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

constexpr uint64_t kSeeds = 100;
constexpr int kSteps = 25;

class Trouble {
 public:
  Trouble(uint64_t seed, std::string_view type) : cluster(seed), random_(seed * 104'729) {
    cluster.start();
    for (int64_t i = between(2, 4); i > 0; --i) cluster.add_node();
    cluster.executor.run_for(100);
    job = make_job("job", type == kTypeBatch ? between(1, 5) : 1);
    job.type = type;
    job.groups[0].update.reset();
    job.groups[0].migrate.reset();
    job.groups[0].reschedule.reset();
    if (type == kTypeBatch) {
      job.groups[0].reschedule = ReschedulePolicy{.attempts = 0,
                                                  .interval_ns = 0,
                                                  .delay_ns = 5 * kSecondNs,
                                                  .delay_function = "constant",
                                                  .max_delay_ns = 0,
                                                  .unlimited = true};
    }
    canonicalize(job);
    cluster.run_job(job);
  }

  void step() {
    SimNode& node = *cluster.nodes[random_.below(cluster.nodes.size())];
    const auto live = cluster.live("job");
    const AllocPtr alloc = live.empty() ? nullptr : live[random_.below(live.size())];
    switch (random_.below(10)) {
      case 0:
      case 1:
        if (alloc) finish(*alloc);
        break;
      case 2:
        if (alloc && node_of(*alloc).tasks().contains(alloc->id)) node_of(*alloc).kill(alloc->id);
        break;
      case 3: node.options.fail_starts = random_.below(2) == 0; break;
      case 4: drain(node, random_.below(3) == 0 ? 30 * kSecondNs : kHourNs); break;
      case 5: recover(node); break;
      case 6: node.connect(nullptr); break;
      case 7: job.groups[0].tasks[0].env["version"] += "x"; [[fallthrough]];
      case 8: cluster.run_job(job); break;
      case 9:
        if (alloc) (void)cluster.await(cluster.server->stop_alloc(alloc->id));
        break;
    }
    cluster.executor.run_for(random_.below(4) == 0 ? between(0, 120'000) : between(0, 2'000));
    look();
  }

  void heal() {
    for (auto& node : cluster.nodes) {
      node->options.fail_starts = false;
      recover(*node);
    }
    cluster.executor.run_for(60'000);
  }

  /// All that is left of a batch job ends well.
  void finish_all() {
    for (int i = 0; i < 50; ++i) {
      for (const AllocPtr& alloc : cluster.live("job")) finish(*alloc);
      cluster.executor.run_for(10'000);
      look();
    }
  }

  int64_t version() { return cluster.snapshot().job("default", "job")->version; }
  bool evaluated() {
    bool open = false;
    cluster.snapshot().tables().evals.each(
        [&](const EvalPtr& eval) { open |= !eval->is_terminal(); });
    return !open;
  }
  /// Names that ended well in this version and run in it again.
  void look() {
    if (job.type != kTypeBatch) return;
    std::set<std::string> done;
    for (const auto& [name, of] : done_) {
      if (of == version()) done.insert(name);
    }
    for (const AllocPtr& alloc : cluster.live("job")) {
      if (alloc->job->version == version() && done.contains(alloc->name)) {
        wrong.insert(alloc->name + " again");
      }
    }
  }

  Cluster cluster;
  Job job;
  std::set<std::string> wrong;

 private:
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_.below(static_cast<uint64_t>(high - low + 1)));
  }
  SimNode& node_of(const Allocation& alloc) {
    return **std::find_if(cluster.nodes.begin(), cluster.nodes.end(),
                          [&](auto& one) { return one->id() == alloc.node_id; });
  }
  void finish(const Allocation& alloc) {
    node_of(alloc).finish(alloc.id);
    cluster.executor.run_for(200);
    const AllocPtr now = cluster.snapshot().alloc(alloc.id);
    const bool well = now && now->client_status == ClientStatus::kComplete && !now->migrate &&
                      !now->server_terminal();
    if (well) done_.emplace(now->name, now->job->version);
  }
  void drain(SimNode& which, int64_t deadline_ns) {
    DrainStrategy strategy;
    strategy.deadline_ns = deadline_ns;
    (void)cluster.await(cluster.server->drain_node({.node_id = which.id(), .drain = strategy}));
  }
  void recover(SimNode& which) {
    (void)cluster.await(cluster.server->drain_node({.node_id = which.id(), .mark_eligible = true}));
    which.connect(&cluster.server->node_link());
  }

  SeededRandom random_;
  std::set<std::pair<std::string, int64_t>> done_;  // name and version
};

}  // namespace

TEST_CASE("a batch job in trouble: each of its instances ends well once, and then it is over") {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    Trouble story(seed, kTypeBatch);
    for (int i = 0; i < kSteps; ++i) story.step();
    story.heal();
    story.finish_all();
    EXPECT_EQ(fmt::format("{}", fmt::join(story.wrong, "; ")), "");
    EXPECT(story.cluster.live("job").empty());
    EXPECT(story.evaluated());
    std::set<std::string> done;
    story.cluster.snapshot().tables().allocs.each([&](const AllocPtr& alloc) {
      if (alloc->client_status == ClientStatus::kComplete && !alloc->server_terminal() &&
          alloc->job->version == story.version()) {
        done.insert(alloc->name);
      }
    });
    EXPECT_EQ(done.size(), static_cast<size_t>(story.job.groups[0].count));
    const Snapshot now = story.cluster.snapshot();
    EXPECT_EQ(now.job_status(*now.job("default", "job")), "dead");
    REQUIRE(story.cluster.await(story.cluster.server->collect_garbage()));
    REQUIRE(story.cluster.await(story.cluster.server->collect_garbage()));
    EXPECT(!story.cluster.snapshot().job("default", "job"));
    EXPECT(story.cluster.snapshot().tables().allocs.empty());
    for (auto& node : story.cluster.nodes) EXPECT_EQ(node->double_starts, 0u);
  }
}

TEST_CASE("a system job in trouble: in the end one instance of the last version on each node") {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    Trouble story(seed, kTypeSystem);
    for (int i = 0; i < kSteps; ++i) story.step();
    story.heal();
    story.cluster.run_job(story.job);
    story.cluster.executor.run_for(60'000);
    EXPECT(story.evaluated());
    std::set<std::string> nodes;
    for (const AllocPtr& alloc : story.cluster.live("job")) {
      EXPECT(nodes.insert(alloc->node_id).second);
      EXPECT_EQ(alloc->job->version, story.version());
      EXPECT_EQ(to_string(alloc->client_status), "running");
    }
    EXPECT_EQ(nodes.size(), story.cluster.nodes.size());
    REQUIRE(story.cluster.await(story.cluster.server->collect_garbage()));
    size_t kept = 0;
    story.cluster.snapshot().tables().allocs.each([&](const AllocPtr&) { ++kept; });
    EXPECT_EQ(kept, story.cluster.nodes.size());
  }
}

}  // namespace sluice::sim
