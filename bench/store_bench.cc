// How fast containers are placed and said to run where all of it is durable: jobs of a thousand
// each, registered, scheduled, and told of three times by their nodes (received, running, healthy),
// every commit through the SQLite store before the job counts as done.
//
//   store-bench FOLDER [containers [nodes]]     (1,000,000 on 5,000)
//
// FOLDER is empty or not there. As in the server, the store writes one batch while the next is
// made. It ends with 1 where something found no place or was not written.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "bench/cluster.h"
#include "core/loop.h"
#include "core/scope.h"
#include "drivers/sqlite/store.h"

namespace sluice::orchestrator {

namespace {

using namespace bench;

int64_t written_bytes() {
  std::ifstream io("/proc/self/io");
  for (std::string line; std::getline(io, line);) {
    if (line.starts_with("wchar:")) return std::atoll(line.c_str() + 6);
  }
  return 0;
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Bench {
 public:
  Bench(UvLoop& loop, const std::string& folder)
      : store_(loop, folder), appended_(loop), scope_(loop) {}

  Task<void> run(UvLoop& loop, int64_t containers, int64_t nodes) {
    exit_code_ = co_await fill(containers, nodes) ? 0 : 1;
    loop.stop();
  }
  int exit_code() const { return exit_code_; }

 private:
  void put(Commit commit) {
    state_.apply(commit);
    batch_.push_back(std::make_shared<const Commit>(std::move(commit)));
  }

  /// Hands the batch to the store once it has written the one before.
  Task<bool> flush() {
    while (writing_) co_await appended_.wait();
    if (!failure_.empty()) {
      fmt::print(stderr, "{}\n", failure_);
      co_return false;
    }
    if (batch_.empty()) co_return true;
    writing_ = true;
    commits_ += batch_.size();
    scope_.spawn(write(std::exchange(batch_, {})));
    if (store_.wants_checkpoint() && !checkpointing_) {
      checkpointing_ = true;
      ++checkpoints_;
      scope_.spawn(checkpoint(state_.snapshot()));
    }
    co_return true;
  }
  Task<void> write(std::vector<std::shared_ptr<const Commit>> batch) {
    Result<void> done = co_await store_.append(std::move(batch));
    if (!done) failure_ = done.error().message;
    writing_ = false;
    appended_.pulse();
  }
  Task<void> checkpoint(Snapshot snapshot) {
    Result<void> done = co_await store_.checkpoint(std::move(snapshot));
    if (!done) failure_ = done.error().message;
    checkpointing_ = false;
    appended_.pulse();
  }

  Task<bool> fill(int64_t containers, int64_t nodes) {
    Result<Snapshot> loaded = co_await store_.load();
    if (!loaded || loaded->index() != 0) {
      fmt::print(stderr, "{}\n", loaded ? "the folder holds a state" : loaded.error().message);
      co_return false;
    }
    for (int64_t at = 0; at < nodes;) {
      Commit commit;
      for (size_t i = 0; i < kNodesPerCommit && at < nodes; ++i) {
        commit.nodes.push_back(make_node(at++));
      }
      put(std::move(commit));
    }
    const double began_s = now_s();
    double said_s = began_s;
    int64_t placed = 0;
    for (int64_t number = 0; placed < containers; ++number) {
      if (!run_job(number, placed)) {
        fmt::print(stderr, "job {}: no place for all of it\n", number);
        co_return false;
      }
      const bool going = co_await flush();
      if (!going) co_return false;
      if (now_s() - said_s < 5) continue;
      said_s = now_s();
      fmt::print(stderr, "{:9} running, {:.1f} s, {} MB\n", placed, said_s - began_s, rss_mb());
    }
    const bool going = co_await flush();
    while (writing_ || checkpointing_) co_await appended_.wait();
    if (!going || !failure_.empty()) co_return false;
    say(placed, nodes, now_s() - began_s);
    co_return true;
  }

  bool run_job(int64_t number, int64_t& placed) {
    const std::shared_ptr<Job> job = make_job(number, "service");
    const std::shared_ptr<Evaluation> eval = make_eval(*job);
    Commit registration;
    registration.jobs.push_back(job);
    registration.evals.push_back(eval);
    put(std::move(registration));
    const Plan plan = schedule({.snapshot = state_.snapshot(),
                                .eval = eval,
                                .job_override = nullptr,
                                .now_ns = 1,
                                .seed = static_cast<uint64_t>(number)});
    if (!plan.failed_groups.empty()) return false;
    Commit commit = commit_of(plan);
    std::vector<std::string> ids;
    for (const auto& alloc : commit.allocs) ids.push_back(alloc->id);
    placed += static_cast<int64_t>(ids.size());
    put(std::move(commit));
    for (int step = 0; step < 3; ++step) tell(ids, step);
    return true;
  }

  /// What the nodes say: 0 received, 1 running, 2 healthy.
  void tell(const std::vector<std::string>& ids, int step) {
    constexpr const char* kEvents[] = {"Received", "Started", "Healthy"};
    Commit commit;
    const Snapshot snapshot = state_.snapshot();
    for (const std::string& id : ids) {
      auto alloc = std::make_shared<Allocation>(*snapshot.alloc(id));
      TaskState& task = alloc->task_states["server"];
      task.events.push_back({.type = kEvents[step]});
      if (step > 0) {
        alloc->client_status = ClientStatus::kRunning;
        task.state = TaskRunState::kRunning;
        task.started_at.ns = 1;
      }
      if (step == 2) alloc->deployment_status = AllocDeploymentStatus{.healthy = true};
      commit.allocs.push_back(std::move(alloc));
    }
    put(std::move(commit));
  }

  void say(int64_t placed, int64_t nodes, double took_s) const {
    const int64_t written = written_bytes();
    fmt::print("{} containers running on {} nodes, durably: {:.1f} s, {:.0f} a second\n", placed,
               nodes, took_s, static_cast<double>(placed) / took_s);
    fmt::print("{} commits, {} checkpoints, {:.0f} MB written, {:.0f} bytes a container\n",
               commits_, checkpoints_, static_cast<double>(written) / 1048576,
               static_cast<double>(written) / static_cast<double>(placed));
    fmt::print("memory: {} MB\n", rss_mb());
  }

  State state_;
  drivers::SqliteStore store_;
  Event appended_;
  std::vector<std::shared_ptr<const Commit>> batch_;
  std::string failure_;
  bool writing_ = false;
  bool checkpointing_ = false;
  size_t commits_ = 0;
  size_t checkpoints_ = 0;
  int exit_code_ = 1;
  Scope scope_;
};

}  // namespace

}  // namespace sluice::orchestrator

int main(int argc, char** argv) {
  const int64_t containers = argc > 2 ? std::atoll(argv[2]) : 1'000'000;
  const int64_t nodes = argc > 3 ? std::atoll(argv[3]) : 5'000;
  if (argc < 2 || containers < 1 || nodes < 1) {
    fmt::print(stderr, "usage: store-bench FOLDER [containers [nodes]]\n");
    return 2;
  }
  sluice::UvLoop loop;
  sluice::orchestrator::Bench bench(loop, argv[1]);
  sluice::Scope scope(loop);
  scope.spawn(bench.run(loop, containers, nodes));
  loop.run();
  return bench.exit_code();
}
