// A node's world as plain data: a machine whose runs outlive the agent, a driver over it, a catalog
// and a server's side of the link; and World, one agent in it that can die and come back.
#pragma once

#include <fcntl.h>
#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/uv_network.h"
#include "orchestrator/node/node_agent.h"
#include "test/run_loop.h"
#include "test/test.h"

namespace sluice::orchestrator::test {

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
  TaskNetwork network;       // of every run
  std::string silent_after;  // "start", "remove": it is done, and the answer never comes
  int refused_stops = 0;     // of what is started from now on: it is still starting
  bool hold_stops = false;   // stop() waits
  int stops_asked = 0;
  std::vector<std::string> signals;  // of each stop, as they were said at its end

  void say(const char* what, const TaskKey& key) {
    log.push_back(std::string(what) + " " + key.task + "#" + std::to_string(key.run));
  }
};

class FakeDriver final : public TaskDriver {
 public:
  FakeDriver(Machine& machine, Executor& executor, std::string name = "fake")
      : machine_(machine), executor_(executor), name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
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
    co_return TaskHandle{.key = spec.key, .driver = name_, .state = Json("s")};
  }
  Task<Result<void>> recover(const TaskHandle& handle, const TaskSpec&) override {
    if (!machine_.available) co_return fail(Code::kUnavailable, "the fake socket is missing");
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
  Task<Result<void>> stop(const TaskHandle& handle, const std::string& kill_signal,
                          int64_t) override {
    ++machine_.stops_asked;
    while (machine_.hold_stops) co_await sleep_for(executor_, 1);
    machine_.signals.push_back(kill_signal);
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
    if (!machine_.available) co_return fail(Code::kUnavailable, "the fake socket is missing");
    std::vector<FoundTask> found;
    for (const auto& [key, run] : machine_.runs) {
      found.push_back(
          {.handle = {.key = key, .driver = name_, .state = Json("s")}, .running = run.running});
    }
    co_return found;
  }
  Task<Result<TaskStats>> stats(const TaskHandle&) override { co_return TaskStats{}; }
  Task<Result<TaskNetwork>> network(const TaskHandle&) override { co_return machine_.network; }

 private:
  Task<void> answer(std::string_view what) {
    if (machine_.silent_after != what) co_return;
    for (;;) co_await sleep_for(executor_, kHourNs / 1'000'000);
  }

  Machine& machine_;
  Executor& executor_;
  std::string name_;
};

class FakeCatalog final : public Catalog {
 public:
  std::vector<ServiceRegistration> registered;
  std::string_view name() const override { return "fake"; }
  std::move_only_function<void(const CheckState&)> tell;
  int published = 0;
  void set_registrations(std::string, std::vector<ServiceRegistration> desired) override {
    ++published;
    registered = std::move(desired);
  }
  std::move_only_function<void(std::vector<ServiceSnapshot>)> tell_services;
  void watch(std::move_only_function<void(std::vector<ServiceSnapshot>)> on_change) override {
    tell_services = std::move(on_change);
  }
  void on_check(std::move_only_function<void(const CheckState&)> on_change) override {
    tell = std::move(on_change);
  }
  std::vector<std::string_view> check_kinds() const override { return {"http"}; }
  void report(CheckState result) override { reported.push_back(std::move(result)); }
  Task<Result<KeyValue>> read_key(std::string key, uint64_t after_index, int64_t) override {
    while (keys_index <= after_index) co_await keys_changed.wait();
    KeyValue found{.value = {}, .index = keys_index};
    if (const auto at = keys.find(key); at != keys.end()) found.value = at->second;
    co_return found;
  }
  Task<Result<KeyList>> list_keys(std::string prefix, uint64_t after_index, int64_t) override {
    while (keys_index <= after_index) co_await keys_changed.wait();
    KeyList list{.values = {}, .index = keys_index};
    for (const auto& [key, value] : keys) {
      if (key.starts_with(prefix)) list.values[key] = value;
    }
    co_return list;
  }
  Task<void> run() override { co_return; }

  explicit FakeCatalog(Executor& executor) : keys_changed(executor) {}
  void set_key(const std::string& key, const std::string& value) {
    keys[key] = value;
    ++keys_index;
    keys_changed.pulse();
  }
  std::vector<CheckState> reported;
  std::map<std::string, std::string> keys;
  uint64_t keys_index = 1;
  Event keys_changed;
};

/// Ready when the test says so.
class FakeDrainer final : public Drainer {
 public:
  explicit FakeDrainer(Executor& executor) : ready(executor) {}
  Task<void> drain(std::vector<std::string> instances) override {
    draining.insert(draining.end(), instances.begin(), instances.end());
    co_await ready.wait();
  }
  std::set<std::string> instances_of(std::string_view prefix) override {
    std::set<std::string> found;
    for (const std::string& id : known) {
      if (id.starts_with(prefix)) found.insert(id);
    }
    return found;
  }
  void forget(const std::vector<std::string>& instances) override {
    forgotten.insert(forgotten.end(), instances.begin(), instances.end());
  }
  void resume(const std::vector<std::string>& instances) override {
    resumed.insert(resumed.end(), instances.begin(), instances.end());
  }
  std::vector<std::string> draining, forgotten, resumed;
  std::vector<std::string> known;  // of the agent's last life
  Event ready;
};

