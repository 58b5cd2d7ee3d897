// A simulated cluster: one server over a store, and nodes, in virtual time from one seed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/env.h"
#include "core/log.h"
#include "orchestrator/server.h"
#include "test/sim/sim_executor.h"
#include "test/sim/sim_node.h"

namespace sluice::sim {

/// No network: the direct link needs none.
class NoNetwork final : public Network {
 public:
  Task<Result<std::unique_ptr<Stream>>> connect(Address, int64_t) override {
    co_return fail(Code::kUnsupported, "no network in this simulation");
  }
  Result<std::unique_ptr<Listener>> listen(const Address&) override {
    return fail(Code::kUnsupported, "no network in this simulation");
  }
  Result<std::unique_ptr<Datagrams>> open_datagrams(const Address&) override {
    return fail(Code::kUnsupported, "no network in this simulation");
  }
};

orchestrator::Node make_node(int number);
/// A canonical service job of one group and one task.
orchestrator::Job make_job(const std::string& id, int64_t count);

class Cluster {
 public:
  explicit Cluster(uint64_t seed, orchestrator::Store* store = nullptr);
  ~Cluster();

  /// Starts the server; nodes are connected once it is up.
  void start();
  /// The server's process is gone from one turn to the next; nodes go on.
  void crash();
  SimNode& add_node(SimNodeOptions options = {});
  /// Runs a task of the server's to its end.
  template <class T>
  T await(Task<T> task) {
    std::optional<T> out;
    auto run = [](Task<T> inner, std::optional<T>& into) -> Task<void> {
      into.emplace(co_await inner);
    };
    Scope scope(executor);
    scope.spawn(run(std::move(task), out));
    executor.run_until([&] { return out.has_value(); });
    CHECK(out);
    return std::move(*out);
  }
  orchestrator::RegisterReply run_job(orchestrator::Job job);
  /// Runs until no evaluation is pending and every live allocation runs.
  bool settle(int64_t limit_ms = 300'000);
  std::vector<orchestrator::AllocPtr> live(const std::string& job_id);
  orchestrator::Snapshot snapshot() { return server->snapshot(); }

  SeededRandom random;
  SimExecutor executor;
  NoNetwork network;
  PosixDisk disk;
  Log log;
  orchestrator::MemoryStore memory;
  orchestrator::Store& store;
  orchestrator::ServerOptions options;
  std::unique_ptr<orchestrator::Server> server;
  std::vector<std::unique_ptr<SimNode>> nodes;

 private:
  std::unique_ptr<Scope> server_scope_;
};

}  // namespace sluice::sim
