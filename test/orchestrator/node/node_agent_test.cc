// The node against a driver and a server made of plain data: what it starts, stops, keeps and
// reports.
#include "orchestrator/node/node_agent.h"

#include <fcntl.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>

#include "core/loop.h"
#include "core/uv_network.h"
#include "test/test.h"

namespace sluice::orchestrator {

namespace {

/// Runs that exist outside of the agent, as processes do: they survive it.
struct Machine {
  struct Run {
    bool running = true;
    TaskExit exit;
    int refused_stops = 0;  // it is still starting
  };
  std::map<TaskKey, Run> runs;
  std::vector<std::string> log;  // "start srv#1", "stop srv#1", ...
  bool available = true;
  std::string silent_after;  // "start", "remove": it is done, and the answer never comes
  int refused_stops = 0;     // of what is started from now on: it is still starting

  void say(const char* what, const TaskKey& key) {
    log.push_back(std::string(what) + " " + key.task + "#" + std::to_string(key.run));
  }
};

class FakeDriver final : public TaskDriver {
 public:
  FakeDriver(Machine& machine, Executor& executor) : machine_(machine), executor_(executor) {}
  std::string_view name() const override { return "fake"; }
  Task<DriverHealth> fingerprint() override {
    co_return DriverHealth{.detected = true, .healthy = machine_.available};
  }
  Result<void> validate(const Json&) const override { return {}; }
  Task<Result<TaskHandle>> start(const TaskSpec& spec, TaskEvents) override {
    if (!machine_.available) co_return fail(Code::kUnavailable, "the fake socket is missing");
    if (!machine_.runs.contains(spec.key)) {
      machine_.say("start", spec.key);
      machine_.runs.emplace(spec.key, Machine::Run{.refused_stops = machine_.refused_stops});
    }
    co_await answer("start");
    co_return TaskHandle{.key = spec.key, .driver = "fake", .state = Json("s")};
  }
  Task<Result<void>> recover(const TaskHandle& handle, const TaskSpec&) override {
    if (!machine_.runs.contains(handle.key)) co_return fail(Code::kNotFound, "gone");
    machine_.say("recover", handle.key);
    co_return Result<void>();
  }
  Task<Result<TaskExit>> wait(const TaskHandle& handle) override {
    for (;;) {
      const auto run = machine_.runs.find(handle.key);
      if (run == machine_.runs.end()) co_return fail(Code::kNotFound, "gone");
      if (!run->second.running) co_return run->second.exit;
      co_await sleep_for(executor_, 1);
    }
  }
  Task<Result<void>> stop(const TaskHandle& handle, const std::string&, int64_t) override {
    const auto run = machine_.runs.find(handle.key);
    if (run != machine_.runs.end() && run->second.refused_stops > 0) {
      --run->second.refused_stops;
      co_return fail(Code::kUnavailable, "it is still starting");
    }
    if (run != machine_.runs.end() && run->second.running) {
      machine_.say("stop", handle.key);
      run->second.running = false;
    }
    co_return Result<void>();
  }
  Task<Result<void>> signal(const TaskHandle&, const std::string&) override {
    co_return Result<void>();
  }
  Task<Result<void>> remove(const TaskHandle& handle) override {
    const auto run = machine_.runs.find(handle.key);
    if (run != machine_.runs.end() && run->second.running) {
      co_return fail(Code::kConflict, "it is running");
    }
    machine_.runs.erase(handle.key);
    co_await answer("remove");
    co_return Result<void>();
  }
  Task<Result<std::vector<FoundTask>>> list() override {
    std::vector<FoundTask> found;
    for (const auto& [key, run] : machine_.runs) {
      found.push_back(
          {.handle = {.key = key, .driver = "fake", .state = Json("s")}, .running = run.running});
    }
    co_return found;
  }
  Task<Result<TaskStats>> stats(const TaskHandle&) override { co_return TaskStats{}; }
  Task<Result<std::string>> address(const TaskHandle&) override { co_return std::string(); }

 private:
  Task<void> answer(std::string_view what) {
    if (machine_.silent_after != what) co_return;
    for (;;) co_await sleep_for(executor_, kHourNs / 1'000'000);
  }