class FakeLink final : public NodeLink {
 public:
  explicit FakeLink(Executor& executor) : news(executor) {}
  Task<Result<NodeRegistration>> register_node(Node, NodeMemory remembered) override {
    memory = std::move(remembered);
    ++registered;
    if (refusal) co_return std::unexpected(*refusal);
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
  NodeMemory memory;
  std::optional<Error> refusal;
  int registered = 0;
  int fetched = 0;
  Event news;
};

inline AllocPtr make_alloc(const std::string& id, uint64_t version = 1,
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

/// The same with a service and one check.
inline std::shared_ptr<Job> with_service(const Allocation& alloc) {
  auto job = std::make_shared<Job>(*alloc.job);
  Service service;
  service.name = "web";
  service.port_label = "8080";
  service.address_mode = "host";
  Check check;
  check.name = "alive";
  check.type = "http";
  check.path = "/";
  check.interval_ns = 20'000'000;
  check.timeout_ns = kSecondNs;
  service.checks = {check};
  job->groups[0].tasks[0].services = {service};
  return job;
}

/// The real one, counting what is asked of it; pool threads ask too.
class CountingDisk final : public Disk {
 public:
  Result<std::string> read_file(const std::string& path, size_t limit_bytes) override {
    ++reads;
    return real_.read_file(path, limit_bytes);
  }
  Result<void> write_file(const std::string& path, std::string_view content,
                          uint32_t mode) override {
    ++writes;
    return real_.write_file(path, content, mode);
  }
  Result<void> make_folders(const std::string& path, uint32_t mode) override {
    ++folders;
    return real_.make_folders(path, mode);
  }
  Result<void> remove_tree(const std::string& path) override { return real_.remove_tree(path); }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return real_.list(path);
  }
  bool exists(const std::string& path) override { return real_.exists(path); }
  Result<DiskSpace> space(const std::string&) override {
    ++looks;
    return space_now();
  }

  std::function<Result<DiskSpace>()> space_now = [] { return DiskSpace(); };
  std::atomic<int> reads = 0, writes = 0, folders = 0, looks = 0;

 private:
  PosixDisk real_;
};

/// A machine with one agent on it, which can die and come back.
struct World {
  /// Goes after the loop, which first waits for what its pool still writes there.
  struct Folder {
    std::string path = (std::filesystem::temp_directory_path() / "sluice-XXXXXX").string();
    Folder() { REQUIRE(mkdtemp(path.data()) != nullptr); }
    ~Folder() { std::filesystem::remove_all(path); }
  };

  Folder own_folder;
  const std::string& folder = own_folder.path;
  UvLoop loop;
  UvNetwork network{loop};
  CountingDisk disk;
  SeededRandom random{1};
  Log log{open_null()};
  Processes* processes = nullptr;
  Machine machine, other_machine;
  FakeCatalog catalog{loop};
  FakeDrainer drainer{loop};
  FakeLink link{loop};
  std::unique_ptr<NodeAgent> agent;
  std::unique_ptr<Scope> scope;
  int64_t mend_interval_ms = 30'000;
  int64_t services_come_ms = 60'000;
  GcLimits gc;

  static int open_null() { return ::open("/dev/null", O_WRONLY | O_CLOEXEC); }

  ~World() { kill_agent(); }

  void start_agent() {
    DriverMap drivers;
    drivers.emplace("fake", std::make_unique<FakeDriver>(machine, loop));
    drivers.emplace("other", std::make_unique<FakeDriver>(other_machine, loop, "other"));
    NodeOptions options{.data_folder = folder,
                        .driver_retry_ms = 1,
                        .mend_interval_ms = mend_interval_ms,
                        .services_come_ms = services_come_ms,
                        .gc = gc};
    agent = std::make_unique<NodeAgent>(NodeContext{.env = {loop, network, disk, random, processes},
                                                    .log = log,
                                                    .catalog = catalog,
                                                    .drainer = &drainer,
                                                    .options = std::move(options),
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
  /// Runs the loop until the condition holds.
  void until(const std::function<bool()>& condition) {
    auto watch = [](World& world, const std::function<bool()>& done) -> Task<void> {
      while (!done()) co_await sleep_for(world.loop, 1);
      world.loop.stop();
    };
    Scope watcher(loop);
    watcher.spawn(watch(*this, condition));
    sluice::test::run_until_stopped(loop);
  }
  /// Lets what is posted and due run.
  void settle(int64_t ms = 20) {
    loop.post_after(ms, [&] { loop.stop(); });
    sluice::test::run_until_stopped(loop);
  }
  ClientStatus status(const std::string& id) { return link.reports[id].client_status; }
};

using Lines = std::vector<std::string>;

}  // namespace sluice::orchestrator::test
