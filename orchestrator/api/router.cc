#include "orchestrator/api/router.h"

#include "core/http.h"

namespace sluice::orchestrator::api {
namespace {

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  while (!path.empty()) {
    const size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return segments;
}

/// Both are views into the same path: what stands from the first one's start to the last one's end.
std::string decoded(std::string_view first, std::string_view last) {
  const char* end = last.data() + last.size();
  return percent_decode({first.data(), static_cast<size_t>(end - first.data())}, false);
}

}  // namespace

std::optional<std::vector<std::string>> match_path(std::string_view pattern,
                                                   std::string_view path) {
  const std::vector<std::string_view> wanted = split(pattern);
  const std::vector<std::string_view> given = split(path);
  std::vector<std::string> params;
  size_t at = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (at == given.size()) return std::nullopt;
    if (wanted[i].starts_with('*')) {
      const size_t behind = wanted.size() - i - 1;
      if (given.size() < at + 1 + behind) return std::nullopt;
      const size_t last = given.size() - behind - 1;
      if (given[at].empty()) return std::nullopt;
      params.push_back(decoded(given[at], given[last]));
      at = last + 1;
    } else if (wanted[i].starts_with(':')) {
      if (given[at].empty()) return std::nullopt;
      params.push_back(decoded(given[at], given[at]));
      ++at;
    } else {
      if (wanted[i] != given[at]) return std::nullopt;
      ++at;
    }
  }
  if (at != given.size()) return std::nullopt;
  return params;
}

RouteMatch find_route(std::span<const std::span<const Route>> tables, std::string_view method,
                      std::string_view path) {
  if (method == "POST") method = "PUT";
  if (method == "HEAD") method = "GET";
  RouteMatch match;
  for (const auto& table : tables) {
    for (const Route& route : table) {
      auto params = match_path(route.pattern, path);
      if (!params) continue;
      match.path_known = true;
      if (route.method != method) continue;
      match.route = &route;
      match.params = std::move(*params);
      return match;
    }
  }
  return match;
}

}  // namespace sluice::orchestrator::api
