#include "orchestrator/inherited_routes.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace sluice::orchestrator {

bool InheritedRoutes::said(const ServiceSnapshot& snapshot) {
  if (empty()) return false;
  std::set<std::string_view> healthy;
  for (const ServiceInstance& instance : snapshot.instances) {
    if (instance.healthy) healthy.insert(instance.id);
  }
  return std::erase_if(edit_.routes, [&](const proxy::RouteSpec& route) {
           return healthy.contains(route.instance);
         }) > 0;
}

bool InheritedRoutes::rest(const std::vector<std::string>& instances) {
  bool changed = false;
  for (proxy::RouteSpec& route : edit_.routes) {
    if (!route.healthy || std::ranges::find(instances, route.instance) == instances.end()) continue;
    route.healthy = false;
    route.draining = true;
    changed = true;
  }
  return changed;
}

bool InheritedRoutes::forget(const std::vector<std::string>& instances) {
  return std::erase_if(edit_.routes, [&](const proxy::RouteSpec& route) {
           return std::ranges::find(instances, route.instance) != instances.end();
         }) > 0;
}

bool InheritedRoutes::clear() {
  const bool changed = !empty();
  edit_.routes.clear();
  return changed;
}

std::set<std::string> InheritedRoutes::instances_of(std::string_view prefix) const {
  std::set<std::string> found;
  for (const proxy::RouteSpec& route : edit_.routes) {
    if (route.instance.starts_with(prefix)) found.insert(route.instance);
  }
  return found;
}

}  // namespace sluice::orchestrator
