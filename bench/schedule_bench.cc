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
#include <fstream>
#include <string>

#include "orchestrator/fit.h"
#include "orchestrator/schedule.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kPerJob = 1'000;
constexpr size_t kNodesPerCommit = 500;

/// A server of 64 threads and 256 GB, so that 2,000,000 small containers fit on 6,100.
std::shared_ptr<Node> make_node(int64_t number) {
  auto node = std::make_shared<Node>();
  node->id = fmt::format("{:08x}-0000-4000-8000-{:012x}",
                         static_cast<uint32_t>(number * 2654435761), number);
  node->name = fmt::format("node-{}", number);
  node->ip = fmt::format("10.{}.{}.{}", number / 62500, number / 250 % 250, number % 250 + 1);
  node->cpu_mhz = 64 * 2'600;
  node->cpu_cores = 64;
  node->memory_mb = 256 * 1024;
  node->disk_mb = 4'000'000;
  node->attributes = {{"kernel.name", "linux"}, {"cpu.arch", "amd64"}};
  node->drivers["docker"] = {.detected = true, .healthy = true};
  node->status = NodeStatus::kReady;
  node->computed_class = computed_class(*node);
  return node;
}

std::shared_ptr<Job> make_job(int64_t number, std::string_view type) {
  auto job = std::make_shared<Job>();
  job->id = fmt::format("job-{:06}", number);
  job->type = type;
  TaskGroup& group = job->groups.emplace_back();
  group.name = "web";
  group.count = kPerJob;
  TaskConfig& task = group.tasks.emplace_back();
  task.name = "server";
  task.driver = "docker";
  task.config = Json::object({{"image", "redis:7"}});
  task.resources.emplace();
  task.resources->cpu_mhz = 100;
  task.resources->memory_mb = 100;
  canonicalize(*job);
  return job;
}

int64_t rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atoll(line.c_str() + 6) / 1024;
  }
  return 0;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

struct Totals {
  int64_t placed = 0;
  double schedule_s = 0, commit_s = 0, slowest_s = 0;
};

/// False: something found no place.
bool run_job(State& state, const std::shared_ptr<Job>& job, Totals& totals) {
  auto eval = std::make_shared<Evaluation>();
  eval->id = fmt::format("eval-{}", job->id);
  eval->type = job->type;
  eval->job_id = job->id;
  eval->triggered_by = kTriggerJobRegister;
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
