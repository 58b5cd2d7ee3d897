#include "test/sim/sim_machine.h"

#include <fcntl.h>

#include <utility>

namespace sluice::sim {

using namespace orchestrator;

namespace {

constexpr int64_t kPollMs = 5;

/// Processes that outlive the agent, as the drivers' own do.
class SimDriver final : public TaskDriver {
 public:
  SimDriver(SimProcesses& processes, Executor& executor, Random& random)
      : processes_(processes), executor_(executor), random_(random) {}

  std::string_view name() const override { return "sim"; }
  sluice::Task<DriverHealth> fingerprint() override {
    co_return DriverHealth{.detected = true, .healthy = true, .description = {}, .attributes = {}};
  }
  Result<void> validate(const Json&) const override { return {}; }
  sluice::Task<Result<TaskHandle>> start(const TaskSpec& spec, TaskEvents) override {
    const TaskSpec kept = spec;
    co_await delay();
    if (!processes_.all.contains(kept.key)) processes_.start(kept);
    co_await delay();
    co_return TaskHandle{.key = kept.key, .driver = "sim", .state = Json("s")};
  }
  sluice::Task<Result<void>> recover(const TaskHandle& handle, const TaskSpec&) override {
    if (!processes_.all.contains(handle.key)) co_return fail(Code::kNotFound, "nothing is left");
    ++processes_.takeovers;
    co_return Result<void>();
  }
  sluice::Task<Result<TaskExit>> wait(const TaskHandle& handle) override {
    for (const TaskKey key = handle.key;;) {
      const auto found = processes_.all.find(key);
      if (found == processes_.all.end()) co_return fail(Code::kNotFound, "nothing is left");
      if (!found->second.running) co_return found->second.exit;
      co_await sleep_for(executor_, kPollMs);
    }
  }
  sluice::Task<Result<void>> stop(const TaskHandle& handle, const std::string&, int64_t) override {
    const TaskKey key = handle.key;
    co_await delay();
    const auto found = processes_.all.find(key);
    if (found != processes_.all.end() && found->second.running) {
      ++processes_.stops;
      processes_.end(key, 0, 15);
    }
    co_return Result<void>();
  }
  sluice::Task<Result<void>> signal(const TaskHandle&, const std::string&) override {
    co_return Result<void>();
  }
  sluice::Task<Result<void>> remove(const TaskHandle& handle) override {
    processes_.all.erase(handle.key);
    co_return Result<void>();
  }
  sluice::Task<Result<std::vector<FoundTask>>> list() override {
    std::vector<FoundTask> found;
    for (const auto& [key, process] : processes_.all) {
      found.push_back({.handle = {.key = key, .driver = "sim", .state = Json("s")},
                       .running = process.running});
    }
    co_return found;
  }
  sluice::Task<Result<TaskStats>> stats(const TaskHandle&) override { co_return TaskStats{}; }
  sluice::Task<Result<TaskNetwork>> network(const TaskHandle&) override { co_return TaskNetwork(); }

 private:
  sleep_for delay() { return {executor_, static_cast<int64_t>(random_.below(4))}; }

