#include "orchestrator/route_source.h"

#include "orchestrator/canary_policy.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

namespace sluice::orchestrator {

namespace {

constexpr std::string_view kCanaryWeight = "canary-weight=";
// Of the place of a service that sleeps.
constexpr std::string_view kAsleep = "asleep";
constexpr std::string_view kNowhere = "0.0.0.0";
constexpr uint16_t kNoPort = 9;  // discard (RFC 863); nothing is sent there

/// "canary-weight=0.1" or "canary-weight=10%"; nullopt: no such tag.
std::optional<Result<double>> canary_weight(std::string_view tag) {
  if (!tag.starts_with(kCanaryWeight)) return std::nullopt;
  std::string_view number = tag.substr(kCanaryWeight.size());
  const bool percent = number.ends_with('%');
  if (percent) number.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (percent) value /= 100;
  if (error != std::errc() || end != number.data() + number.size() || !(value > 0 && value <= 1)) {
    return fail(Code::kInvalid, "expected a share above 0 and up to 1, or up to 100%");
  }
  return value;
}

/// The share of each instance that names one: all of a service's canaries together get what the
/// tag says.
std::map<std::string_view, double> canary_shares(const ServiceSnapshot& snapshot,
                                                 const std::set<std::string>& draining,
                                                 proxy::RouteEdit& edit) {
  std::map<std::string_view, double> shares;
  for (const ServiceInstance& instance : snapshot.instances) {
    for (const std::string& tag : instance.tags) {
      const auto weight = canary_weight(tag);
      if (!weight) continue;
      if (!*weight) {
        edit.rejected.push_back(
            {.service = snapshot.service, .tag = tag, .reason = weight->error().message});
      } else if (instance.healthy && !draining.contains(instance.id)) {
        shares[instance.id] = **weight;
      }
    }
  }
  const auto count = static_cast<double>(shares.size());
  for (auto& [id, share] : shares) share /= count;
  return shares;
}

/// Places that nobody can be sent to, where no instance is healthy.
void add_sleeping(const GroupService& service, const std::string& tag_prefix,
                  proxy::RouteEdit& edit) {
  const auto is_up = [](const proxy::RouteSpec& route) { return route.healthy; };
  if (std::ranges::any_of(edit.routes, is_up)) return;
  const proxy::TagContext context{.prefix = tag_prefix,
                                  .service = service.name,
                                  .instance = kAsleep,
                                  .address = kNowhere,
                                  .port = kNoPort,
                                  .datacenter = {},
                                  .tags = service.tags};
  for (const std::string& tag : service.tags) {
    Result<std::optional<proxy::RouteSpec>> spec = proxy::parse_tag(tag, context);
    if (!spec || !*spec || (*spec)->options.redirect_code != 0) continue;
    (*spec)->healthy = false;
    (*spec)->draining = true;
    (*spec)->options.limits.wakes = true;
    edit.routes.push_back(std::move(**spec));
  }
}

}  // namespace

proxy::RouteEdit make_route_edit(const ServiceSnapshot& snapshot, const std::string& tag_prefix,
                                 const std::set<std::string>& draining) {
  proxy::RouteEdit edit{.key = snapshot.service, .routes = {}, .rejected = {}};
  const std::map<std::string_view, double> shares = canary_shares(snapshot, draining, edit);
  for (const ServiceInstance& instance : snapshot.instances) {
    if (instance.checks.empty()) continue;
    const proxy::TagContext context{.prefix = tag_prefix,
                                    .service = snapshot.service,
                                    .instance = instance.id,
                                    .address = instance.address,
                                    .port = instance.port,
                                    .datacenter = instance.datacenter,
                                    .tags = instance.tags};
    for (const std::string& tag : instance.tags) {
      Result<std::optional<proxy::RouteSpec>> spec = proxy::parse_tag(tag, context);
      if (!spec) {
        edit.rejected.push_back(
            {.service = snapshot.service, .tag = tag, .reason = spec.error().message});
        continue;
      }
      if (!*spec) continue;  // not a route tag
      const auto share = shares.find(instance.id);
      if (share != shares.end() && (*spec)->options.weight == 0) {
        (*spec)->options.weight = share->second;
      }
      const bool leaving = draining.contains(instance.id);
      (*spec)->healthy = instance.healthy && !leaving;
      (*spec)->draining = leaving || instance.maintenance;
      (*spec)->canary = instance.meta.contains(std::string(kMaxErrorRate));
      edit.routes.push_back(std::move(**spec));
    }
  }
  return edit;
}

uint64_t RouteSource::publish(const std::vector<std::string>& services, bool inherited_changed) {
  std::vector<proxy::RouteEdit> edits;
  if (inherited_changed) edits.push_back(inherited_.edit());
  for (const std::string& name : services) {
    edits.push_back(edit_of(name));
  }
  return sink_.apply(std::move(edits));
}

proxy::RouteEdit RouteSource::edit_of(const std::string& service) const {
  const auto known = services_.find(service);
  const ServiceSnapshot gone{.service = service, .instances = {}};
  proxy::RouteEdit edit =
      make_route_edit(known == services_.end() ? gone : known->second, tag_prefix_, draining_);
  const auto asleep = sleeping_.find(service);
  if (asleep != sleeping_.end()) add_sleeping(asleep->second, tag_prefix_, edit);
  return edit;
}

std::vector<proxy::RouteSpec> RouteSource::routes_of(const std::string& service) const {
  return edit_of(service).routes;
}

void RouteSource::set_sleeping(std::vector<GroupService> services) {
  std::set<std::string> touched;
  for (const auto& [name, service] : sleeping_) touched.insert(name);
  sleeping_.clear();
  for (GroupService& service : services) {
    touched.insert(service.name);
    std::string name = service.name;
    sleeping_.emplace(std::move(name), std::move(service));
  }
  publish({touched.begin(), touched.end()});
}

void RouteSource::inherit(proxy::RouteEdit routes, Event& gone) {
  inherited_.set(std::move(routes));
  predecessor_gone_ = &gone;
}

void RouteSource::forget_inherited() {
  if (inherited_.clear()) publish({}, true);
}

void RouteSource::apply(std::vector<ServiceSnapshot> snapshots) {
  std::vector<std::string> names;
  bool inherited_changed = false;
  for (ServiceSnapshot& snapshot : snapshots) {
    names.push_back(snapshot.service);
    if (inherited_.said(snapshot)) inherited_changed = true;
    for (const ServiceInstance& instance : snapshot.instances) kept_.erase(instance.id);
    const auto known = services_.find(snapshot.service);
    if (known != services_.end()) {
      for (ServiceInstance& instance : known->second.instances) {
        service_of_.erase(instance.id);
        // Out of the catalog and not yet gone: its place says 503, not 404.
        const bool listed =
            std::any_of(snapshot.instances.begin(), snapshot.instances.end(),
                        [&](const ServiceInstance& now) { return now.id == instance.id; });
        if (listed || !draining_.contains(instance.id) || gone_.contains(instance.id)) continue;
        kept_.insert(instance.id);
        snapshot.instances.push_back(std::move(instance));
      }
    }
    if (snapshot.instances.empty()) {
      services_.erase(snapshot.service);
      continue;
    }
    for (const ServiceInstance& instance : snapshot.instances) {
      service_of_[instance.id] = snapshot.service;
    }
    services_[snapshot.service] = std::move(snapshot);
  }
  std::erase_if(gone_, [this](const std::string& instance) {
    if (service_of_.contains(instance)) return false;
    draining_.erase(instance);
    return true;
  });
  publish(names, inherited_changed);
}

Task<void> RouteSource::drain(std::vector<std::string> instances) {
  std::set<std::string> touched;
  for (const std::string& instance : instances) {
    draining_.insert(instance);
    const auto service = service_of_.find(instance);
    if (service != service_of_.end()) touched.insert(service->second);
  }
  const uint64_t version = publish({touched.begin(), touched.end()}, inherited_.rest(instances));
  // The sink may answer after this task was cancelled (drain_timeout), so the event is shared with
  // it.
  struct Answer {
    explicit Answer(Executor& executor) : done(executor) {}
    Event done;
  };
  auto answer = std::make_shared<Answer>(executor_);
  sink_.when_drained(std::move(instances), version, [answer] { answer->done.set(); });
  co_await answer->done.wait();
  if (predecessor_gone_ != nullptr) co_await predecessor_gone_->wait();
}

/// Takes an instance out that only we still list; its service.
std::string RouteSource::drop_kept(const std::string& instance) {
  const auto service = service_of_.find(instance);
  const std::string name = service->second;
  ServiceSnapshot& snapshot = services_[name];
  std::erase_if(snapshot.instances, [&](const auto& one) { return one.id == instance; });
  if (snapshot.instances.empty()) services_.erase(name);
  service_of_.erase(service);
  return name;
}

void RouteSource::forget(const std::vector<std::string>& instances) {
  std::set<std::string> touched;
  for (const std::string& instance : instances) {
    if (kept_.erase(instance) > 0) {
      touched.insert(drop_kept(instance));
      draining_.erase(instance);
    } else if (service_of_.contains(instance)) {
      // A catalog that does not answer lists it for longer than it lives: the mark stays till then.
      gone_.insert(instance);
    } else {
      draining_.erase(instance);
    }
  }
  const bool inherited_changed = inherited_.forget(instances);
  if (!touched.empty() || inherited_changed) {
    publish({touched.begin(), touched.end()}, inherited_changed);
  }
}

void RouteSource::resume(const std::vector<std::string>& instances) {
  std::set<std::string> touched;
  for (const std::string& instance : instances) {
    draining_.erase(instance);
    gone_.erase(instance);
    // What was known of it is of its last run: the catalog tells of the next one.
    if (kept_.erase(instance) > 0) {
      touched.insert(drop_kept(instance));
    } else if (const auto service = service_of_.find(instance); service != service_of_.end()) {
      touched.insert(service->second);
    }
  }
  if (!touched.empty()) publish({touched.begin(), touched.end()});
}

}  // namespace sluice::orchestrator
