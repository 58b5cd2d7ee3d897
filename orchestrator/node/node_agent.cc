#include "orchestrator/node/node_agent.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "orchestrator/node/pulse.h"
#include "orchestrator/node/services.h"
#include "orchestrator/state.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kFetchWaitMs = 60'000;
constexpr int64_t kFirstRetryMs = 250;
constexpr int64_t kLastRetryMs = 15'000;

}  // namespace

NodeAgent::NodeAgent(NodeContext context, NodeLink& link)
    : context_(std::move(context)),
      link_(link),
      disk_(context_.env, context_.options.data_folder + "/client"),
      registered_(context_.env.executor),
      recovered_(context_.env.executor),
      report_wanted_(context_.env.executor),
      publish_wanted_(context_.env.executor),
      register_wanted_(context_.env.executor),
      listed_(context_.env.executor),
      removal_wanted_(context_.env.executor),
      runner_scope_(context_.env.executor),
      loops_(context_.env.executor) {}

AllocRunner* NodeAgent::find(const std::string& alloc_id) {
  const auto found = runners_.find(alloc_id);
  return found == runners_.end() ? nullptr : found->second.get();
}

Task<Result<void>> NodeAgent::start() {
  Result<std::string> id = disk_.load_node_id();
  if (!id) co_return pass(id);
  context_.node.id = *id;
  Result<LocalCluster> cluster = disk_.load_cluster();
  if (!cluster) co_return pass(cluster);
  cluster_ = *cluster;
  context_.cluster_id = cluster_.cluster_id;
  Result<std::map<std::string, LocalAlloc>> allocs = disk_.load_allocs();
  if (!allocs) co_return pass(allocs);
  restored_ = std::move(*allocs);
  memory_ = {.cluster_id = cluster_.cluster_id,
             .term = cluster_.term,
             .index = cluster_.index,
             .allocs = static_cast<size_t>(std::ranges::count_if(
                 restored_, [](const auto& item) { return !item.second.over(); }))};
  Result<void> host =
      context_.options.host_facts(context_.options.data_folder, context_.node.ip, context_.node);
  if (!host) co_return host;
  if (Result<void> set = set_aside_cores(); !set) co_return set;
  co_await fingerprint_drivers();
  context_.catalog.on_check([this](const CheckState& check) {
    for (const auto& [alloc_id, runner] : runners_) runner->on_check(check);
  });
  context_.catalog.watch([this](std::vector<ServiceSnapshot> changed) {
    context_.services_told = true;
    for (ServiceSnapshot& snapshot : changed) {
      const std::string name = snapshot.service;
      if (snapshot.instances.empty()) {
        context_.services.erase(name);
      } else {
        context_.services[name] = std::move(snapshot);
      }
      for (const auto& [alloc_id, runner] : runners_) {
        for (const auto& task : runner->tasks()) task->service_changed(name);
      }
    }
  });
  co_return Result<void>();
}

Task<void> NodeAgent::run() {
  loops_.spawn(report_loop());
  loops_.spawn(publish_loop());
  loops_.spawn(heartbeat_loop());
  loops_.spawn(fetch_loop());
  loops_.spawn(fingerprint_loop());
  loops_.spawn(mend_loop());
  loops_.spawn(removal_loop());
  loops_.spawn(disk_loop());
  co_await loops_.join();
}

/// True: what the drivers say of themselves has changed.
Task<bool> NodeAgent::fingerprint_drivers() {
  bool differs = false;
  for (const auto& [name, driver] : context_.drivers) {
    DriverHealth health = co_await driver->fingerprint();
    NodeDriver& known = context_.node.drivers[name];
    if (known.detected == health.detected && known.healthy == health.healthy &&
        known.description == health.description && known.attributes == health.attributes &&
        known.update_time.ns != 0) {
      continue;
    }
    if (known.update_time.ns != 0 && known.healthy != health.healthy) {
      context_.log.info("driver {}: {}", name,
                        health.healthy ? "is healthy again" : health.description);
    }
    differs = true;
    known = NodeDriver{.detected = health.detected,
                       .healthy = health.healthy,
                       .description = health.description,
                       .attributes = health.attributes,
                       .update_time = TimeStamp{context_.env.executor.wall_ns()}};
    for (const auto& [key, value] : health.attributes) context_.node.attributes[key] = value;
    if (health.detected) {
      context_.node.attributes["driver." + name] = "1";
    } else {
      context_.node.attributes.erase("driver." + name);
    }
  }
  co_return differs;
}

