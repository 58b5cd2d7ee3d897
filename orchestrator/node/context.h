// What the parts of a node share: its world, its facts, its drivers and its catalog.
// Owner: the NodeAgent; outlives the runners. Thread: the control loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/cpu_list.h"
#include "core/env.h"
#include "core/log.h"
#include "core/tls/context.h"
#include "orchestrator/catalog.h"
#include "orchestrator/drain.h"
#include "orchestrator/driver.h"
#include "orchestrator/metrics.h"
#include "orchestrator/node/fingerprint.h"
#include "orchestrator/node/gc_limits.h"
#include "orchestrator/records.h"

namespace sluice::orchestrator {

struct NodeOptions {
  std::string data_folder;  // absolute; client state in <data_folder>/client, tasks in .../alloc
  std::string region = "global";
  int64_t drain_timeout_ms = 30'000;  // a stopping task waits this long for its requests to finish
  int64_t driver_retry_ms = 1'000;    // first wait where a driver does not answer; doubles
  int64_t driver_retry_max_ms = 15'000;
  int64_t fingerprint_interval_ms = 5'000;
  int64_t mend_interval_ms = 30'000;
  /// So long after a start a service that a running task's template names may still be missing:
  /// its checks are asked anew.
  int64_t services_come_ms = 5'000;
  GcLimits gc;
  CpuList reservable_cores;  // those that tasks may have for themselves; empty: all
  CpuList reserved_cores;    // those on which no task runs
  Metrics* metrics = nullptr;
  /// What the machine is: as fingerprint_host, which the simulation replaces.
  std::function<Result<void>(const std::string& data_folder, const std::string& ip, Node& node)>
      host_facts = fingerprint_host;
};

using DriverMap = std::map<std::string, std::unique_ptr<TaskDriver>>;

struct NodeContext {
  Env env;
  Log& log;
  Catalog& catalog;
  Drainer* drainer;  // null: no balancer in this process
  NodeOptions options;
  /// Whom https servers must be signed by; null: nobody is asked by https.
  std::shared_ptr<const tls::ClientContext> tls;
  std::string cluster_id;  // empty until the first registration
  Node node;
  DriverMap drivers;
  std::string all_cpus;     // of this machine, as far as this process may use them
  std::string shared_cpus;  // where tasks without cores of their own run; "": all
  std::map<std::string, ServiceSnapshot> services;  // as the catalog has them now
  bool services_told = false;                       // it has said a first word of them

  TaskDriver* driver(const std::string& name) {
    const auto found = drivers.find(name);
    return found == drivers.end() ? nullptr : found->second.get();
  }
};

}  // namespace sluice::orchestrator
