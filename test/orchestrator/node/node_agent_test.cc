// The node against a driver and a server made of plain data: what it starts, stops, keeps and
// reports.
#include "orchestrator/node/node_agent.h"

#include "test/orchestrator/node/node_world.h"

namespace sluice::orchestrator {

using test::Lines;
using test::make_alloc;
using test::World;

TEST_CASE(
    "an allocation runs, is stopped by its tombstone, and is forgotten when it is no longer "
    "listed") {
  World world;
  world.start_agent();
  world.link.say({make_alloc("a")});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  EXPECT(std::filesystem::exists(world.folder + "/client/allocs/a.json"));
  world.link.say({make_alloc("a", 2, DesiredStatus::kStop)});
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
  EXPECT_EQ(world.machine.log, Lines{"start srv#1", "stop srv#1"});
  EXPECT(world.machine.runs.empty());
  world.link.say({});
  world.until([&] { return world.agent->find("a") == nullptr; });
  world.until([&] { return !std::filesystem::exists(world.folder + "/client/allocs/a.json"); });
  EXPECT(!std::filesystem::exists(world.folder + "/alloc/a"));
}

TEST_CASE("an update in place of services alone reaches the catalog at once") {
  World world;
  world.start_agent();
  world.link.say({make_alloc("a")});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  EXPECT(world.catalog.registered.empty());
  const AllocPtr before = make_alloc("a", 2);
  auto job = std::make_shared<Job>(*before->job);
  Service service;
  service.name = "web";
  job->groups[0].tasks[0].services = {service};
  auto after = std::make_shared<Allocation>(*before);
  after->job = job;
  world.link.say({after});
  const int64_t begun_ms = world.loop.now_ms();
  world.until([&] { return world.catalog.registered.size() == 1; });
  EXPECT(world.loop.now_ms() - begun_ms < 10'000);  // not with the periodic mending
  EXPECT_EQ(world.machine.log, Lines{"start srv#1"});
}

TEST_CASE("a service stays registered, as it is, until the agent has taken its task over") {
  World world;
  world.machine.network = {.address = "172.17.0.5", .advertised = true};
  auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
  auto job = test::with_service(*alloc);
  job->groups[0].tasks[0].services[0].address_mode = "auto";
  alloc->job = job;
  world.start_agent();
  world.link.say({alloc});
  world.until([&] { return world.catalog.registered.size() == 1; });
  const auto before = world.catalog.registered;
  EXPECT_EQ(before[0].address, "172.17.0.5");
  world.kill_agent();

  world.machine.available = false;  // it takes a while
  world.catalog.registered.clear();
  world.catalog.published = 0;
  world.start_agent();
  world.until([&] { return world.catalog.published > 0; });
  world.settle();
  EXPECT(world.catalog.registered == before);
  world.machine.available = true;
  world.until([&] { return world.machine.log.back() == "recover srv#1"; });
  world.settle();
  EXPECT(world.catalog.registered == before);
  world.machine.runs.begin()->second.running = false;
  world.until([&] { return world.catalog.registered != before; });
}

TEST_CASE("health is of one deployment: updated in place into the next, it is said anew") {
  World world;
  const auto alloc_in = [](const std::string& deployment, uint64_t version) {
    const AllocPtr bare = make_alloc("a", version);
    auto job = std::make_shared<Job>(*bare->job);
    job->groups[0].update.emplace();
    job->groups[0].update->health_check = "task_states";
    job->groups[0].update->min_healthy_time_ns = 1'000'000;
    job->groups[0].update->healthy_deadline_ns = kHourNs;
    auto alloc = std::make_shared<Allocation>(*bare);
    alloc->job = job;
    alloc->deployment_id = deployment;
    return alloc;
  };
  const auto healthy_in = [&](const std::string& deployment) {
    const AllocUpdate& news = world.link.reports["a"];
    return news.deployment_id == deployment && news.healthy == true;
  };
  world.start_agent();
  world.link.say({alloc_in("first", 1)});
  world.until([&] { return healthy_in("first"); });
  world.link.say({alloc_in("second", 2)});
  world.until([&] { return healthy_in("second"); });
  // Also where the agent was away when the deployment changed.
  world.kill_agent();
  world.link.reports.clear();
  world.link.desired.allocs = {alloc_in("third", 3)};
  world.start_agent();
  world.until([&] { return healthy_in("third"); });
  // Taken over by its handle, or where that was not on disk yet by saying its start again.
  std::erase(world.machine.log, "recover srv#1");
  EXPECT_EQ(world.machine.log, Lines{"start srv#1"});
}

TEST_CASE(
    "an agent that died takes its tasks over and starts nothing twice; exits meanwhile are known") {
  World world;
  world.start_agent();
  world.link.say({make_alloc("a"), make_alloc("b")});
  world.until([&] {
    return world.status("a") == ClientStatus::kRunning &&
           world.status("b") == ClientStatus::kRunning;
  });
  world.kill_agent();
  EXPECT_EQ(world.machine.runs.size(), 2u);
  auto& run = world.machine.runs.at(TaskKey{.alloc_id = "b", .task = "srv", .run = 1});
  run.running = false;
  run.exit.exit_code = 3;
  world.machine.log.clear();
  world.link.reports.clear();
  world.start_agent();
  // b's exit code came while no agent was there: it is reported, and the policy restarts the task.
  world.until(
      [&] { return world.machine.runs.contains({.alloc_id = "b", .task = "srv", .run = 2}); });
  world.until([&] {
    return world.status("a") == ClientStatus::kRunning &&
           world.status("b") == ClientStatus::kRunning;
  });
  // A run whose handle was not on disk yet is taken over by saying its start again, which starts
  // nothing.
  std::erase(world.machine.log, "recover srv#1");
  EXPECT_EQ(world.machine.log, Lines{"start srv#2"});
  bool code_seen = false;
  for (const TaskEvent& event : world.link.reports["b"].task_states["srv"].events) {
    if (event.type == "Terminated") code_seen = event.details.at("exit_code") == "3";
  }
  EXPECT(code_seen);
}

TEST_CASE("an exit is known although the agent was killed when the driver had just forgotten it") {
  World world;
  world.start_agent();
  auto alloc = std::make_shared<Allocation>(*make_alloc("a"));
  auto job = std::make_shared<Job>(*alloc->job);
  job->type = "batch";
  alloc->job = job;
  world.link.say({alloc});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  world.machine.silent_after = "remove";
  auto& run = world.machine.runs.at(TaskKey{.alloc_id = "a", .task = "srv", .run = 1});
  run.running = false;
  world.until([&] { return world.machine.runs.empty(); });
  world.kill_agent();
  world.machine.silent_after.clear();
  world.link.reports.clear();
  world.start_agent();
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
  EXPECT_EQ(world.machine.log, Lines{"start srv#1"});
  const auto& events = world.link.reports["a"].task_states["srv"].events;
  EXPECT_EQ(events.back().type, "Terminated");
  EXPECT_EQ(events.back().details.at("exit_code"), "0");
}

TEST_CASE("a task whose start was cut off by a crash, and which is stopped then, leaves nothing") {
  World world;
  world.start_agent();
  world.machine.silent_after = "start";
  world.link.say({make_alloc("a")});
  world.until([&] { return world.machine.runs.size() == 1; });
  world.kill_agent();
  world.machine.silent_after.clear();
  world.link.say({make_alloc("a", 2, DesiredStatus::kStop)});
  world.start_agent();
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
  EXPECT(world.machine.runs.empty());
  EXPECT_EQ(world.machine.log, Lines{"start srv#1", "stop srv#1"});
}

TEST_CASE("an allocation that is stopped while its task is started leaves nothing of it") {
  World world;
  world.machine.silent_after = "start";
  world.machine.refused_stops = 2;
  world.start_agent();
  world.link.say({make_alloc("a")});
  world.until([&] { return world.machine.runs.size() == 1; });
  world.link.say({make_alloc("a", 2, DesiredStatus::kStop)});
  world.until([&] { return world.status("a") == ClientStatus::kComplete; });
  EXPECT(world.machine.runs.empty());
  EXPECT_EQ(world.machine.log, Lines{"start srv#1", "stop srv#1"});
}

TEST_CASE("a node that ends all its tasks starts none meanwhile") {
  World world;
  world.start_agent();
  world.link.say({make_alloc("a")});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  bool ended = false;
  auto stop = [](NodeAgent& agent, bool& done) -> Task<void> {
    co_await agent.stop_all_tasks();
    done = true;
  };
  world.scope->spawn(stop(*world.agent, ended));
  world.until([&] { return world.machine.log.size() == 2; });
  world.link.say({make_alloc("a"), make_alloc("b")});  // what a server makes of the end of a
  world.until([&] { return ended; });
  EXPECT_EQ(world.machine.log, Lines{"start srv#1", "stop srv#1"});
}

TEST_CASE("an instance that was healthy in one deployment is looked at anew in the next") {
  World world;
  world.start_agent();
  const auto in_deployment = [](const char* id, uint64_t version, int64_t min_healthy_time_ns) {
    const AllocPtr plain = make_alloc("a", version);
    auto job = std::make_shared<Job>(*plain->job);
    job->groups[0].update = UpdateStrategy{.health_check = "task_states",
                                           .min_healthy_time_ns = min_healthy_time_ns,
                                           .healthy_deadline_ns = 2 * kHourNs};
    auto alloc = std::make_shared<Allocation>(*plain);
    alloc->job = job;
    alloc->deployment_id = id;
    return alloc;
  };
  const auto health = [&] { return world.link.reports["a"].healthy; };
  world.link.say({in_deployment("d1", 1, 0)});
  world.until([&] { return health() == true; });
  world.link.say({in_deployment("d2", 2, kHourNs)});
  world.until([&] { return !health(); });
  world.kill_agent();
  world.link.reports.clear();
  world.start_agent();
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  EXPECT(!health());
}

TEST_CASE("absence is not an order: incomplete, older and foreign lists stop nothing") {
  World world;
  world.start_agent();
  world.link.say({make_alloc("a")});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  const auto said = [&](std::function<void()> say) {
    const int before = world.link.fetched;
    say();
    world.until([&] { return world.link.fetched > before; });
    world.settle(10);
    EXPECT_EQ(world.machine.log, Lines{"start srv#1"});
  };
  said([&] { world.link.say({}, false); });
  said([&] {
    world.link.desired.term = 0;
    world.link.say({});
  });
  world.link.desired.term = 1;
  said([&] {
    world.link.desired.cluster_id = "cluster-2";
    world.link.say({});
  });
  said([&] {
    world.link.desired.cluster_id = "";
    world.link.say({});
  });
  world.link.desired.cluster_id = "cluster-1";
  world.link.say({});
  world.until([&] { return world.machine.log.size() == 2; });
  EXPECT_EQ(world.machine.log.back(), "stop srv#1");
}

TEST_CASE("a driver that is not there uses up no attempt, says why, and starts once it appears") {
  World world;
  world.machine.available = false;
  world.start_agent();
  world.link.say({make_alloc("a")});
  world.until([&] {
    const auto& events = world.link.reports["a"].task_states["srv"].events;
    return !events.empty() && events.back().message == "the fake socket is missing; trying again";
  });
  EXPECT_EQ(world.status("a"), ClientStatus::kPending);
  world.machine.available = true;
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  EXPECT_EQ(world.machine.log, Lines{"start srv#1"});
  EXPECT_EQ(world.link.reports["a"].task_states["srv"].restarts, 0);
}

TEST_CASE("a task that keeps failing uses up its policy and fails its allocation") {
  World world;
  world.start_agent();
  world.link.say({make_alloc("a")});
  for (uint64_t number = 1; number <= 2; ++number) {
    const TaskKey key{.alloc_id = "a", .task = "srv", .run = number};
    world.until([&] { return world.machine.runs.contains(key); });
    world.machine.runs.at(key).exit.exit_code = 1;
    world.machine.runs.at(key).running = false;
  }
  world.until([&] { return world.status("a") == ClientStatus::kFailed; });
  const TaskState& state = world.link.reports["a"].task_states["srv"];
  EXPECT_EQ(state.restarts, 1);
  EXPECT(state.failed);
  EXPECT_EQ(state.events.back().type, "Not Restarting");
}

TEST_CASE("a run of ours that no allocation owns is removed once a complete list has come") {
  World world;
  world.machine.runs.emplace(TaskKey{.alloc_id = "old", .task = "srv", .run = 4},
                             test::Machine::Run{});
  world.start_agent();
  world.link.say({make_alloc("a")});
  world.until([&] {
    return world.machine.runs.size() == 1 && world.status("a") == ClientStatus::kRunning;
  });
  EXPECT(world.machine.runs.contains(TaskKey{.alloc_id = "a", .task = "srv", .run = 1}));
}

TEST_CASE("folders of forgotten allocations go, others and those of a run that is there stay") {
  World world;
  const std::string forgotten = "0f6d3a52-7c1e-4b8f-9a44-2d1f0c5e6b7a";
  const std::string listed = "1f6d3a52-7c1e-4b8f-9a44-2d1f0c5e6b7a";
  const auto folder = [&](const std::string& name) { return world.folder + "/alloc/" + name; };
  for (const std::string& name : {forgotten, listed, std::string("lost+found")}) {
    std::filesystem::create_directories(folder(name) + "/alloc/logs");
  }
  SUBCASE("once a complete list has come") {
    world.start_agent();
    world.link.say({make_alloc(listed)});
    world.until([&] { return !std::filesystem::exists(folder(forgotten)); });
  }
  SUBCASE("but not while a driver cannot say what runs") {
    world.machine.available = false;
    world.mend_interval_ms = 1;
    world.start_agent();
    world.link.say({make_alloc(listed)});
    world.until([&] { return world.link.reports.contains(listed); });
    int turns = 0;
    world.until([&] { return ++turns > 50; });
    EXPECT(std::filesystem::exists(folder(forgotten)));
    world.machine.available = true;
    world.until([&] { return !std::filesystem::exists(folder(forgotten)); });
  }
  SUBCASE("those whose runs another driver has had go all the same") {
    world.start_agent();
    world.link.say({make_alloc(forgotten)});
    world.until([&] { return world.status(forgotten) == ClientStatus::kRunning; });
    world.kill_agent();
    world.other_machine.available = false;  // which cannot say what it holds
    world.link.desired.allocs = {make_alloc(listed)};
    world.start_agent();
    world.until([&] { return !std::filesystem::exists(folder(forgotten)); });
    EXPECT(!world.machine.runs.contains(TaskKey{.alloc_id = forgotten, .task = "srv", .run = 1}));
  }
  SUBCASE("those whose runs the silent driver may have had stay until it speaks") {
    world.start_agent();
    world.link.say({make_alloc(forgotten)});
    world.until([&] { return world.status(forgotten) == ClientStatus::kRunning; });
    world.kill_agent();
    world.machine.available = false;
    world.mend_interval_ms = 1;
    world.link.desired.allocs = {make_alloc(listed)};
    for (int life = 0; life < 2; ++life) {  // also where the agent dies meanwhile
      world.start_agent();
      world.until([&] { return world.link.reports.contains(listed); });
      world.settle();
      EXPECT(std::filesystem::exists(folder(forgotten)));
      if (life == 0) world.kill_agent();
    }
    world.machine.available = true;
    world.until([&] { return !std::filesystem::exists(folder(forgotten)); });
    EXPECT(!world.machine.runs.contains(TaskKey{.alloc_id = forgotten, .task = "srv", .run = 1}));
  }
  EXPECT(std::filesystem::exists(folder(listed)));
  EXPECT(std::filesystem::exists(folder("lost+found")));
}

}  // namespace sluice::orchestrator
