// SimMachine: one machine in virtual time: its disk, its network, its processes, and an agent whose
// server, node and catalog are the real ones, over the seams alone. The agent crashes between any
// two turns; the rest stays.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/http_server.h"
#include "core/log.h"
#include "drivers/embedded/catalog.h"
#include "orchestrator/node/node_agent.h"
#include "orchestrator/route_source.h"
#include "orchestrator/server.h"
#include "test/sim/sim_disk.h"
#include "test/sim/sim_executor.h"
#include "test/sim/sim_network.h"

namespace sluice::sim {

/// The machine's task processes. Each answers HTTP on its first port while it runs.
class SimProcesses {
 public:
  struct Process {
    bool running = true;
    orchestrator::TaskExit exit;
    std::unique_ptr<HttpServer> server;
    std::unique_ptr<Scope> scope;
  };

  SimProcesses(Executor& executor, SimNetwork& network) : executor_(executor), network_(network) {}
  void start(const orchestrator::TaskSpec& spec);
  void end(const orchestrator::TaskKey& key, int64_t exit_code, int64_t signal);
  size_t running() const;

  std::map<orchestrator::TaskKey, Process> all;
  uint64_t starts = 0;
  uint64_t stops = 0;  // by order of an agent
  uint64_t takeovers = 0;
  uint64_t doubled = 0;  // a task started while it ran: never

 private:
  Executor& executor_;
  SimNetwork& network_;
};

/// Commits that are durable once their time has passed. A crash before loses them, one between that
/// and the acknowledgement keeps them.
class SimStore final : public orchestrator::Store {
 public:
  struct Log {
    std::vector<orchestrator::Commit> commits;
  };
  SimStore(Log& log, Executor& executor, Random& random)
      : log_(log), executor_(executor), random_(random) {}

  std::string_view name() const override { return "simulated"; }
  Task<Result<orchestrator::Snapshot>> load() override;
  Task<Result<void>> append(
      std::vector<std::shared_ptr<const orchestrator::Commit>> commits) override;
  bool wants_checkpoint() const override { return false; }
  Task<Result<void>> checkpoint(orchestrator::Snapshot) override { co_return Result<void>(); }

 private:
  Log& log_;
  Executor& executor_;
  Random& random_;
};

/// Keeps the newest edit of each service, as a balancer would.
class SimRoutes final : public proxy::RouteSink {
 public:
  uint64_t apply(std::vector<proxy::RouteEdit> edits) override {
    for (proxy::RouteEdit& edit : edits) by_key[edit.key] = std::move(edit);
    return ++version_;
  }
  void when_drained(std::vector<std::string>, uint64_t,
                    std::move_only_function<void()> done) override {
    done();
  }
  std::vector<proxy::RejectedRoute> rejected() const override { return {}; }
  size_t healthy() const;

  std::map<std::string, proxy::RouteEdit> by_key;

 private:
  uint64_t version_ = 0;
};

class SimMachine {
 public:
  explicit SimMachine(uint64_t seed);
  ~SimMachine() { crash(); }

  void start_agent();
  /// The agent's process is gone from one turn to the next.
  void crash();
  bool has_agent() const { return agent_ != nullptr; }
  orchestrator::Server& server() { return *agent_->server; }
  SimRoutes& routes() { return agent_->routes; }

  /// Registers the job; false if the agent was not there to say that it is durable.
  void submit(orchestrator::Job job, bool& acknowledged);
  std::vector<orchestrator::AllocPtr> live(const std::string& job_id);

  SeededRandom random;
  SimExecutor executor;
  SimNetwork network;
  SimFiles files;
  SimStore::Log durable;
  SimProcesses processes;

 private:
  /// All that dies in a crash, in the order in which it is made.
  struct Agent {
    Agent(SimMachine& machine, SimDisk& disk);
    Task<void> run();

    Env env;
    SimStore store;
    SimRoutes routes;
    std::unique_ptr<orchestrator::Server> server;
    drivers::EmbeddedCatalog catalog;
    orchestrator::RouteSource route_source;
    std::unique_ptr<orchestrator::NodeAgent> node;
    bool up = false;
    Scope scope;
  };

  Log log_;
  std::vector<std::unique_ptr<SimDisk>>
      disks_;  // of the dead ones too: their pools may still write
  std::unique_ptr<Agent> agent_;
};

}  // namespace sluice::sim