  SimProcesses& processes_;
  Executor& executor_;
  Random& random_;
};

sluice::Task<void> say_hello(const HttpServerRequest&, HttpResponseWriter& writer) {
  (void)co_await writer.respond(200, "text/plain", "hello\n");
}

Result<void> sim_facts(const std::string&, const std::string&, Node& node) {
  node.name = "sim";
  node.ip = "10.0.0.1";
  node.cpu_mhz = 4000;
  node.cpu_cores = 4;
  node.cores = {0, 1, 2, 3};
  node.memory_mb = 8192;
  node.disk_mb = 100'000;
  node.attributes = {{"kernel.name", "linux"}};
  return {};
}

}  // namespace

void SimProcesses::start(const TaskSpec& spec) {
  for (const auto& [key, process] : all) {
    const bool same = key.alloc_id == spec.key.alloc_id && key.task == spec.key.task;
    if (same && process.running) ++doubled;
  }
  ++starts;
  Process& process = all[spec.key];
  if (spec.ports.empty()) return;
  auto listener =
      network_.listen(Address{.ip = spec.ports[0].host_ip, .port = spec.ports[0].host_port});
  CHECK(listener);  // the scheduler gave this port to nobody else
  process.server = std::make_unique<HttpServer>(executor_, std::move(*listener), say_hello);
  process.scope = std::make_unique<Scope>(executor_);
  process.scope->spawn(process.server->run());
}

void SimProcesses::end(const TaskKey& key, int64_t exit_code, int64_t signal) {
  Process& process = all.at(key);
  process.running = false;
  process.exit.exit_code = exit_code;
  process.exit.signal = signal;
  process.exit.finished_at_ns = executor_.wall_ns();
  process.scope.reset();
  process.server.reset();
}

size_t SimProcesses::running() const {
  size_t count = 0;
  for (const auto& [key, process] : all) count += process.running ? 1 : 0;
  return count;
}

sluice::Task<Result<Snapshot>> SimStore::load() {
  State state;
  for (const Commit& commit : log_.commits) {
    Commit copy = commit;
    state.replay(copy);
  }
  co_return state.snapshot();
}

sluice::Task<Result<void>> SimStore::append(std::vector<std::shared_ptr<const Commit>> commits) {
  co_await sleep_for(executor_, static_cast<int64_t>(random_.below(4)));
  for (const auto& commit : commits) log_.commits.push_back(*commit);
  co_await sleep_for(executor_, static_cast<int64_t>(random_.below(4)));
  co_return Result<void>();
}

size_t SimRoutes::healthy() const {
  size_t count = 0;
  for (const auto& [key, edit] : by_key) {
    for (const proxy::RouteSpec& route : edit.routes) count += route.healthy ? 1 : 0;
  }
  return count;
}

SimMachine::Agent::Agent(SimMachine& machine, SimDisk& disk)
    : env{machine.executor, machine.network, disk, machine.random},
      store(machine.durable, machine.executor, machine.random),
      server(std::make_unique<Server>(env, machine.log_, store, ServerOptions{.drivers = {"sim"}})),
      catalog(env, machine.log_),
      route_source(machine.executor, routes, "urlprefix-"),
      scope(machine.executor) {
  catalog.watch(
      [this](std::vector<ServiceSnapshot> changed) { route_source.apply(std::move(changed)); });
  DriverMap drivers;
  drivers.emplace("sim",
                  std::make_unique<SimDriver>(machine.processes, machine.executor, machine.random));
  node = std::make_unique<NodeAgent>(
      NodeContext{.env = env,
                  .log = machine.log_,
                  .catalog = catalog,
                  .drainer = &route_source,
                  .options = {.data_folder = "/data", .host_facts = sim_facts},
                  .cluster_id = {},
                  .node = {},
                  .drivers = std::move(drivers)},
      server->node_link());
  scope.spawn(run());
}

/// In the order of agent.cc.
sluice::Task<void> SimMachine::Agent::run() {
  Result<void> started = co_await server->start();
  CHECK(started);
  started = co_await node->start();
  CHECK(started);
  up = true;
  scope.spawn(server->run());
  scope.spawn(catalog.run());
  scope.spawn(node->run());
}

SimMachine::SimMachine(uint64_t seed)
    : random(seed),
      executor(random),
      network(executor, random),
      processes(executor, network),
      log_(::open("/dev/null", O_WRONLY | O_CLOEXEC)) {
  log_.set_level(LogLevel::kError);
}

void SimMachine::start_agent() {
  disks_.push_back(std::make_unique<SimDisk>(files));
  agent_ = std::make_unique<Agent>(*this, *disks_.back());
}

void SimMachine::crash() {
  if (!agent_) return;
  disks_.back()->cut_off();
  agent_->scope.cancel_all();
  agent_.reset();
}

void SimMachine::submit(Job job, bool& acknowledged) {
  auto send = [](Agent& agent, Job what, bool& done) -> sluice::Task<void> {
    while (!agent.up) co_await sleep_for(agent.env.executor, kPollMs);
    RegisterRequest request;
    request.job = std::move(what);
    auto reply = co_await agent.server->register_job(std::move(request));
    CHECK(reply);
    done = true;
  };
  agent_->scope.spawn(send(*agent_, std::move(job), acknowledged));
}

std::vector<AllocPtr> SimMachine::live(const std::string& job_id) {
  std::vector<AllocPtr> out;
  if (const auto index = server().snapshot().of_job("default", job_id)) {
    index->allocs.each([&](const AllocPtr& alloc) {
      if (!alloc->terminal()) out.push_back(alloc);
    });
  }
  return out;
}

}  // namespace sluice::sim