  Machine& machine_;
  Executor& executor_;
};

class FakeCatalog final : public Catalog {
 public:
  std::vector<ServiceRegistration> registered;
  std::string_view name() const override { return "fake"; }
  void set_registrations(std::string, std::vector<ServiceRegistration> desired) override {
    registered = std::move(desired);
  }
  void watch(std::move_only_function<void(std::vector<ServiceSnapshot>)>) override {}
  void on_check(std::move_only_function<void(const CheckState&)>) override {}
  Task<void> run() override { co_return; }
};

class FakeLink final : public NodeLink {
 public:
  explicit FakeLink(Executor& executor) : news(executor) {}
  Task<Result<NodeRegistration>> register_node(Node) override {
    co_return NodeRegistration{.cluster_id = desired.cluster_id, .heartbeat_ttl_ms = 60'000};
  }
  Task<Result<Heartbeat>> heartbeat(std::string) override {
    co_return Heartbeat{.cluster_id = desired.cluster_id, .heartbeat_ttl_ms = 60'000};
  }
  Task<Result<DesiredAllocs>> fetch_allocs(std::string, uint64_t after, int64_t) override {
    while (desired.index <= after) co_await news.wait();
    ++fetched;
    co_return desired;
  }
  Task<Result<void>> update_allocs(std::string, std::vector<AllocUpdate> updates) override {
    for (AllocUpdate& update : updates) reports[update.alloc_id] = std::move(update);
    co_return Result<void>();
  }
  void say(std::vector<AllocPtr> allocs, bool complete = true) {
    desired.allocs = std::move(allocs);
    desired.complete = complete;
    ++desired.index;
    news.pulse();
  }

  DesiredAllocs desired{.cluster_id = "cluster-1", .term = 1, .index = 0, .complete = true};
  std::map<std::string, AllocUpdate> reports;
  int fetched = 0;
  Event news;
};

AllocPtr make_alloc(const std::string& id, uint64_t version = 1,
                    DesiredStatus desired = DesiredStatus::kRun) {
  auto job = std::make_shared<Job>();
  job->id = job->name = "web";
  job->type = "service";
  TaskConfig task;
  task.name = "srv";
  task.driver = "fake";
  task.config = Json::object();
  task.restart = RestartPolicy{.attempts = 1,
                               .interval_ns = kHourNs,
                               .delay_ns = 1'000'000,
                               .mode = "fail",
                               .render_templates = false};
  TaskGroup group;
  group.name = "front";
  group.tasks = {task};
  job->groups = {group};
  auto alloc = std::make_shared<Allocation>();
  alloc->id = id;
  alloc->name = "web.front[0]";
  alloc->group = "front";
  alloc->job = job;
  alloc->desired_status = desired;
  alloc->alloc_modify_index = version;
  return alloc;
}

/// A machine with one agent on it, which can die and come back.
struct World {
  std::string folder = (std::filesystem::temp_directory_path() / "sluice-XXXXXX").string();
  UvLoop loop;
  UvNetwork network{loop};
  PosixDisk disk;
  SeededRandom random{1};
  Log log{open_null()};
  Machine machine;
  FakeCatalog catalog;
  FakeLink link{loop};
  std::unique_ptr<NodeAgent> agent;
  std::unique_ptr<Scope> scope;

  static int open_null() { return ::open("/dev/null", O_WRONLY | O_CLOEXEC); }

  World() { REQUIRE(mkdtemp(folder.data()) != nullptr); }
  ~World() {
    kill_agent();
    std::filesystem::remove_all(folder);
  }

  void start_agent() {
    DriverMap drivers;
    drivers.emplace("fake", std::make_unique<FakeDriver>(machine, loop));
    agent = std::make_unique<NodeAgent>(
        NodeContext{.env = {loop, network, disk, random},
                    .log = log,
                    .catalog = catalog,
                    .drainer = nullptr,
                    .options = {.data_folder = folder, .driver_retry_ms = 1},
                    .cluster_id = {},
                    .node = {},
                    .drivers = std::move(drivers)},
        link);
    scope = std::make_unique<Scope>(loop);
    auto body = [](NodeAgent& node) -> Task<void> {
      Result<void> started = co_await node.start();
      REQUIRE(started);
      co_await node.run();
    };
    scope->spawn(body(*agent));
  }
  void kill_agent() {
    scope.reset();
    agent.reset();
  }
  /// Runs the loop until the condition holds; a test that never gets there fails by the runner's
  /// limit.
  void until(const std::function<bool()>& condition) {
    auto watch = [](World& world, const std::function<bool()>& done) -> Task<void> {
      while (!done()) co_await sleep_for(world.loop, 1);
      world.loop.stop();
    };
    Scope watcher(loop);
    watcher.spawn(watch(*this, condition));
    loop.run();
  }
  ClientStatus status(const std::string& id) { return link.reports[id].client_status; }
};

using Lines = std::vector<std::string>;

}  // namespace

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
  EXPECT(!std::filesystem::exists(world.folder + "/client/allocs/a.json"));
  EXPECT(!std::filesystem::exists(world.folder + "/alloc/a"));
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
  world.until([&] { return world.status("b") == ClientStatus::kRunning; });
  EXPECT_EQ(world.status("a"), ClientStatus::kRunning);
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
    world.loop.post_after(10, [&] { world.loop.stop(); });
    world.loop.run();
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
  world.machine.runs.emplace(TaskKey{.alloc_id = "old", .task = "srv", .run = 4}, Machine::Run{});
  world.start_agent();
  world.link.say({make_alloc("a")});
  world.until([&] {
    return world.machine.runs.size() == 1 && world.status("a") == ClientStatus::kRunning;
  });
  EXPECT(world.machine.runs.contains(TaskKey{.alloc_id = "a", .task = "srv", .run = 1}));
}

}  // namespace sluice::orchestrator
