#include "orchestrator/route_source.h"

#include <memory>
#include <utility>

namespace sluice::orchestrator {

proxy::RouteEdit make_route_edit(const ServiceSnapshot& snapshot, const std::string& tag_prefix,
                                 const std::set<std::string>& draining) {
  proxy::RouteEdit edit{.key = snapshot.service, .routes = {}, .rejected = {}};
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
      (*spec)->healthy = instance.healthy && !draining.contains(instance.id);
      edit.routes.push_back(std::move(**spec));
    }
  }
  return edit;
}

uint64_t RouteSource::publish(const std::vector<std::string>& services) {
  std::vector<proxy::RouteEdit> edits;
  for (const std::string& name : services) {
    const auto known = services_.find(name);
    const ServiceSnapshot gone{.service = name, .instances = {}};
    edits.push_back(
        make_route_edit(known == services_.end() ? gone : known->second, tag_prefix_, draining_));
  }
  return sink_.apply(std::move(edits));
}

void RouteSource::apply(std::vector<ServiceSnapshot> snapshots) {
  std::vector<std::string> names;
  for (ServiceSnapshot& snapshot : snapshots) {
    names.push_back(snapshot.service);
    const auto known = services_.find(snapshot.service);
    if (known != services_.end()) {
      for (const ServiceInstance& instance : known->second.instances)
        service_of_.erase(instance.id);
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
  publish(names);
}

Task<void> RouteSource::drain(std::vector<std::string> instances) {
  std::set<std::string> touched;
  for (const std::string& instance : instances) {
    draining_.insert(instance);
    const auto service = service_of_.find(instance);
    if (service != service_of_.end()) touched.insert(service->second);
  }
  const uint64_t version = publish({touched.begin(), touched.end()});
  // The sink may answer after this task was cancelled (drain_timeout), so the event is shared with
  // it.
  struct Answer {
    explicit Answer(Executor& executor) : done(executor) {}
    Event done;
  };
  auto answer = std::make_shared<Answer>(executor_);
  sink_.when_drained(std::move(instances), version, [answer] { answer->done.set(); });
  co_await answer->done.wait();
}

void RouteSource::forget(const std::vector<std::string>& instances) {
  for (const std::string& instance : instances) {
    // A catalog that does not answer lists it for longer than it lives: the mark stays until then.
    if (service_of_.contains(instance)) {
      gone_.insert(instance);
    } else {
      draining_.erase(instance);
    }
  }
}

}  // namespace sluice::orchestrator