Task<void> NodeAgent::fingerprint_loop() {
  for (;;) {
    co_await sleep_for(context_.env.executor, context_.options.fingerprint_interval_ms);
    if (co_await fingerprint_drivers()) register_wanted_.set();
  }
}

/// The first cluster seen is ours; another one orders nothing until the operator says so.
bool NodeAgent::accept_cluster(const std::string& cluster_id) {
  if (cluster_id.empty()) return false;
  if (cluster_.cluster_id.empty()) {
    cluster_.cluster_id = cluster_id;
    context_.cluster_id = cluster_id;
    Result<void> saved = disk_.save_cluster(cluster_);
    if (!saved) context_.log.error("{}", saved.error().message);
    return true;
  }
  if (cluster_.cluster_id == cluster_id) return true;
  if (!std::exchange(foreign_cluster_said_, true)) {
    context_.log.error(
        "the server is of cluster {}, this node of {}: nothing is changed here. If that is meant, "
        "run `sluice operator recover`",
        cluster_id, cluster_.cluster_id);
  }
  return false;
}

Task<void> NodeAgent::register_until_done() {
  int64_t retry_ms = kFirstRetryMs;
  for (;;) {
    Result<NodeRegistration> registration = co_await link_.register_node(context_.node, memory_);
    if (registration && accept_cluster(registration->cluster_id)) {
      heartbeat_ttl_ms_ = registration->heartbeat_ttl_ms;
      registered_.set();
      co_return;
    }
    if (!registration && registration.error().code != Code::kConflict) {
      context_.log.warn("register: {}", registration.error().message);
    } else if (!registration && !std::exchange(refusal_said_, true)) {
      context_.log.error("{}", registration.error().message);
    }
    co_await pulse_within(context_.env.executor, retry_ms, recovered_);
    retry_ms = std::min(retry_ms * 2, kLastRetryMs);
  }
}

Task<void> NodeAgent::heartbeat_loop() {
  co_await register_until_done();
  for (;;) {
    auto pause = [](Executor& executor, int64_t ms) -> Task<bool> {
      co_await sleep_for(executor, ms);
      co_return true;
    };
    co_await until(context_.env.executor,
                   pause(context_.env.executor, std::max<int64_t>(heartbeat_ttl_ms_ / 2, 100)),
                   register_wanted_);
    if (register_wanted_.is_set()) {
      register_wanted_.clear();
      co_await register_until_done();
      continue;
    }
    Result<Heartbeat> beat = co_await link_.heartbeat(context_.node.id);
    if (!beat) {
      context_.log.warn("heartbeat: {}", beat.error().message);
      continue;
    }
    heartbeat_ttl_ms_ = beat->heartbeat_ttl_ms;
    if (beat->register_again) register_wanted_.set();
  }
}

Task<void> NodeAgent::fetch_loop() {
  co_await registered_.wait();
  int64_t retry_ms = kFirstRetryMs;
  for (;;) {
    Result<DesiredAllocs> desired =
        co_await link_.fetch_allocs(context_.node.id, fetch_index_, kFetchWaitMs);
    if (!desired) {
      context_.log.warn("fetch allocations: {}", desired.error().message);
      co_await sleep_for(context_.env.executor, retry_ms);
      retry_ms = std::min(retry_ms * 2, kLastRetryMs);
      continue;
    }
    retry_ms = kFirstRetryMs;
    fetch_index_ = desired->index;
    if (accept_cluster(desired->cluster_id)) apply(*desired);
  }
}

void NodeAgent::apply(const DesiredAllocs& desired) {
  std::set<std::string> listed;
  for (const AllocPtr& alloc : desired.allocs) {
    listed.insert(alloc->id);
    absent_.erase(alloc->id);
    apply_alloc(alloc);
  }
  publish_wanted_.set();  // an update in place may change services alone
  const bool newer =
      std::pair(desired.term, desired.index) >= std::pair(cluster_.term, cluster_.index);
  if (desired.complete && newer) {
    stop_absent(listed);
    cluster_.term = desired.term;
    cluster_.index = desired.index;
    Result<void> saved = disk_.save_cluster(cluster_);
    if (!saved) context_.log.error("{}", saved.error().message);
    listed_.set();
  }
  sweep();
  share_cores();
  collect();
}

