// Tasks before, beside and after the main ones of an allocation.
#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/node/alloc_runner.h"
#include "test/orchestrator/node/node_world.h"

namespace sluice::orchestrator {

using test::make_alloc;
using test::World;

namespace {

struct Part {
  std::string name;
  std::string hook;  // "": a main task
  bool sidecar = false;
  bool leader = false;
};

std::shared_ptr<Allocation> alloc_of(const std::vector<Part>& parts, const char* type = "batch") {
  auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
  auto job = std::make_shared<Job>(*alloc->job);
  job->type = type;
  TaskGroup& group = job->groups[0];
  const TaskConfig model = group.tasks[0];
  group.tasks.clear();
  for (const Part& part : parts) {
    TaskConfig& task = group.tasks.emplace_back(model);
    task.name = part.name;
    task.leader = part.leader;
    task.restart->attempts = 0;
    if (!part.hook.empty()) task.lifecycle = Lifecycle{.hook = part.hook, .sidecar = part.sidecar};
  }
  alloc->job = job;
  return alloc;
}

/// The run ends by itself.
void end(World& world, const std::string& task, int64_t code = 0) {
  for (auto& [key, run] : world.machine.runs) {
    if (key.task != task) continue;
    run.exit.exit_code = code;
    run.running = false;
  }
}

void stop(World& world, const Allocation& alloc) {
  auto stopped = std::make_shared<Allocation>(alloc);
  stopped->desired_status = DesiredStatus::kStop;
  stopped->alloc_modify_index = 2;
  world.link.say({stopped});
}

std::string log_of(const World& world) {
  return fmt::format("{}", fmt::join(world.machine.log, ", "));
}

bool has(const World& world, const std::string& line) {
  return std::find(world.machine.log.begin(), world.machine.log.end(), line) !=
         world.machine.log.end();
}

}  // namespace

TEST_CASE("what runs once behind the start is not cut off by the end of the main tasks") {
  World world;
  world.start_agent();
  const auto alloc = alloc_of(
      {{"proxy", "prestart", true}, {"main", ""}, {"report", "poststart"}, {"clean", "poststop"}});
  world.link.say({alloc});
  world.until([&] { return has(world, "start report#1"); });
  end(world, "main");
  world.settle(50);
  EXPECT_EQ(log_of(world), "start proxy#1, start main#1, start report#1");
  end(world, "report");
  world.until([&] { return has(world, "start clean#1"); });
  EXPECT_EQ(log_of(world),
            "start proxy#1, start main#1, start report#1, stop proxy#1, start clean#1");
  EXPECT_EQ(to_string(world.status("a")), "running");
  end(world, "clean");
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
}

TEST_CASE("a stop: the leader, then the other tasks, then what stands beside them, then poststop") {
  World world;
  world.drainer.ready.set();
  world.start_agent();
  const auto alloc = alloc_of({{"proxy", "prestart", true},
                               {"other", ""},
                               {"lead", "", false, true},
                               {"watch", "poststart", true},
                               {"clean", "poststop"}},
                              "service");
  world.link.say({alloc});
  world.until([&] { return has(world, "start watch#1"); });
  world.machine.log.clear();
  stop(world, *alloc);
  world.until([&] { return has(world, "start clean#1"); });
  EXPECT_EQ(log_of(world), "stop lead#1, stop other#1, stop proxy#1, stop watch#1, start clean#1");
  end(world, "clean");
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
}

TEST_CASE("a stop while what comes first still runs, or cannot be started, waits for nobody") {
  for (const bool leader : {true, false}) {
    for (const bool sidecar : {true, false}) {
      CAPTURE(leader);
      CAPTURE(sidecar);
      World world;
      world.drainer.ready.set();
      world.start_agent();
      if (sidecar) world.machine.available = false;
      const auto alloc =
          alloc_of({{"first", "prestart", sidecar}, {"main", "", false, leader}}, "service");
      world.link.say({alloc});
      if (sidecar) {
        world.until([&] { return world.agent->find("a") != nullptr; });
        world.settle();
      } else {
        world.until([&] { return has(world, "start first#1"); });
      }
      stop(world, *alloc);
      world.until([&] { return world.status("a") == ClientStatus::kComplete; });
      EXPECT(!has(world, "start main#1"));
    }
  }
}

TEST_CASE("a first task that fails ends the allocation, and no main task starts") {
  World world;
  world.start_agent();
  const auto alloc = alloc_of({{"first", "prestart"}, {"main", ""}, {"clean", "poststop"}});
  world.link.say({alloc});
  world.until([&] { return has(world, "start first#1"); });
  end(world, "first", 3);
  world.until([&] { return has(world, "start clean#1"); });
  end(world, "clean");
  world.until([&] { return world.status("a") == ClientStatus::kFailed; });
  EXPECT_EQ(log_of(world), "start first#1, start clean#1");
}

TEST_CASE("poststop runs also where the main task failed or was stopped") {
  for (const bool fails : {true, false}) {
    CAPTURE(fails);
    World world;
    world.drainer.ready.set();
    world.start_agent();
    const auto alloc = alloc_of({{"main", ""}, {"clean", "poststop"}}, "service");
    world.link.say({alloc});
    world.until([&] { return has(world, "start main#1"); });
    if (fails) {
      end(world, "main", 1);
    } else {
      stop(world, *alloc);
    }
    world.until([&] { return has(world, "start clean#1"); });
    end(world, "clean");
    world.until([&] {
      return world.status("a") == (fails ? ClientStatus::kFailed : ClientStatus::kComplete);
    });
  }
}

TEST_CASE("min_healthy_time begins anew when a task restarts") {
  World world;
  world.drainer.ready.set();
  world.start_agent();
  const auto alloc = alloc_of({{"main", ""}}, "service");
  auto job = std::make_shared<Job>(*alloc->job);
  job->groups[0].update = UpdateStrategy{.stagger_ns = kSecondNs,
                                         .max_parallel = 1,
                                         .health_check = "task_states",
                                         .min_healthy_time_ns = 300'000'000,
                                         .healthy_deadline_ns = 10 * kSecondNs,
                                         .progress_deadline_ns = 0,
                                         .canary = 0};
  alloc->job = job;
  alloc->deployment_id = "d";
  world.link.say({alloc});
  world.until([&] { return has(world, "start main#1"); });
  world.settle(200);
  world.agent->find("a")->restart({"main"}, "User requested restart");
  world.until([&] { return has(world, "start main#2"); });
  const int64_t restarted_ms = world.loop.now_ms();
  world.until([&] { return world.link.reports["a"].healthy.has_value(); });
  EXPECT(*world.link.reports["a"].healthy);
  EXPECT(world.loop.now_ms() - restarted_ms >= 290);
}

TEST_CASE("a restart of all tasks is a start from the beginning, in the same order") {
  World world;
  world.drainer.ready.set();
  world.start_agent();
  const auto alloc = alloc_of({{"first", "prestart"},
                               {"proxy", "prestart", true},
                               {"main", "", false, true},
                               {"report", "poststart"},
                               {"clean", "poststop"}},
                              "service");
  world.link.say({alloc});
  world.until([&] { return has(world, "start first#1") && has(world, "start proxy#1"); });
  end(world, "first");
  world.until([&] { return has(world, "start report#1"); });
  end(world, "report");
  world.until([&] { return world.agent->find("a")->task("report")->dead(); });
  world.machine.log.clear();
  world.agent->find("a")->restart_all("User requested restart");
  world.until([&] { return has(world, "start proxy#2") && has(world, "start first#2"); });
  world.settle();
  EXPECT(!has(world, "start main#2"));
  EXPECT_EQ(to_string(world.status("a")), "running");
  end(world, "first");
  world.until([&] { return has(world, "start report#2"); });
  EXPECT(log_of(world).starts_with("stop main#1, stop proxy#1, start "));
  EXPECT(log_of(world).ends_with(", start main#2, start report#2"));
  EXPECT_EQ(world.machine.log.size(), 6u);
  EXPECT_EQ(world.agent->find("a")->task("main")->state().restarts, 1);
  // Once more, and the allocation is stopped meanwhile.
  end(world, "report");
  world.until([&] { return world.agent->find("a")->task("report")->dead(); });
  world.machine.hold_stops = true;
  world.agent->find("a")->restart_all("User requested restart");
  world.settle();
  stop(world, *alloc);
  world.settle();
  world.machine.hold_stops = false;
  world.until([&] { return has(world, "start clean#1"); });
  end(world, "clean");
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
  EXPECT(!has(world, "start main#3"));
}

}  // namespace sluice::orchestrator
