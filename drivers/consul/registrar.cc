#include "drivers/consul/registrar.h"

#include <algorithm>
#include <utility>

#include "drivers/consul/decode.h"

namespace sluice::drivers {

using orchestrator::ServiceRegistration;

ConsulRegistrar::ConsulRegistrar(Env& env, Log& log, ConsulApi& api, ConsulRegistrarOptions options,
                                 WasPassing was_passing)
    : env_(env),
      log_(log),
      api_(api),
      options_(options),
      was_passing_(std::move(was_passing)),
      changed_(env.executor) {}

std::vector<std::string> ConsulRegistrar::set(const std::string& prefix,
                                              std::vector<ServiceRegistration> desired) {
  if (std::ranges::find(prefixes_, prefix) == prefixes_.end()) prefixes_.push_back(prefix);
  std::map<std::string, ServiceRegistration> next;
  for (ServiceRegistration& one : desired) next[one.id] = std::move(one);
  std::vector<std::string> gone;
  for (auto it = desired_.lower_bound(prefix);
       it != desired_.end() && it->first.starts_with(prefix);) {
    if (next.contains(it->first)) {
      ++it;
      continue;
    }
    gone.push_back(it->first);
    registered_.erase(it->first);
    it = desired_.erase(it);
  }
  for (auto& [id, one] : next) desired_[id] = std::move(one);
  changed_.set();
  return gone;
}

bool ConsulRegistrar::owns(std::string_view service_id) const {
  return std::ranges::any_of(
      prefixes_, [&](const std::string& prefix) { return service_id.starts_with(prefix); });
}

Task<Result<void>> ConsulRegistrar::sync() {
  auto services = co_await api_.get("/v1/agent/services");
  if (!services) co_return pass(services);
  auto checks = co_await api_.get("/v1/agent/checks");
  if (!checks) co_return pass(checks);
  Result<void> first_error;
  auto note = [&](Result<void> done) {
    if (!done && first_error) first_error = pass(done);
  };
  ConsulSync sync = plan_sync(desired_, prefixes_, services->body, checks->body);
  // What is to be said is copied: desired_ may change while Consul answers; then we look again.
  std::vector<ServiceRegistration> add;
  for (const ServiceRegistration* one : sync.add) add.push_back(*one);
  for (const std::string& id : sync.remove) {
    auto removed = co_await api_.put("/v1/agent/service/deregister/" + percent_encode(id), Json());
    if (!removed && removed.error().code == Code::kNotFound) removed = {};
    if (removed) log_.info("consul: deregistered {}", id);
    note(std::move(removed));
  }
  for (const ServiceRegistration& one : add) {
    if (!desired_.contains(one.id)) continue;
    const bool forgotten = registered_.contains(one.id) && !services->body.find(one.id);
    auto done = co_await api_.put("/v1/agent/service/register",
                                  registration_body(one, forgotten && was_passing_(one)));
    if (done) {
      registered_[one.id] = true;
      log_.info("consul: {} {} ({})", forgotten ? "restored" : "registered", one.id, one.name);
    }
    note(std::move(done));
  }
  for (const std::string& id : sync.remove_checks) {
    auto removed = co_await api_.put("/v1/agent/check/deregister/" + percent_encode(id), Json());
    if (!removed && removed.error().code == Code::kNotFound) removed = {};
    note(std::move(removed));
  }
  co_return first_error;
}

Task<void> ConsulRegistrar::run() {
  int64_t retry_ms = options_.retry_min_ms;
  auto changed = [](Event& event) -> Task<Result<void>> {
    co_await event.wait();
    co_return Result<void>();
  };
  while (true) {
    int64_t wait_ms = options_.resync_ms;
    if (!prefixes_.empty()) {
      changed_.clear();
      auto done = co_await sync();
      if (done) {
        if (!said_.empty()) log_.info("consul: registrations are right again");
        said_.clear();
        retry_ms = options_.retry_min_ms;
      } else {
        if (std::exchange(said_, done.error().message) != said_) {
          log_.warn("consul: registrations: {}; trying again", said_);
        }
        wait_ms =
            retry_ms / 2 + static_cast<int64_t>(env_.random.below(static_cast<uint64_t>(retry_ms)));
        retry_ms = std::min(retry_ms * 2, options_.retry_max_ms);
      }
    }
    (void)co_await with_timeout(env_.executor, wait_ms, changed(changed_));
  }
}

}  // namespace sluice::drivers
