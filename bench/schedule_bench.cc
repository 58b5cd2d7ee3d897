// How fast containers find their nodes: jobs of a thousand each, scheduled one after the other on
// one core, each plan committed before the next job is looked at. No store, no network, no pool:
// the scheduler and the state alone.
//
//   schedule-bench [containers [nodes [service|batch]]]     (1,000,000 on 5,000, service)
//
// It ends with 1 where something found no place, or where a node was given more than it has.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "bench/cluster.h"
#include "orchestrator/fit.h"

namespace sluice::orchestrator {

namespace {

using namespace bench;

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

struct Totals {
  int64_t placed = 0;
  double schedule_s = 0, commit_s = 0, slowest_s = 0;
};

/// False: something found no place.
bool run_job(State& state, const std::shared_ptr<Job>& job, Totals& totals) {
  const std::shared_ptr<Evaluation> eval = make_eval(*job);
  Commit registration;
  registration.jobs.push_back(job);
  registration.evals.push_back(eval);
  state.apply(registration);

  auto begin = std::chrono::steady_clock::now();
  const Plan plan = schedule({.snapshot = state.snapshot(),
                              .eval = eval,
                              .job_override = nullptr,
                              .now_ns = 1,
                              .seed = static_cast<uint64_t>(totals.placed)});
  const double took_s = seconds_since(begin);
  totals.schedule_s += took_s;
  totals.slowest_s = std::max(totals.slowest_s, took_s);
  begin = std::chrono::steady_clock::now();
  Commit commit = commit_of(plan);
  state.apply(commit);
  totals.commit_s += seconds_since(begin);
  totals.placed += static_cast<int64_t>(plan.placements.size());
  return plan.failed_groups.empty();
}

/// Sums the allocations themselves, not what the state keeps of them.
bool overcommitted(const Snapshot& snapshot) {
  bool over = false;
  snapshot.tables().nodes.each([&](const NodePtr& node) {
    const auto index = snapshot.of_node(node->id);
    if (!index) return;
    int64_t cpu = 0, memory = 0, disk = 0;
    index->allocs.each([&](const AllocPtr& alloc) {
      cpu += alloc->cpu_mhz;
      memory += alloc->memory_mb;
      disk += alloc->disk_mb;
    });
    over |= cpu > node->cpu_mhz || memory > node->memory_mb || disk > node->disk_mb;
  });
  return over;
}

int run(int64_t containers, int64_t nodes, std::string_view type) {
  State state;
  for (int64_t at = 0; at < nodes;) {
    Commit commit;
    for (size_t i = 0; i < kNodesPerCommit && at < nodes; ++i) {
      commit.nodes.push_back(make_node(at++));
    }
    state.apply(commit);
  }
  Totals totals;
  const auto begin = std::chrono::steady_clock::now();
  double said_s = 0;
  for (int64_t job = 0; totals.placed < containers; ++job) {
    if (!run_job(state, make_job(job, type), totals)) {
      fmt::print(stderr, "job {}: no place for all of it\n", job);
      return 1;
    }
    const double now_s = seconds_since(begin);
    if (now_s - said_s >= 5) {
      said_s = now_s;
      fmt::print(stderr, "{:9} placed, {:.1f} s, {} MB\n", totals.placed, now_s, rss_mb());
    }
  }
  const double total_s = seconds_since(begin);
  fmt::print("{} {} containers on {} nodes: {:.2f} s, {:.0f} placements a second\n", totals.placed,
             type, nodes, total_s, static_cast<double>(totals.placed) / total_s);
  fmt::print("schedule {:.2f} s, commit {:.2f} s, slowest job of {}: {:.0f} ms\n",
             totals.schedule_s, totals.commit_s, kPerJob, totals.slowest_s * 1000);
  fmt::print("memory: {} MB, {:.0f} bytes a container\n", rss_mb(),
             static_cast<double>(rss_mb()) * 1048576 / static_cast<double>(totals.placed));
  if (overcommitted(state.snapshot())) {
    fmt::print(stderr, "a node was given more than it has\n");
    return 1;
  }
  return 0;
}

}  // namespace

}  // namespace sluice::orchestrator

int main(int argc, char** argv) {
  const int64_t containers = argc > 1 ? std::atoll(argv[1]) : 1'000'000;
  const int64_t nodes = argc > 2 ? std::atoll(argv[2]) : 5'000;
  const std::string_view type = argc > 3 ? argv[3] : "service";
  if (containers < 1 || nodes < 1 || (type != "service" && type != "batch")) {
    fmt::print(stderr, "usage: schedule-bench [containers [nodes [service|batch]]]\n");
    return 2;
  }
  return sluice::orchestrator::run(containers, nodes, type);
}
