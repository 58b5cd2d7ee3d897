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
    : env_(env),
      log_(log),
      options_(std::move(options)),
      table_(env.executor),
      publish_wanted_(env.executor) {}

void EmbeddedCatalog::set_registrations(std::string owner_prefix,
                                        std::vector<ServiceRegistration> desired) {
  std::set<std::string> wanted;
  for (const ServiceRegistration& registration : desired) wanted.insert(registration.id);
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (!it->first.starts_with(owner_prefix) || wanted.contains(it->first)) {
      ++it;
      continue;
    }
    changed(it->second->record.registration.name);
    const std::string id = it->first;
    it = entries_.erase(it);
    table_.erase(id);
  }
  for (ServiceRegistration& registration : desired) {
    const auto known = entries_.find(registration.id);
    if (known == entries_.end()) {
      add(std::move(registration));
      continue;
    }
    CatalogRecord& record = known->second->record;
    const ServiceRegistration& held = record.registration;
    if (held == registration) continue;
    changed(held.name);
    if (held.checks == registration.checks && held.name == registration.name) {
      // Tags or meta alone: what the checks found stays true.
      table_.replace(record, std::move(registration));
      continue;
    }
    // Until the new check has answered, the old one's word holds: the instance serves on.
    const std::vector<CheckState> before = record.states;
    entries_.erase(known);
    add(std::move(registration), before);
  }
}

void EmbeddedCatalog::add(ServiceRegistration registration, const std::vector<CheckState>& before) {
  std::vector<CheckState> states;
  std::vector<CheckHistory> histories;
  for (const auto& check : registration.checks) {
    CheckState state{.service_id = registration.id,
                     .check_id = check.id,
                     .name = check.name,
                     .status = CheckHistory(check).status(),
                     .output = {}};
    for (const CheckState& old : before) {
      if (old.check_id == check.id) state.status = old.status;
    }
    histories.emplace_back(check, state.status);
    states.push_back(std::move(state));
  }
  CatalogRecord& record = table_.put(std::move(registration), std::move(states));
  auto entry = std::make_unique<Entry>(env_.executor, record);
  entry->histories = std::move(histories);
  Entry& kept = *entry;
  entries_[record.registration.id] = std::move(entry);
  for (size_t i = 0; i < record.registration.checks.size(); ++i) {
    if (record.registration.checks[i].type != "ttl") kept.checking.spawn(check_loop(kept, i));
  }
  changed(record.registration.name);
}

std::vector<std::string_view> EmbeddedCatalog::check_kinds() const {
  if (options_.tls) return {"http", "https", "tcp", "grpc"};
  return {"http", "tcp", "grpc"};
}

void EmbeddedCatalog::take(Entry& entry, size_t number, CheckResult result, bool first) {
  CheckState& state = entry.record.states[number];
  CheckHistory& history = entry.histories[number];
  const bool differs = history.add(result.status);
  state.output = std::move(result.output);
  if (differs) table_.set_status(entry.record, number, history.status());
  if (differs || first) {
    for (auto& tell : check_watchers_) tell(state);
  }
  if (!differs) return;
  log_.debug("check {} of {}: {}", state.name, state.service_id, state.output);
  changed(entry.record.registration.name);
}

void EmbeddedCatalog::report(CheckState result) {
  const auto found = entries_.find(result.service_id);
  if (found == entries_.end()) return;
  Entry& entry = *found->second;
  const std::vector<CheckState>& states = entry.record.states;
  for (size_t i = 0; i < states.size(); ++i) {
    if (states[i].check_id != result.check_id) continue;
    const bool first = states[i].output.empty();
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
  const orchestrator::ServiceCheck check = entry.record.registration.checks[number];
  const CheckHistory& history = entry.histories[number];
  const int64_t interval_ms = std::max<int64_t>(check.interval_ms, 1);
  const auto spread = static_cast<uint64_t>(interval_ms) / 4 + 1;
  int64_t first_passing_ms = std::min(kFirstRetryMs, interval_ms);  // doubles until it is up
  bool passed = history.status() == CheckStatus::kPassing;
  for (bool first = true;; first = false) {
    CheckResult result = co_await ask(env_, options_.tls, check);
    take(entry, number, std::move(result), first);
    int64_t pause_ms = interval_ms;
    if (!passed && history.status() == CheckStatus::kPassing) {
      passed = true;
      pause_ms -= static_cast<int64_t>(env_.random.below(spread));
    } else if (!passed) {
      pause_ms = first_passing_ms;
      first_passing_ms = std::min(first_passing_ms * 2, interval_ms);
    }
    co_await sleep_for(env_.executor, pause_ms);
  }
}

ServiceSnapshot EmbeddedCatalog::snapshot(const std::string& service) const {
  ServiceSnapshot snapshot{.service = service, .instances = {}};
  for (const auto& [id, entry] : entries_) {
    const CatalogRecord& record = entry->record;
    const ServiceRegistration& registration = record.registration;
    if (registration.name != service) continue;
    const bool healthy =
        std::any_of(record.states.begin(), record.states.end(),
                    [](const CheckState& state) { return state.status == CheckStatus::kPassing; });
    snapshot.instances.push_back({.id = id,
                                  .service = service,
                                  .address = registration.address,
                                  .port = registration.port,
                                  .node = options_.node_name,
                                  .datacenter = options_.datacenter,
                                  .tags = registration.tags,
                                  .meta = registration.meta,
                                  .checks = record.states,
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
  for (const auto& [id, entry] : entries_) changed(entry->record.registration.name);
}

void EmbeddedCatalog::on_check(std::move_only_function<void(const CheckState&)> on_change) {
  check_watchers_.push_back(std::move(on_change));
}

Task<void> EmbeddedCatalog::run() {
  publish_wanted_.set();  // the first word, of none too
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
