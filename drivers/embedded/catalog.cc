#include "drivers/embedded/catalog.h"

#include <algorithm>
#include <utility>

namespace sluice::drivers {

using orchestrator::CheckState;
using orchestrator::CheckStatus;
using orchestrator::ServiceInstance;
using orchestrator::ServiceRegistration;
using orchestrator::ServiceSnapshot;

namespace {

constexpr int64_t kFirstRetryMs = 5;

}  // namespace

EmbeddedCatalog::EmbeddedCatalog(Env env, Log& log, EmbeddedOptions options)
    : env_(env), log_(log), options_(std::move(options)), publish_wanted_(env.executor) {}

void EmbeddedCatalog::set_registrations(std::string owner_prefix,
                                        std::vector<ServiceRegistration> desired) {
  std::set<std::string> wanted;
  for (const ServiceRegistration& registration : desired) wanted.insert(registration.id);
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (!it->first.starts_with(owner_prefix) || wanted.contains(it->first)) {
      ++it;
      continue;
    }
    changed(it->second->registration.name);
    it = entries_.erase(it);
  }
  for (ServiceRegistration& registration : desired) {
    const auto known = entries_.find(registration.id);
    if (known == entries_.end()) {
      add(std::move(registration));
      continue;
    }
    Entry& entry = *known->second;
    if (entry.registration == registration) continue;
    if (entry.registration.checks == registration.checks) {
      // Tags or meta alone: what the checks found stays true.
      changed(entry.registration.name);
      entry.registration = std::move(registration);
      changed(entry.registration.name);
      continue;
    }
    changed(entry.registration.name);
    entries_.erase(known);
    add(std::move(registration));
  }
}

void EmbeddedCatalog::add(ServiceRegistration registration) {
  auto entry = std::make_unique<Entry>(env_.executor);
  entry->registration = std::move(registration);
  for (const auto& check : entry->registration.checks) {
    entry->states.push_back({.service_id = entry->registration.id,
                             .check_id = check.id,
                             .name = check.name,
                             .status = CheckHistory(check).status(),
                             .output = {}});
  }
  Entry& kept = *entry;
  entries_[kept.registration.id] = std::move(entry);
  for (size_t i = 0; i < kept.registration.checks.size(); ++i) {
    kept.checking.spawn(check_loop(kept, i));
  }
  changed(kept.registration.name);
}

Task<void> EmbeddedCatalog::check_loop(Entry& entry, size_t number) {
  // A copy: the registration may be replaced by one with the same checks and other tags.
  const orchestrator::ServiceCheck check = entry.registration.checks[number];
  CheckHistory history(check);
  const int64_t interval_ms = std::max<int64_t>(check.interval_ms, 1);
  const auto spread = static_cast<uint64_t>(interval_ms) / 4 + 1;
  int64_t first_passing_ms = kFirstRetryMs;  // doubles until the instance is up
  bool passed = history.status() == CheckStatus::kPassing;
  for (bool first = true;; first = false) {
    CheckResult result = co_await ask(env_, check);
    CheckState& state = entry.states[number];
    const bool differs = history.add(result.status);
    state.output = std::move(result.output);
    if (differs || first) {
      state.status = history.status();
      for (auto& tell : check_watchers_) tell(state);
    }
    if (differs) {
      log_.debug("check {} of {}: {}", state.name, state.service_id, state.output);
      changed(entry.registration.name);
    }
    int64_t pause_ms = interval_ms;
    if (!passed && history.status() == CheckStatus::kPassing) {
      passed = true;
      pause_ms -= static_cast<int64_t>(env_.random.below(spread));
    } else if (!passed) {
      pause_ms = std::min(first_passing_ms, interval_ms);
      first_passing_ms *= 2;
    }
    co_await sleep_for(env_.executor, pause_ms);
  }
}

ServiceSnapshot EmbeddedCatalog::snapshot(const std::string& service) const {
  ServiceSnapshot snapshot{.service = service, .instances = {}};
  for (const auto& [id, entry] : entries_) {
    const ServiceRegistration& registration = entry->registration;
    if (registration.name != service) continue;
    const bool healthy =
        std::any_of(entry->states.begin(), entry->states.end(),
                    [](const CheckState& state) { return state.status == CheckStatus::kPassing; });
    snapshot.instances.push_back({.id = id,
                                  .service = service,
                                  .address = registration.address,
                                  .port = registration.port,
                                  .node = options_.node_name,
                                  .datacenter = options_.datacenter,
                                  .tags = registration.tags,
                                  .meta = registration.meta,
                                  .checks = entry->states,
                                  .healthy = healthy});
  }
  return snapshot;
}

void EmbeddedCatalog::changed(const std::string& service) {
  changed_services_.insert(service);
  publish_wanted_.set();
}

void EmbeddedCatalog::watch(std::move_only_function<void(std::vector<ServiceSnapshot>)> on_change) {
  watchers_.push_back(std::move(on_change));
  for (const auto& [id, entry] : entries_) changed(entry->registration.name);
}

void EmbeddedCatalog::on_check(std::move_only_function<void(const CheckState&)> on_change) {
  check_watchers_.push_back(std::move(on_change));
}

Task<void> EmbeddedCatalog::run() {
  for (;;) {
    co_await publish_wanted_.wait();
    publish_wanted_.clear();
    std::vector<ServiceSnapshot> snapshots;
    for (const std::string& service : std::exchange(changed_services_, {})) {
      snapshots.push_back(snapshot(service));
    }
    for (auto& tell : watchers_) tell(snapshots);
  }
}

}  // namespace sluice::drivers
