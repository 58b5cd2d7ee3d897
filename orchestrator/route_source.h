// RouteSource: from the catalog's services to route edits: one edit a service, one route for each
// `urlprefix-` tag of each instance.
//
// It is also the Drainer of a node in the same process: a draining instance keeps its place in the
// table and gets nothing more, so that a service whose last instance goes answers 503 until it is
// gone.
//
// Owner: main.cc. Thread: the control loop. Edits are made from snapshots of whole services, so a
// service that is not mentioned keeps its routes: absence is not an order.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/executor.h"
#include "core/scope.h"
#include "orchestrator/catalog.h"
#include "orchestrator/drain.h"
#include "orchestrator/group_services.h"
#include "orchestrator/inherited_routes.h"
#include "proxy/route_edit.h"

namespace sluice::orchestrator {

/// Pure: what a service's routes are. An instance without a check gets none; one that is not
/// healthy, or is in `draining`, keeps its place and gets no request. A wrong tag is rejected
/// alone; the sink logs it. A tag `canary-weight=0.1` (or `10%`) gives the instances that carry it
/// that share of their routes' traffic, together.
proxy::RouteEdit make_route_edit(const ServiceSnapshot& snapshot, const std::string& tag_prefix,
                                 const std::set<std::string>& draining);

class RouteSource final : public Drainer {
 public:
  RouteSource(Executor& executor, proxy::RouteSink& sink, std::string tag_prefix)
      : executor_(executor), sink_(sink), tag_prefix_(std::move(tag_prefix)) {}

  /// The catalog's watch calls it.
  void apply(std::vector<ServiceSnapshot> snapshots);

  /// What a predecessor's table had, under its own key; it goes as the catalog says it, the rest
  /// by forget_inherited(). Until `gone` is set the predecessor may still have requests under way,
  /// and no drain is over before.
  void inherit(proxy::RouteEdit routes, Event& gone);
  void forget_inherited();

  /// Services that keep their places while none of their instances is healthy: who asks for one
  /// then waits, and RouterOptions::wake is told. Replaces what was said before.
  void set_sleeping(std::vector<GroupService> services);
  /// The routes of a service as they are now.
  [[nodiscard]] std::vector<proxy::RouteSpec> routes_of(const std::string& service) const;

  Task<void> drain(std::vector<std::string> instances) override;
  std::set<std::string> instances_of(std::string_view prefix) override {
    return inherited_.instances_of(prefix);
  }
  void forget(const std::vector<std::string>& instances) override;
  void resume(const std::vector<std::string>& instances) override;

 private:
  uint64_t publish(const std::vector<std::string>& services, bool inherited_changed = false);
  std::string drop_kept(const std::string& instance);
  [[nodiscard]] proxy::RouteEdit edit_of(const std::string& service) const;

  Executor& executor_;
  proxy::RouteSink& sink_;
  std::string tag_prefix_;
  InheritedRoutes inherited_;
  Event* predecessor_gone_ = nullptr;  // null: there is none
  std::map<std::string, ServiceSnapshot> services_;
  std::map<std::string, std::string> service_of_;  // by instance
  std::map<std::string, GroupService> sleeping_;
  std::set<std::string> draining_;
  std::set<std::string> gone_;  // among those: gone for good, but the catalog still lists them
  std::set<std::string> kept_;  // among those: no longer in the catalog, and not yet gone
};

}  // namespace sluice::orchestrator
