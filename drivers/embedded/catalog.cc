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
    // Until the new check has answered, the old one's word holds: the instance serves on.
    const std::vector<CheckState> before = std::move(entry.states);
    entries_.erase(known);
    add(std::move(registration), before);
  }
}

void EmbeddedCatalog::add(ServiceRegistration registration, const std::vector<CheckState>& before) {
  auto entry = std::make_unique<Entry>(env_.executor);
  entry->registration = std::move(registration);
  for (const auto& check : entry->registration.checks) {
    CheckState state{.service_id = entry->registration.id,
                     .check_id = check.id,
                     .name = check.name,
                     .status = CheckHistory(check).status(),
                     .output = {}};
    for (const CheckState& old : before) {
      if (old.check_id == check.id) state.status = old.status;
    }
    entry->histories.emplace_back(check, state.status);
    entry->states.push_back(std::move(state));
  }
  Entry& kept = *entry;
  entries_[kept.registration.id] = std::move(entry);
  for (size_t i = 0; i < kept.registration.checks.size(); ++i) {
    if (kept.registration.checks[i].type != "ttl") kept.checking.spawn(check_loop(kept, i));
  }
  changed(kept.registration.name);
}

std::vector<std::string_view> EmbeddedCatalog::check_kinds() const {
  if (options_.tls) return {"http", "https", "tcp", "grpc"};
  return {"http", "tcp", "grpc"};
}

void EmbeddedCatalog::take(Entry& entry, size_t number, CheckResult result, bool first) {
  CheckState& state = entry.states[number];
  CheckHistory& history = entry.histories[number];
  const bool differs = history.add(result.status);
  state.output = std::move(result.output);
  if (differs || first) {
    state.status = history.status();
    for (auto& tell : check_watchers_) tell(state);
  }
  if (!differs) return;
  log_.debug("check {} of {}: {}", state.name, state.service_id, state.output);
  changed(entry.registration.name);
}

void EmbeddedCatalog::report(CheckState result) {
  const auto found = entries_.find(result.service_id);
  if (found == entries_.end()) return;
  Entry& entry = *found->second;
  for (size_t i = 0; i < entry.states.size(); ++i) {
    if (entry.states[i].check_id != result.check_id) continue;
    const bool first = entry.states[i].output.empty();
    take(entry, i, {.status = result.status, .output = std::move(result.output)}, first);
  }
}

namespace {

std::unexpected<Error> no_keys() {
  return fail(Code::kUnsupported,
              "the embedded catalog has no key-value store; consul {{ }} in the agent's "
              "configuration takes Consul's");
}

}  // namespace

Task<Result<orchestrator::KeyValue>> EmbeddedCatalog::read_key(std::string, uint64_t, int64_t) {
  co_return no_keys();
}

Task<Result<orchestrator::Catalog::KeyList>> EmbeddedCatalog::list_keys(std::string, uint64_t,
                                                                        int64_t) {
  co_return no_keys();
}

Task<void> EmbeddedCatalog::check_loop(Entry& entry, size_t number) {
  // A copy: the registration may be replaced by one with the same checks and other tags.
  const orchestrator::ServiceCheck check = entry.registration.checks[number];
  const CheckHistory& history = entry.histories[number];
  const int64_t interval_ms = std::max<int64_t>(check.interval_ms, 1);
  const auto spread = static_cast<uint64_t>(interval_ms) / 4 + 1;
  int64_t first_passing_ms = kFirstRetryMs;  // doubles until the instance is up
  bool passed = history.status() == CheckStatus::kPassing;
  for (bool first = true;; first = false) {
    CheckResult result = co_await ask(env_, options_.tls, check);
    take(entry, number, std::move(result), first);
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
