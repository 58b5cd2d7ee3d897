// A job that is changed, promoted, failed, paused, drained and broken at random times: what must
// hold meanwhile, and that it comes to what was asked for once everything is well again.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "orchestrator/server.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

constexpr uint64_t kSeeds = 200;
constexpr int kSteps = 30;

class Story {
 public:
  explicit Story(uint64_t seed) : random_(seed * 7919), cluster(seed) {
    cluster.start();
    const auto nodes = between(2, 4);
    for (int64_t i = 0; i < nodes; ++i) cluster.add_node({.healthy_ms = 500});
    cluster.executor.run_for(100);
    job = make_job("web", between(1, 5));
    change();
  }

  void step() {
    ++step_;
    if (!latest()) cluster.settle();
    switch (random_.below(14)) {
      case 0:
      case 1: change(); break;
      case 2:
        job.groups[0].count = between(0, 6);
        submit();
        break;
      case 3:
      case 4: kill(any()); break;
      case 5: node().options.fail_starts = one_in(2); break;
      case 6: drain(node(), one_in(3) ? 60 * kSecondNs : kHourNs); break;
      case 7: recover(node()); break;
      case 8: node().connect(nullptr); break;
      case 9:
      case 10: (void)promote(); break;
      case 11:
        if (one_in(3)) (void)cluster.await(cluster.server->fail_deployment(latest()->id));
        break;
      case 12:
        (void)cluster.await(cluster.server->pause_deployment(latest()->id, one_in(2)));
        break;
      case 13:
        if (const auto alloc = any()) (void)cluster.await(cluster.server->stop_alloc(alloc->id));
        break;
    }
    const int64_t until_ms = cluster.executor.now_ms() + between(0, one_in(4) ? 200'000 : 3'000);
    cluster.executor.run_until([&] {
      look();
      return cluster.executor.now_ms() >= until_ms;
    });
  }

  /// What is asked for at the end, with nothing in its way.
  void heal() {
    for (auto& one : cluster.nodes) {
      one->options.fail_starts = false;
      recover(*one);
    }
    cluster.executor.run_for(30'000);
    (void)cluster.await(cluster.server->pause_deployment(latest()->id, false));
    job.groups[0].update->canary = 0;
    job.groups[0].update->auto_promote = false;
    job.groups[0].count = between(1, 5);
    job.groups[0].tasks[0].env["last"] = "1";
    submit();
    cluster.executor.run_until(
        [&] {
          look();
          return latest()->job_version == current()->version && !latest()->active() && settled();
        },
        3'600'000);
  }

  bool settled() {
    bool busy = false;
    cluster.snapshot().tables().evals.each(
        [&](const EvalPtr& eval) { busy |= !eval->is_terminal(); });
    return !busy && cluster.live("web").size() == static_cast<size_t>(job.groups[0].count);
  }

  /// Holds at every time.
  void look() {
    const Snapshot now = cluster.snapshot();
    if (now.index() == seen_) return;
    seen_ = now.index();
    std::map<std::string, int> names;
    for (const AllocPtr& alloc : cluster.live("web")) {
      // A canary stands beside what it is to replace, until that is told to stop.
      const DeploymentPtr deployment = now.deployment(alloc->deployment_id);
      const auto group =
          deployment ? deployment->groups.find("web") : decltype(deployment->groups.end())();
      const bool canary = deployment && group != deployment->groups.end() &&
                          std::count(group->second.placed_canaries.begin(),
                                     group->second.placed_canaries.end(), alloc->id) > 0;
      if (!canary && !alloc->is_canary())
        ++names[fmt::format("{} of version {}", alloc->name, alloc->job->version)];
    }
    for (const auto& [name, count] : names) {
      if (count > 1) wrong.insert(fmt::format("twice: {} after step {}", name, step_));
    }
    int64_t canaries = 0;
    for (const AllocPtr& alloc : cluster.live("web")) canaries += alloc->is_canary() ? 1 : 0;
    if (canaries > 2) wrong.insert(fmt::format("{} canaries", canaries));
  }

  JobPtr current() { return cluster.snapshot().job("default", "web"); }
  DeploymentPtr latest() { return cluster.snapshot().latest_deployment("default", "web"); }

  Job job;
  std::set<std::string> wrong;

 private:
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_.below(static_cast<uint64_t>(high - low + 1)));
  }
  bool one_in(uint64_t n) { return random_.below(n) == 0; }
  SimNode& node() { return *cluster.nodes[random_.below(cluster.nodes.size())]; }
  SimNode& node_of(const Allocation& alloc) {
    return **std::find_if(cluster.nodes.begin(), cluster.nodes.end(),
                          [&](auto& one) { return one->id() == alloc.node_id; });
  }
  AllocPtr any() {
    const auto live = cluster.live("web");
    return live.empty() ? nullptr : live[random_.below(live.size())];
  }
  void kill(const AllocPtr& alloc) {
    if (!alloc || !node_of(*alloc).tasks().contains(alloc->id)) return;
    node_of(*alloc).kill(alloc->id);
  }
  void change() {
    UpdateStrategy& update = *job.groups[0].update;
    update.canary = one_in(2) ? between(1, 2) : 0;
    update.max_parallel = between(1, 3);
    update.auto_revert = one_in(3);
    update.auto_promote = update.canary > 0 && one_in(3);
    job.groups[0].tasks[0].env["version"] = std::to_string(++changes_);
    submit();
  }
  void submit() { cluster.run_job(job); }
  bool promote() {
    return cluster.await(cluster.server->promote_deployment(latest()->id, true, {})).has_value();
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
  int changes_ = 0;
  int step_ = 0;
  uint64_t seen_ = 0;

 public:
  Cluster cluster;
};

}  // namespace

TEST_CASE("whatever happens to a job and its nodes, it comes to what was asked for last") {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    Story story(seed);
    for (int i = 0; i < kSteps; ++i) story.step();
    story.heal();
    EXPECT_EQ(fmt::format("{}", fmt::join(story.wrong, "; ")), "");
    std::set<std::string> names;
    std::set<int64_t> versions;
    for (const AllocPtr& alloc : story.cluster.live("web")) {
      names.insert(alloc->name);
      versions.insert(alloc->job->version);
      EXPECT_EQ(to_string(alloc->client_status), "running");
    }
    const auto wanted = static_cast<size_t>(story.job.groups[0].count);
    EXPECT_EQ(names.size(), wanted);
    EXPECT_EQ(story.cluster.live("web").size(), wanted);
    EXPECT_EQ(fmt::format("{}", fmt::join(versions, " ")),
              fmt::format("{}", story.current()->version));
    EXPECT_EQ(to_string(story.latest()->status), "successful");
    EXPECT(story.settled());
    size_t running = 0;
    for (auto& node : story.cluster.nodes) {
      running += node->running();
      EXPECT_EQ(node->double_starts, 0u);
    }
    EXPECT_EQ(running, wanted);
    // Nothing else is left once the garbage is collected.
    REQUIRE(story.cluster.await(story.cluster.server->collect_garbage()));
    size_t kept = 0;
    story.cluster.snapshot().tables().allocs.each([&](const AllocPtr&) { ++kept; });
    EXPECT_EQ(kept, wanted);
  }
}

}  // namespace sluice::sim
