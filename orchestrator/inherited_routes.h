// InheritedRoutes: routes that came from another process, or another life of this one, until the
// catalog has said them itself: its checks start from nothing, and no instance is to be without
// traffic because of that.
//
// Owner: RouteSource. Thread: the control loop. A function that changes something returns true: the
// edit is to be applied again then.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "orchestrator/catalog.h"
#include "proxy/route_edit.h"

namespace sluice::orchestrator {

class InheritedRoutes {
 public:
  void set(proxy::RouteEdit edit) { edit_ = std::move(edit); }
  [[nodiscard]] const proxy::RouteEdit& edit() const { return edit_; }
  [[nodiscard]] bool empty() const { return edit_.routes.empty(); }

  /// What the catalog lists as healthy stands by itself.
  bool said(const ServiceSnapshot& snapshot);
  /// They drain: they keep their places and get nothing more.
  bool rest(const std::vector<std::string>& instances);
  bool forget(const std::vector<std::string>& instances);
  bool clear();
  /// Those of an allocation, whose ids begin with `prefix`.
  [[nodiscard]] std::set<std::string> instances_of(std::string_view prefix) const;

 private:
  proxy::RouteEdit edit_;
};

}  // namespace sluice::orchestrator
