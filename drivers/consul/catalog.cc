#include "drivers/consul/catalog.h"

#include <algorithm>
#include <utility>

#include "core/base64.h"
#include "drivers/consul/kv.h"

namespace sluice::drivers {

using orchestrator::CheckState;
using orchestrator::ServiceRegistration;
using orchestrator::ServiceSnapshot;

namespace {

constexpr int64_t kTickMs = 1'000;
constexpr int64_t kMaxPaceMs = 1'000;
constexpr std::string_view kConsulItself = "consul";
constexpr uint64_t kMissingKey = ~uint64_t{0};  // in the place of an index
constexpr int64_t kMissingMs = 5'000;

}  // namespace

ConsulCatalog::ConsulCatalog(Env env, Log& log, ConsulOptions options)
    : env_(env),
      log_(log),
      options_(std::move(options)),
      api_(env_.executor, env_.network, options_.api),
      view_(options_.view),
      registrar_(env_, log_, api_, options_.registrar,
                 [this](const ServiceRegistration& one) {
                   return !one.checks.empty() &&
                          std::ranges::all_of(one.checks, [&](const auto& check) {
                            auto it = own_checks_.find(consul_check_id(one.id, check.id));
                            return it != own_checks_.end() &&
                                   it->second.status == orchestrator::CheckStatus::kPassing;
                          });
                 }),
      wake_(env_.executor),
      report_wanted_(env_.executor) {}

ConsulCatalog::~ConsulCatalog() = default;

void ConsulCatalog::set_registrations(std::string owner_prefix,
                                      std::vector<ServiceRegistration> desired) {
  for (const std::string& id : registrar_.set(owner_prefix, std::move(desired))) {
    view_.forget(id);
    std::erase_if(own_checks_, [&](const auto& item) { return item.second.service_id == id; });
  }
  if (view_.wants()) wake_.set();
}

void ConsulCatalog::watch(std::move_only_function<void(std::vector<ServiceSnapshot>)> on_change) {
  watchers_.push_back(std::move(on_change));
}

void ConsulCatalog::on_check(std::move_only_function<void(const CheckState&)> on_change) {
  on_check_ = std::move(on_change);
}

std::vector<std::string_view> ConsulCatalog::check_kinds() const {
  return {"http", "https", "tcp", "grpc", "grpcs"};
}

void ConsulCatalog::report(CheckState result) {
  reports_[consul_check_id(result.service_id, result.check_id)] = std::move(result);
  report_wanted_.set();
}

/// Results of ttl checks, the newest of each; one that Consul does not know yet is said again at
/// the check's next interval.
Task<void> ConsulCatalog::send_reports() {
  while (true) {
    co_await report_wanted_.wait();
    report_wanted_.clear();
    while (!reports_.empty()) {
      const auto item = reports_.extract(reports_.begin());
      const CheckState& state = item.mapped();
      auto sent = co_await api_.put(
          "/v1/agent/check/update/" + percent_encode(item.key()),
          Json::object({{"Status", to_string(state.status)}, {"Output", state.output}}));
      if (!sent) log_.debug("consul: {}", sent.error().message);
    }
  }
}

Task<Result<orchestrator::KeyValue>> ConsulCatalog::read_key(std::string key, uint64_t after_index,
                                                             int64_t wait_ms) {
  orchestrator::KeyValue found;
  // A key that is not there answers 404, without an index to wait for: it is looked for again.
  if (after_index == kMissingKey) co_await sleep_for(env_.executor, std::min(wait_ms, kMissingMs));
  const uint64_t index = after_index == kMissingKey ? 0 : after_index;
  auto answer = co_await api_.get_after("/v1/kv/" + escaped_consul_key(key), index);
  if (!answer && answer.error().code == Code::kNotFound) {
    found.index = kMissingKey;
    co_return found;
  }
  if (!answer) co_return pass(answer);
  if (!answer->body.is_array() || answer->body.size() != 1) {
    co_return fail(Code::kInvalid, "Consul's answer for the key {} is no list of one", key);
  }
  Result<std::string> value = base64_decode(answer->body.as_array()[0].get_string("Value"));
  if (!value) co_return pass(value, "Consul's value of the key {}", key);
  found.value = *std::move(value);
  found.index = answer->index;
  co_return found;
}

Task<Result<orchestrator::Catalog::KeyList>> ConsulCatalog::list_keys(std::string prefix,
                                                                      uint64_t after_index,
                                                                      int64_t wait_ms) {
  KeyList list;
  if (after_index == kMissingKey) co_await sleep_for(env_.executor, std::min(wait_ms, kMissingMs));
  const uint64_t index = after_index == kMissingKey ? 0 : after_index;
  auto answer = co_await api_.get_after("/v1/kv/" + escaped_consul_key(prefix) + "?recurse", index);
  if (!answer && answer.error().code == Code::kNotFound) {
    list.index = kMissingKey;
    co_return list;
  }
  if (!answer) co_return pass(answer);
  if (!answer->body.is_array()) {
    co_return fail(Code::kInvalid, "Consul's answer for the keys below {} is no list", prefix);
  }
  for (const Json& item : answer->body.as_array()) {
    Result<std::string> value = base64_decode(item.get_string("Value"));
    if (!value) co_return pass(value, "Consul's value of the key {}", item.get_string("Key"));
    list.values[std::string(item.get_string("Key"))] = *std::move(value);
  }
  list.index = answer->index;
  co_return list;
}

Task<void> ConsulCatalog::run() {
  Scope scope(env_.executor);
  scope_ = &scope;
  scope.spawn(follow(services_, [this](const Json& body) { return take_services(body); }));
  scope.spawn(follow(checks_, [this](const Json& body) { return take_checks(body); }));
  scope.spawn(refresh());
  scope.spawn(tick());
  scope.spawn(registrar_.run());
  scope.spawn(send_reports());
  co_await scope.join();
}

/// True: take it. False: ask again at once, from the start. An error: it cannot be right.
Result<bool> ConsulCatalog::judge(Query& query, const ConsulAnswer& answer) {
  if (!answer.known_leader) return fail(Code::kInternal, "Consul knows no leader");
  if (answer.index == 0)
    return fail(Code::kInternal, "Consul answered {} without an index", query.path);
  if (answer.index < query.newest) {
    // A Consul that lost its data, or a server that lags: ask without waiting, and believe what is
    // there, not what is missing.
    log_.warn("consul: the index of {} went back from {} to {}", query.path, query.newest,
              answer.index);
    query.newest = 0;
    view_.begin_gap();
    if (query.index == 0) return true;
    query.index = 0;
    return false;
  }
  return true;
}

void ConsulCatalog::trouble(Query& query, const Error& error) {
  if (query.valid && error.code == Code::kUnavailable) view_.begin_gap();
  query.valid = false;
  // With an index that it has not reached, a Consul without its data would let us wait.
  query.index = 0;
  if (std::exchange(away_, true)) return;
  log_.warn("consul: {}; the routes stay as they are, trying again", error.message);
}

void ConsulCatalog::good(Query& query) {
  query.retry_ms = options_.retry_min_ms;
  if (std::exchange(query.valid, true)) return;
  if (!services_.valid || !checks_.valid) return;
  if (std::exchange(away_, false)) log_.info("consul: answers again");
  registrar_.look();
  wake_.set();
}

Task<void> ConsulCatalog::follow(Query& query, std::function<Result<void>(const Json&)> take) {
  query.retry_ms = options_.retry_min_ms;
  while (true) {
    auto answer = co_await api_.get_after(query.path, query.index);
    const int64_t begun_ms = env_.executor.now_ms();
    Result<bool> sound = answer ? judge(query, *answer) : Result<bool>(pass(answer));
    if (sound && !*sound) continue;
    if (sound) {
      if (auto taken = take(answer->body); !taken) sound = pass(taken);
    }
    if (!sound) {
      trouble(query, sound.error());
      co_await sleep_for(env_.executor,
                         query.retry_ms / 2 + static_cast<int64_t>(env_.random.below(
                                                  static_cast<uint64_t>(query.retry_ms))));
      query.retry_ms = std::min(query.retry_ms * 2, options_.retry_max_ms);
      continue;
    }
    query.index = query.newest = answer->index;
    good(query);
    if (view_.wants()) wake_.set();
    // News that come close together are taken together, and large answers leave time for the rest.
    const int64_t took_ms = env_.executor.now_ms() - begun_ms;
    co_await sleep_for(env_.executor, std::clamp(4 * took_ms, options_.coalesce_ms, kMaxPaceMs));
  }
}

Result<void> ConsulCatalog::take_services(const Json& body) {
  auto services = decode_services(body);
  if (!services) return pass(services);
  if (!services->contains(kConsulItself)) {
    return fail(Code::kInternal, "Consul's catalog lacks even the service \"consul\"");
  }
  view_.set_services(*std::move(services));
  return {};
}

Result<void> ConsulCatalog::take_checks(const Json& body) {
  auto rows = decode_checks(body);
  if (!rows) return pass(rows);
  // A cluster has at least the check of the node that answers.
  if (rows->empty()) return fail(Code::kInternal, "Consul's list of checks is empty");
  for (const ConsulCheckRow& row : *rows) {
    const std::string prefix = row.service_id + ":";
    if (!registrar_.owns(row.service_id) || !row.check_id.starts_with(prefix)) continue;
    CheckState state{.service_id = row.service_id,
                     .check_id = row.check_id.substr(prefix.size()),
                     .name = row.name,
                     .status = check_status(row.status),
                     .output = row.output};
    auto [it, fresh] = own_checks_.try_emplace(row.check_id, state);
    const bool changed = fresh || it->second.status != state.status;
    it->second = std::move(state);
    if (changed && on_check_) on_check_(it->second);
  }
  view_.set_checks(*rows);
  return {};
}

Task<void> ConsulCatalog::fetch_some(std::vector<std::string>& names,
                                     std::vector<ServiceSnapshot>& changed, bool& failed) {
  while (!names.empty()) {
    const std::string name = std::move(names.back());
    names.pop_back();
    auto answer = co_await api_.get("/v1/health/service/" + percent_encode(name));
    if (answer && !answer->known_leader) answer = fail(Code::kInternal, "Consul knows no leader");
    auto instances = answer ? decode_instances(answer->body, options_.health)
                            : Result<std::vector<ConsulInstance>>(pass(answer));
    if (!instances) {
      failed = true;
      fetch_failed(name, instances.error());
      continue;
    }
    if (failing_.erase(name) > 0) log_.info("consul: {} can be fetched again", name);
    auto snapshot = view_.accept(name, *std::move(instances), env_.executor.now_ms());
    if (snapshot) changed.push_back(*std::move(snapshot));
  }
}

Task<void> ConsulCatalog::fetch_wanted() {
  std::vector<std::string> names = view_.take_wanted();
  std::vector<ServiceSnapshot> changed;
  bool failed = false;
  {
    Scope scope(env_.executor);
    for (size_t i = 0; i < std::min(names.size(), options_.fetches_at_once); ++i) {
      scope.spawn(fetch_some(names, changed, failed));
    }
    co_await scope.join();
  }
  std::ranges::sort(changed, {}, &ServiceSnapshot::service);
  const bool first = !told_ && !failed;
  told_ = told_ || first;
  if (first || !changed.empty()) {
    for (auto& tell : watchers_) tell(changed);
  }
}

void ConsulCatalog::fetch_failed(const std::string& name, const Error& error) {
  const auto [delay, first] = failing_.emplace(name, options_.retry_min_ms);
  if (first) {
    log_.warn("consul: {}: {}; its routes stay as they are, trying again", name, error.message);
  } else {
    delay->second = std::min(delay->second * 2, options_.retry_max_ms);
  }
  scope_->spawn(fetch_later(name, delay->second));
}

Task<void> ConsulCatalog::fetch_later(std::string name, int64_t delay_ms) {
  co_await sleep_for(
      env_.executor,
      delay_ms / 2 + static_cast<int64_t>(env_.random.below(static_cast<uint64_t>(delay_ms))));
  view_.want(name);
  if (view_.wants()) wake_.set();
}

Task<void> ConsulCatalog::refresh() {
  while (true) {
    co_await wake_.wait();
    wake_.clear();
    // Both lists first: the one tells what there is, the other why to look.
    if (services_.valid && checks_.valid) co_await fetch_wanted();
  }
}

Task<void> ConsulCatalog::tick() {
  while (true) {
    co_await sleep_for(env_.executor, kTickMs);
    if (!services_.valid || !checks_.valid) continue;
    view_.tick(env_.executor.now_ms());
    if (view_.wants()) wake_.set();
  }
}

}  // namespace sluice::drivers
