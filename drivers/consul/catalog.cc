#include "drivers/consul/catalog.h"

#include <algorithm>
#include <utility>

namespace sluice::drivers {

using orchestrator::CheckState;
using orchestrator::ServiceRegistration;
using orchestrator::ServiceSnapshot;

namespace {

constexpr int64_t kTickMs = 1'000;
constexpr int64_t kMaxPaceMs = 1'000;
constexpr std::string_view kConsulItself = "consul";

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
      wake_(env_.executor) {}

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
  on_change_ = std::move(on_change);
}

void ConsulCatalog::on_check(std::move_only_function<void(const CheckState&)> on_change) {
  on_check_ = std::move(on_change);
}

Task<void> ConsulCatalog::run() {
  Scope scope(env_.executor);
  scope_ = &scope;
  scope.spawn(follow(services_, [this](const Json& body) { return take_services(body); }));
  scope.spawn(follow(checks_, [this](const Json& body) { return take_checks(body); }));
  scope.spawn(refresh());
  scope.spawn(tick());
  scope.spawn(registrar_.run());
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
  if (on_change_ && (first || !changed.empty())) on_change_(std::move(changed));
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
