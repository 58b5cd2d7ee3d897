// Which call of the API a method and a path are.
//
// Patterns: "/v1/job/*id/plan": ":x" is one segment, "*x" is one or more (job ids hold slashes, and
// old clients send them unescaped). Segments are matched as they came and decoded afterwards, so
// that an escaped slash stays inside its segment.
//
// Pure; tables are constant.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/task.h"

namespace sluice::orchestrator::api {

class Call;

struct Route {
  std::string_view method;  // "GET", "DELETE", or "PUT", which takes POST too
  std::string_view pattern;
  Task<void> (*run)(Call& call);
};

/// The values of the pattern's parameters, decoded; nullopt where the path is another.
std::optional<std::vector<std::string>> match_path(std::string_view pattern, std::string_view path);

struct RouteMatch {
  const Route* route = nullptr;  // nullptr: see path_known
  std::vector<std::string> params;
  bool path_known = false;  // the path exists for other methods
};
/// The first route that fits.
RouteMatch find_route(std::span<const std::span<const Route>> tables, std::string_view method,
                      std::string_view path);

}  // namespace sluice::orchestrator::api
