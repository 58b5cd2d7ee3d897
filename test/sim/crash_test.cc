// One machine whose agent crashes between two turns and comes back: real server, real node, real
// catalog over the seams alone. Safety first (nothing doubled, nothing stopped, nothing
// acknowledged is lost), then liveness (all of it runs and is routed to).
#include <fmt/format.h>

#include "test/sim/sim_machine.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

constexpr int64_t kCount = 3;
constexpr int64_t kSettleMs = 120'000;

Job web_job() {
  Job job;
  job.id = "web";
  TaskGroup& group = job.groups.emplace_back();
  group.name = "web";
  group.count = kCount;
  TaskConfig& task = group.tasks.emplace_back();
  task.name = "srv";
  task.driver = "sim";
  task.config = Json::object();
  task.restart =
      RestartPolicy{.attempts = 2, .interval_ns = kHourNs, .delay_ns = kSecondNs, .mode = "fail"};
  task.resources.emplace();
  orchestrator::Network network;
  network.dynamic_ports.push_back(Port{.label = "http"});
  task.resources->networks.push_back(network);
  task.services.push_back({.name = "web", .port_label = "http", .tags = {"urlprefix-/"}});
  task.services[0].checks.push_back(
      {.type = "http", .path = "/", .interval_ns = 10 * kSecondNs, .timeout_ns = 2 * kSecondNs});
  canonicalize(job);
  return job;
}

bool settled(SimMachine& machine) {
  return machine.has_agent() && machine.live("web").size() == kCount &&
         machine.processes.running() == kCount && machine.routes().healthy() == kCount;
}

/// What a run of one seed saw.
struct Seen {
  bool acknowledged = false;    // before the crash
  size_t running_at_crash = 0;  // task processes
  bool one_ended_meanwhile = false;
  uint64_t takeovers = 0;
};

Seen crash_once(uint64_t seed) {
  CAPTURE(seed);
  SimMachine machine(seed);
  machine.start_agent();
  Seen seen;
  machine.submit(web_job(), seen.acknowledged);
  for (uint64_t turns = machine.random.below(300); turns > 0; --turns) machine.executor.step();
  machine.crash();
  seen.running_at_crash = machine.processes.running();
  if (seen.running_at_crash > 0 && machine.random.below(2) == 0) {
    for (auto& [key, process] : machine.processes.all) {
      if (!process.running) continue;
      machine.processes.end(key, 3, 0);
      seen.one_ended_meanwhile = true;
      break;
    }
  }
  machine.executor.run_for(static_cast<int64_t>(machine.random.below(5'000)));

  machine.start_agent();
  bool acknowledged = seen.acknowledged;
  if (!acknowledged) machine.submit(web_job(), acknowledged);
  REQUIRE(machine.executor.run_until([&] { return settled(machine); }, kSettleMs));
  machine.executor.run_for(2'000);  // the node's last reports
  REQUIRE(settled(machine));
  const uint64_t ended = seen.one_ended_meanwhile ? 1 : 0;
  EXPECT_EQ(machine.processes.starts, kCount + ended);
  EXPECT_EQ(machine.processes.doubled, 0u);
  EXPECT_EQ(machine.processes.stops, 0u);
  uint64_t known_exits = 0;
  for (const AllocPtr& alloc : machine.live("web")) {
    EXPECT_EQ(alloc->job->version, 0);  // said again, it is the same job
    for (const TaskEvent& event : alloc->task_states.at("srv").events) {
      known_exits += event.type == "Terminated" && event.details.at("exit_code") == "3" ? 1 : 0;
    }
  }
  EXPECT_EQ(known_exits, ended);
  seen.takeovers = machine.processes.takeovers;

  // It is not only there but at work: the job's end ends everything.
  auto stop = [](Server& server) -> sluice::Task<void> {
    auto stopped = co_await server.deregister_job("default", "web", false);
    CHECK(stopped);
  };
  Scope scope(machine.executor);
  scope.spawn(stop(machine.server()));
  EXPECT(machine.executor.run_until(
      [&] { return machine.processes.all.empty() && machine.routes().healthy() == 0; }, kSettleMs));
  return seen;
}

}  // namespace

TEST_CASE("a crash at any turn doubles no task, stops none and loses nothing acknowledged") {
  int unacknowledged = 0, before_start = 0, in_part = 0, all_running = 0, ended = 0;
  uint64_t takeovers = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Seen seen = crash_once(seed);
    unacknowledged += seen.acknowledged ? 0 : 1;
    before_start += seen.acknowledged && seen.running_at_crash == 0 ? 1 : 0;
    in_part += seen.running_at_crash > 0 && seen.running_at_crash < kCount ? 1 : 0;
    all_running += seen.running_at_crash == kCount ? 1 : 0;
    ended += seen.one_ended_meanwhile ? 1 : 0;
    takeovers += seen.takeovers;
  }
  INFO(
      fmt::format("unacknowledged {}, before a start {}, in part {}, all running {}, ended {}, "
                  "taken over {}",
                  unacknowledged, before_start, in_part, all_running, ended, takeovers));
  // The seeds reach every stage; otherwise the test above would say little.
  EXPECT(unacknowledged > 0);
  EXPECT(before_start > 0);
  EXPECT(in_part > 0);
  EXPECT(all_running > 0);
  EXPECT(ended > 0);
  EXPECT(takeovers > 0);
}

TEST_CASE("the same seed is the same run") {
  const auto run = [](uint64_t seed) {
    SimMachine machine(seed);
    machine.start_agent();
    bool acknowledged = false;
    machine.submit(web_job(), acknowledged);
    machine.executor.run_for(20'000);
    return std::pair(machine.executor.turns(), machine.files.files);
  };
  EXPECT(run(7) == run(7));
  EXPECT(run(7).second != run(8).second);
}

}  // namespace sluice::sim
