// One allocation: its services, restarts, delays and health.
#include "orchestrator/node/alloc_runner.h"

#include "test/orchestrator/node/node_world.h"

namespace sluice::orchestrator {

using test::Lines;
using test::make_alloc;
using test::with_service;
using test::World;

TEST_CASE("a restart that is asked for: out of the catalog, drained, then down and up again") {
  World world;
  world.start_agent();
  auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
  alloc->job = with_service(*alloc);
  world.link.say({alloc});
  world.until([&] { return world.catalog.registered.size() == 1; });
  const std::string id = world.catalog.registered[0].id;
  world.agent->find("a")->restart({"srv"}, "User requested restart");
  world.until([&] { return world.catalog.registered.empty(); });
  world.until([&] { return !world.drainer.draining.empty(); });
  world.settle();
  EXPECT_EQ(world.machine.log, Lines{"start srv#1"});  // its requests are not over
  EXPECT_EQ(world.drainer.draining, Lines{id});
  world.drainer.ready.set();
  world.until([&] { return world.catalog.registered.size() == 1; });
  EXPECT_EQ(world.machine.log, Lines{"start srv#1", "stop srv#1", "start srv#2"});
  EXPECT_EQ(world.drainer.resumed, Lines{id});
  EXPECT(world.drainer.forgotten.empty());
  EXPECT_EQ(world.catalog.registered[0].id, id);
  const TaskState& state = world.agent->find("a")->task("srv")->state();
  EXPECT_EQ(state.restarts, 1);
  EXPECT_EQ(world.agent->find("a")->task("srv")->local().history.attempts, 0);
}

TEST_CASE("a stop while a restart drains stops the task once and for good") {
  World world;
  world.start_agent();
  auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
  alloc->job = with_service(*alloc);
  world.link.say({alloc});
  world.until([&] { return world.catalog.registered.size() == 1; });
  world.agent->find("a")->restart({"srv"}, "User requested restart");
  world.until([&] { return !world.drainer.draining.empty(); });
  auto stopped = std::make_shared<Allocation>(*alloc);
  stopped->desired_status = DesiredStatus::kStop;
  stopped->alloc_modify_index = 2;
  world.link.say({stopped});
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
  EXPECT_EQ(world.machine.log, Lines{"start srv#1", "stop srv#1"});
}

TEST_CASE("check_restart: a check that stays bad restarts its task, within its policy") {
  World world;
  world.drainer.ready.set();
  world.start_agent();
  auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
  auto job = with_service(*alloc);
  Check& check = job->groups[0].tasks[0].services[0].checks[0];
  check.check_restart = CheckRestart{.limit = 3, .grace_ns = 50'000'000, .ignore_warnings = true};
  alloc->job = job;
  world.link.say({alloc});
  world.until([&] { return world.catalog.registered.size() == 1; });
  const auto say = [&](CheckStatus status) {
    world.catalog.tell(CheckState{.service_id = world.catalog.registered[0].id,
                                  .check_id = "check-1",
                                  .name = "alive",
                                  .status = status});
  };
  say(CheckStatus::kWarning);
  world.settle(120);
  say(CheckStatus::kCritical);
  say(CheckStatus::kPassing);  // well again before the limit
  world.settle(120);
  EXPECT_EQ(world.machine.log, Lines{"start srv#1"});
  say(CheckStatus::kCritical);
  world.until(
      [&] { return world.machine.log.size() == 3 && world.catalog.registered.size() == 1; });
  EXPECT_EQ(world.machine.log, Lines{"start srv#1", "stop srv#1", "start srv#2"});
  bool said = false;
  for (const TaskEvent& event : world.agent->find("a")->task("srv")->state().events) {
    said |= event.message == "healthcheck: check \"alive\" unhealthy";
  }
  EXPECT(said);
  // One attempt is all that its policy allows.
  say(CheckStatus::kCritical);
  world.until([&] { return world.status("a") == ClientStatus::kFailed; });
}

TEST_CASE("a stop that an agent finds at its start drains what the last one had registered") {
  World world;
  world.start_agent();
  auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
  alloc->job = with_service(*alloc);
  world.link.say({alloc});
  world.until([&] { return world.catalog.registered.size() == 1; });
  const std::string id = world.catalog.registered[0].id;
  world.kill_agent();
  world.drainer.known = {id, "_sluice-of-another"};
  auto stopped = std::make_shared<Allocation>(*alloc);
  stopped->desired_status = DesiredStatus::kStop;
  stopped->alloc_modify_index = 2;
  world.link.say({stopped});
  world.start_agent();
  world.until([&] { return !world.drainer.draining.empty(); });
  EXPECT_EQ(world.drainer.draining, Lines{id});
  world.settle(30);
  EXPECT_EQ(world.machine.log, (Lines{"start srv#1", "recover srv#1"}));
  world.drainer.ready.set();
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
  EXPECT_EQ(world.machine.log, (Lines{"start srv#1", "recover srv#1", "stop srv#1"}));
  EXPECT_EQ(world.drainer.forgotten, Lines{id});
}

TEST_CASE("shutdown_delay: out of the catalog, then the delay, then the signal") {
  World world;
  world.drainer.ready.set();
  world.start_agent();
  auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
  auto job = with_service(*alloc);
  job->groups[0].tasks[0].shutdown_delay_ns = 100'000'000;
  alloc->job = job;
  world.link.say({alloc});
  world.until([&] { return world.catalog.registered.size() == 1; });
  auto stopped = std::make_shared<Allocation>(*alloc);
  stopped->desired_status = DesiredStatus::kStop;
  stopped->alloc_modify_index = 2;
  world.link.say({stopped});
  world.until([&] { return world.catalog.registered.empty(); });
  world.settle(30);
  EXPECT_EQ(world.machine.log, Lines{"start srv#1"});
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
  EXPECT_EQ(world.machine.log, Lines{"start srv#1", "stop srv#1"});
}

TEST_CASE("a shutdown_delay, of a group or a task, is over once the operator wants none") {
  for (const bool of_group : {true, false}) {
    for (const bool at_once : {true, false}) {
      World world;
      world.drainer.ready.set();
      world.start_agent();
      auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
      auto job = with_service(*alloc);
      (of_group ? job->groups[0].shutdown_delay_ns : job->groups[0].tasks[0].shutdown_delay_ns) =
          kHourNs;
      alloc->job = job;
      world.link.say({alloc});
      world.until([&] { return world.catalog.registered.size() == 1; });
      auto stopped = std::make_shared<Allocation>(*alloc);
      stopped->desired_status = DesiredStatus::kStop;
      stopped->no_shutdown_delay = at_once;
      stopped->alloc_modify_index = 2;
      world.link.say({stopped});
      world.until([&] { return world.catalog.registered.empty(); });
      if (!at_once) {
        world.settle(30);
        EXPECT_EQ(world.machine.log, Lines{"start srv#1"});
        auto now = std::make_shared<Allocation>(*stopped);
        now->no_shutdown_delay = true;
        now->alloc_modify_index = 3;
        world.link.say({now});
      }
      world.until([&] { return world.status("a") == ClientStatus::kComplete; });
      EXPECT_EQ(world.machine.log, Lines{"start srv#1", "stop srv#1"});
    }
  }
}

TEST_CASE("an instance outside of a deployment is judged by migrate, anew in a deployment") {
  World world;
  world.start_agent();
  auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
  auto job = with_service(*alloc);
  job->groups[0].migrate = MigrateStrategy{.min_healthy_time_ns = 1'000'000};
  job->groups[0].update = UpdateStrategy{.health_check = "task_states",
                                         .min_healthy_time_ns = 1'000'000,
                                         .healthy_deadline_ns = kMinuteNs};
  alloc->job = job;
  world.link.say({alloc});
  world.until([&] { return world.catalog.registered.size() == 1; });
  world.settle();
  EXPECT(!world.link.reports["a"].healthy);
  world.catalog.tell(CheckState{.service_id = world.catalog.registered[0].id,
                                .check_id = "check-1",
                                .name = "alive",
                                .status = CheckStatus::kPassing});
  world.until([&] { return world.link.reports["a"].healthy == true; });
  const int64_t first = world.link.reports["a"].healthy_at_ns;
  auto updated = std::make_shared<Allocation>(*alloc);
  updated->deployment_id = "d1";
  updated->alloc_modify_index = 2;
  world.link.say({updated});
  world.until([&] {
    return world.link.reports["a"].healthy == true && world.link.reports["a"].healthy_at_ns > first;
  });
}

TEST_CASE("ports: one starts when what is stopping here has let go of them") {
  World world;
  world.start_agent();
  auto first = std::make_shared<Allocation>(*make_alloc("a"));
  first->ports = {{.label = "http", .host_ip = "127.0.0.1", .value = 1}};
  world.link.say({first});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  world.machine.hold_stops = true;
  auto stopped = std::make_shared<Allocation>(*first);
  stopped->desired_status = DesiredStatus::kStop;
  stopped->alloc_modify_index = 2;
  auto second = std::make_shared<Allocation>(*first);
  second->id = "b";
  auto third = std::make_shared<Allocation>(*first);
  third->id = "c";
  third->ports[0].value = 2;
  world.link.say({stopped, second, third});
  world.until([&] { return world.status("c") == ClientStatus::kRunning; });
  world.settle(30);
  EXPECT(world.status("b") == ClientStatus::kPending);
  world.machine.hold_stops = false;
  world.until([&] { return world.status("b") == ClientStatus::kRunning; });
  EXPECT_EQ(world.status("a"), ClientStatus::kComplete);
}

TEST_CASE("ports: one that another process holds fails the allocation and is told") {
  World world;
  auto taken = world.network.listen(Address{.ip = "127.0.0.1"});
  REQUIRE(taken);
  const uint16_t port = (*taken)->local().port;
  world.start_agent();
  auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
  alloc->ports = {{.label = "http", .host_ip = "127.0.0.1", .value = port}};
  world.link.say({alloc});
  world.until([&] { return world.status("a") == ClientStatus::kFailed; });
  REQUIRE(world.link.reports["a"].busy_ports.size() == 1);
  EXPECT_EQ(world.link.reports["a"].busy_ports[0].port, port);
  EXPECT(world.link.reports["a"].client_description.find("is taken by another process") !=
         std::string::npos);
  EXPECT(world.machine.log.empty());
}

TEST_CASE("a stop has its signal, whatever becomes of the record meanwhile") {
  World world;
  world.start_agent();
  const auto with_signal = [](uint64_t version, const std::string& signal) {
    auto alloc = std::make_shared<Allocation>(
        *make_alloc("a", version, version == 1 ? DesiredStatus::kRun : DesiredStatus::kStop));
    auto job = std::make_shared<Job>(*alloc->job);
    job->groups[0].tasks[0].kill_signal = signal;
    alloc->job = job;
    return alloc;
  };
  // Long enough to be nowhere but in the record.
  world.link.say({with_signal(1, "SIGNAL-OF-THE-FIRST-RECORD")});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  world.machine.hold_stops = true;
  world.agent->find("a")->restart({"srv"}, "a reason");
  world.until([&] { return world.machine.stops_asked == 1; });
  world.link.say({with_signal(2, "SIGNAL-OF-THE-SECOND-RECORD")});
  world.until([&] { return world.agent->find("a")->alloc().alloc_modify_index == 2; });
  world.machine.hold_stops = false;
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
  REQUIRE(!world.machine.signals.empty());
  EXPECT_EQ(world.machine.signals[0], "SIGNAL-OF-THE-FIRST-RECORD");
}

}  // namespace sluice::orchestrator