void NodeAgent::apply_alloc(const AllocPtr& alloc) {
  orphans_.erase(alloc->id);
  if (settle(*alloc)) return;
  const auto found = runners_.find(alloc->id);
  if (found != runners_.end()) {
    AllocRunner& runner = *found->second;
    if (runner.alloc().alloc_modify_index != alloc->alloc_modify_index) runner.update(alloc);
    return;
  }
  if (stopping_) return;  // the server has others made in place of those that end now
  LocalAlloc local;
  const auto restored = restored_.find(alloc->id);
  const bool known_here = restored != restored_.end();
  if (known_here) {
    local = std::move(restored->second);
    restored_.erase(restored);
  }
  if (!known_here && alloc->terminal()) {
    // Told to stop what this node does not have: the server may forget it.
    if (!alloc->client_terminal()) {
      gone_[alloc->id] = AllocUpdate{.alloc_id = alloc->id,
                                     .client_status = ClientStatus::kComplete,
                                     .client_description = "not on this node",
                                     .task_states = alloc->task_states,
                                     .healthy = {},
                                     .deployment_id = {},
                                     .busy_ports = {}};
      report_wanted_.set();
    }
    return;
  }
  auto runner = std::make_unique<AllocRunner>(
      context_, disk_, alloc, std::move(local),
      AllocRunner::Hooks{.changed = [this](const std::string& id) { changed(id); },
                         .ports_held = [this](const Allocation& one) { return ports_held(one); }});
  AllocRunner& started = *runner;
  runners_.emplace(alloc->id, std::move(runner));
  runner_scope_.spawn(started.run());
  if (alloc->server_terminal()) started.stop();
}

bool NodeAgent::ports_held(const Allocation& alloc) {
  const auto meet = [](const AssignedPort& a, const AssignedPort& b) {
    if (a.value != b.value) return false;
    const uint32_t one = port_address(a.host_ip), other = port_address(b.host_ip);
    return one == 0 || other == 0 || one == other;
  };
  for (const auto& [id, runner] : runners_) {
    const bool stopping = runner->alloc().server_terminal() || absent_.contains(id);
    if (id == alloc.id || !stopping || runner->finished()) continue;
    for (const AssignedPort& port : runner->alloc().ports) {
      for (const AssignedPort& wanted : alloc.ports) {
        if (meet(port, wanted)) return true;
      }
    }
  }
  return false;
}

void NodeAgent::changed(const std::string& alloc_id) {
  to_report_.insert(alloc_id);
  report_wanted_.set();
  publish_wanted_.set();
  const AllocRunner* runner = find(alloc_id);
  if (runner == nullptr || !runner->finished()) return;
  share_cores();
  for (const auto& [id, other] : runners_) other->look_again();  // who waits for its ports
}

/// What changed within a turn goes to the catalog at once.
Task<void> NodeAgent::publish_loop() {
  for (;;) {
    co_await publish_wanted_.wait();
    publish_wanted_.clear();
    publish_registrations();
  }
}

void NodeAgent::publish_registrations() {
  std::vector<ServiceRegistration> desired;
  for (const auto& [id, runner] : runners_) {
    const auto& own = runner->registrations();
    desired.insert(desired.end(), own.begin(), own.end());
  }
  context_.catalog.set_registrations(registration_prefix(context_.cluster_id, context_.node.id),
                                     std::move(desired));
}

Task<void> NodeAgent::report_loop() {
  co_await registered_.wait();
  int64_t retry_ms = kFirstRetryMs;
  for (;;) {
    co_await report_wanted_.wait();
    report_wanted_.clear();
    std::vector<AllocUpdate> updates;
    const std::set<std::string> reported = std::exchange(to_report_, {});
    const std::map<std::string, AllocUpdate> gone = std::exchange(gone_, {});
    for (const std::string& id : reported) {
      if (const AllocRunner* runner = find(id)) updates.push_back(runner->report());
    }
    for (const auto& [id, update] : gone) updates.push_back(update);
    sweep();
    if (updates.empty()) continue;
    Result<void> taken = co_await link_.update_allocs(context_.node.id, std::move(updates));
    if (taken || taken.error().code == Code::kNotFound) {
      retry_ms = kFirstRetryMs;
      continue;
    }
    context_.log.warn("report allocations: {}", taken.error().message);
    to_report_.insert(reported.begin(), reported.end());
    gone_.insert(gone.begin(), gone.end());
    co_await sleep_for(context_.env.executor, retry_ms);
    retry_ms = std::min(retry_ms * 2, kLastRetryMs);
    report_wanted_.set();
  }
}

Task<void> NodeAgent::stop_all_tasks() {
  stopping_ = true;
  for (const auto& [id, runner] : runners_) runner->stop();
  for (;;) {
    const bool done = std::all_of(runners_.begin(), runners_.end(),
                                  [](const auto& entry) { return entry.second->finished(); });
    if (done) co_return;
    co_await sleep_for(context_.env.executor, 20);
  }
}

}  // namespace sluice::orchestrator
