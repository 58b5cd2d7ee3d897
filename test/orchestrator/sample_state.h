// A state with something in every kind of record, and ways to compare states.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/store.h"

namespace sluice::orchestrator::test {

/// Everything that a checkpoint of it would say.
inline std::string dump(const Snapshot& snapshot) {
  std::string text;
  (void)encode_snapshot(snapshot, 1'000'000, [&](std::string part) -> Result<void> {
    text += part + "\n";
    return {};
  });
  return text;
}

inline std::shared_ptr<Job> sample_job(const std::string& id) {
  auto job = std::make_shared<Job>();
  job->id = id;
  job->meta = {{"owner", "you & me <\"quoted\">"}};
  job->datacenters = {"dc1", "dc2"};
  TaskGroup& group = job->groups.emplace_back();
  group.name = "web";
  group.count = 2;
  TaskConfig& task = group.tasks.emplace_back();
  task.name = "srv";
  task.driver = "raw_exec";
  task.config = Json::object({{"command", "/bin/true"}, {"args", Json::array({"-x", "1"})}});
  task.env = {{"EMPTY", ""}, {"GREETING", "gr\xC3\xBC\xC3\x9F dich\n"}};
  task.resources.emplace();
  Service& service = task.services.emplace_back();
  service.name = "web";
  service.tags = {"urlprefix-web.test/"};
  Check& check = service.checks.emplace_back();
  check.type = "http";
  check.header = {{"X-None", {}}, {"X-Two", {"a", "b"}}};
  Template& rendered = task.templates.emplace_back();
  rendered.left_delim = "";  // not the default, and empty
  canonicalize(*job);
  return job;
}

inline std::shared_ptr<Node> sample_node(const std::string& id) {
  auto node = std::make_shared<Node>();
  node->id = id;
  node->name = "node " + id;
  node->attributes = {{"kernel.name", "linux"}};
  node->drivers["raw_exec"] = {.detected = true,
                               .healthy = true,
                               .description = "Healthy",
                               .attributes = {{"driver.raw_exec", "1"}},
                               .update_time = {1'553'893'089'123'456'789}};
  node->host_volumes["data"] = {.path = "/srv", .read_only = true};
  node->ip = "10.0.0.1";
  node->cpu_mhz = 4'000;
  node->memory_mb = 8'192;
  node->status = NodeStatus::kReady;
  node->reserved_ports = {{"", 4646, "jobs API", 0}};
  node->quarantined_ports = {{"10.0.0.1", 23'000, "found busy", 77}};
  node->drain = DrainStrategy{.deadline_ns = -1, .ignore_system_jobs = true};
  node->last_drain = LastDrain{.started_at = {5},
                               .updated_at = {6},
                               .status = DrainStatus::kCanceled,
                               .accessor_id = "t1",
                               .meta = {{"message", "why"}}};
  node->events = {{"Node registered", "Cluster", {{"k", "v"}}, {5}, 1}};
  return node;
}

inline std::shared_ptr<Allocation> sample_alloc(const std::string& id, const std::string& node,
                                                const JobPtr& job) {
  auto alloc = std::make_shared<Allocation>();
  alloc->id = id;
  alloc->name = job->id + ".web[0]";
  alloc->job = job;
  alloc->group = "web";
  alloc->node_id = node;
  alloc->node_name = "node " + node;
  alloc->eval_id = "e1";
  alloc->cpu_mhz = 100;
  alloc->memory_mb = 64;
  alloc->disk_mb = 300;
  alloc->ports = {{"srv", "http", "10.0.0.1", 20'001, 80}, {"", "admin", "", 20'002, 0}};
  alloc->client_status = ClientStatus::kRunning;
  alloc->client_description = "Tasks are running";
  alloc->task_states["srv"] = {.state = TaskRunState::kRunning,
                               .restarts = 3,
                               .started_at = {1'553'893'089'000'000'001},
                               .events = {{"Terminated", 9, "Exit Code: 7", {{"exit_code", "7"}}}}};
  alloc->deployment_status.emplace();
  alloc->deployment_status->healthy = false;
  alloc->deployment_status->canary = true;
  alloc->deployment_id = "d1";
  alloc->reschedules = {{5, "a0", "n0", 30'000'000'000}};
  auto metric = std::make_shared<AllocMetric>();
  metric->nodes_evaluated = 2;
  metric->nodes_available = {{"dc1", 2}};
  metric->score_meta_data = {{"n1", {{"binpack", 0.1}}, 0.30000000000000004}};
  alloc->metric = std::move(metric);
  return alloc;
}

/// Applies `count` commits to the state and returns them as a store gets them. The first ones hold
/// every kind of record; then allocations change, jobs get new versions, and records go.
inline std::vector<std::shared_ptr<const Commit>> sample_commits(State& state, int count) {
  std::vector<std::shared_ptr<const Commit>> out;
  const auto apply = [&](Commit commit) {
    commit.time_ns = 1'553'893'089'000'000'000 + static_cast<int64_t>(state.index());
    state.apply(commit);
    out.push_back(std::make_shared<const Commit>(std::move(commit)));
  };
  for (int i = 0; i < count; ++i) {
    Commit commit;
    const std::string number = std::to_string(state.index());
    switch (state.index() % 8) {
      case 0:
        commit.meta = std::make_shared<ClusterMeta>(ClusterMeta{"cluster", state.index() + 1});
        commit.nodes = {sample_node("n1"), sample_node("n" + number)};
        break;
      case 1: {
        auto job = sample_job("web");
        if (const JobPtr old = state.snapshot().job("default", "web")) {
          job->version = old->version + 1;
        }
        commit.submissions = {
            std::make_shared<JobSubmission>(JobSubmission{.job_id = "web",
                                                          .version = job->version,
                                                          .format = "hcl2",
                                                          .source = "job \"web\" {}\n",
                                                          .variable_flags = {{"x", ""}},
                                                          .variables = "y = 1\n",
                                                          .job_index = state.index() + 1})};
        commit.scalings = {
            std::make_shared<JobScaling>(JobScaling{.job_id = "web",
                                                    .groups = {{"web",
                                                                {{.count = 0,
                                                                  .previous_count = 2,
                                                                  .message = "less",
                                                                  .meta = {},
                                                                  .eval_id = "e" + number,
                                                                  .time_ns = 7}}}}})};
        commit.jobs = {std::move(job)};
        auto eval = std::make_shared<Evaluation>();
        eval->id = "e" + number;
        eval->job_id = "web";
        eval->type = "service";
        eval->wait_until.ns = 1'553'893'089'000'000'000;
        eval->failed_groups["web"].dimension_exhausted = {{"memory", 1}};
        eval->queued_allocs = {{"web", 2}};
        commit.evals = {std::move(eval)};
        break;
      }
      case 2:
      case 3:
      case 4:
        commit.allocs = {sample_alloc("a" + number, "n1", state.snapshot().job("default", "web"))};
        break;
      case 5: {
        auto deployment = std::make_shared<Deployment>();
        deployment->id = "d" + number;
        deployment->job_id = "web";
        deployment->job_version = state.snapshot().job("default", "web")->version;
        deployment->groups["web"] = {.progress_deadline_ns = 600'000'000'000,
                                     .require_progress_by = {1'553'893'099'000'000'000},
                                     .placed_canaries = {"a2"},
                                     .desired_total = 2};
        commit.deployments = {std::move(deployment)};
        break;
      }
      case 6:
        commit.allocs = {std::make_shared<Allocation>(
            *state.snapshot().alloc("a" + std::to_string(state.index() - 3)))};
        commit.allocs[0]->client_status = ClientStatus::kFailed;
        break;
      default:
        commit.deletes = {{RecordKind::kAlloc, "a" + std::to_string(state.index() - 3), ""},
                          {RecordKind::kEval, "e" + std::to_string(state.index() - 6), ""}};
    }
    apply(std::move(commit));
  }
  return out;
}

}  // namespace sluice::orchestrator::test
