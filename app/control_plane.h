// ControlPlane: the orchestrator's half of an agent: server, node with its drivers, catalog, jobs
// API. It stands on the data folder, which one process has at a time; the balancer stands beside it
// and goes on serving while a control plane ends and another, in this process or in a successor,
// starts.
//
// Owner: Agent. Thread: the control loop. Destroying it cancels its work: the tasks that it looks
// after run on, for the next one to take over; work that is on the pool may end later
// (UvLoop::when_pool_idle).
#pragma once

#include <memory>
#include <string>

#include "app/agent_config.h"
#include "app/balancer.h"
#include "app/data_folder.h"
#include "core/env.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/result.h"
#include "core/scope.h"
#include "core/task.h"
#include "core/uv_network.h"

namespace sluice {

/// What it stands on; outlives it.
struct ControlPlaneBase {
  const AgentConfig& config;
  const Properties& properties;  // of the balancer
  Log& log;
  UvLoop& loop;
  UvNetwork& network;
  Env& env;
  const DataFolder& folder;
  Balancer* balancer = nullptr;  // null: there is none
  Event& predecessor_gone;       // set also where there is none
};

class ControlPlane {
 public:
  explicit ControlPlane(const ControlPlaneBase& on);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;

  /// Binds its ports: before anything is written, so that one in use changes nothing.
  Result<void> listen();
  /// Reads the state and begins: from here on jobs are looked after and calls are answered.
  Task<Result<void>> start();
  /// Every call that is not a long wait has its answer, or `limit_ms` has passed.
  Task<void> finish_calls(int64_t limit_ms);
  /// SIGHUP: reads the API's certificates again, which may be other files by now. Where anything is
  /// wrong with them, the log says so and those that it has stay.
  void reload_certificates(const ApiTls& files);
  /// What the catalog has not said by now of the routes that were inherited has ended meanwhile.
  void forget_inherited_routes();
  /// For -dev: ends all tasks and forgets them.
  Task<void> stop_tasks();

  /// Where a node's state is, and a server's.
  static std::string client_folder(const DataFolder& folder) { return folder.path() + "/client"; }
  static std::string server_folder(const DataFolder& folder) { return folder.path() + "/server"; }

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice
