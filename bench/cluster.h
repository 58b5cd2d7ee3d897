// The cluster of the scheduler's benchmarks: servers of 64 threads and 256 GB, jobs of a thousand
// small containers.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "orchestrator/fit.h"
#include "orchestrator/records.h"
#include "orchestrator/schedule.h"
#include "orchestrator/state.h"

namespace sluice::orchestrator::bench {

inline constexpr int64_t kPerJob = 1'000;
inline constexpr size_t kNodesPerCommit = 500;

/// So that 2,000,000 small containers fit on 6,100.
inline std::shared_ptr<Node> make_node(int64_t number) {
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

inline std::shared_ptr<Job> make_job(int64_t number, std::string_view type) {
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

inline std::shared_ptr<Evaluation> make_eval(const Job& job) {
  auto eval = std::make_shared<Evaluation>();
  eval->id = fmt::format("eval-{}", job.id);
  eval->type = job.type;
  eval->job_id = job.id;
  eval->triggered_by = kTriggerJobRegister;
  return eval;
}

inline int64_t rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atoll(line.c_str() + 6) / 1024;
  }
  return 0;
}

}  // namespace sluice::orchestrator::bench
