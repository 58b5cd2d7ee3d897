// RouteSet's first step: what is wrong with a spec (proxy/route_set.h).
#include <fmt/core.h>

#include <algorithm>

#include "proxy/route_set.h"

namespace sluice::proxy {

Result<void> RouteSet::check_options(const RouteSpec& spec) const {
  const std::string& auth = spec.options.auth;
  if (!auth.empty() &&
      std::ranges::find(settings_.auth_schemes, auth) == settings_.auth_schemes.end()) {
    return fail(Code::kInvalid, "auth={}: no scheme of that name (-proxy.auth)", auth);
  }
  switch (place_of(spec).matcher) {
    case Matcher::kGlob: {
      auto glob = Glob::compile(spec.path);
      return glob ? Result<void>() : pass(glob);
    }
    case Matcher::kRegex: {
      auto regex = Regex::compile(spec.path);
      return regex ? Result<void>() : pass(regex);
    }
    case Matcher::kDefault:
    case Matcher::kPrefix:
    case Matcher::kIprefix:
    case Matcher::kSegment: return {};
  }
  return {};
}

std::string RouteSet::without_effect(const RouteOptions& options) const {
  std::string out;
  if (!options.ignored.empty()) {
    out = fmt::format("{}: not known; the route is there without it", options.ignored);
  }
  if (!options.register_name.empty() && !settings_.registers) {
    out += fmt::format("{}register={}: the balancer registers itself nowhere; the route is there",
                       out.empty() ? "" : "; ", options.register_name);
  }
  return out;
}

Result<void> RouteSet::check(const RouteSpec& spec) const {
  if (spec.service.empty()) return fail(Code::kInvalid, "the service has no name");
  if (spec.host.size() > settings_.host_bytes || spec.path.size() > settings_.path_bytes ||
      spec.destination.host.size() > settings_.host_bytes) {
    return fail(Code::kLimit, "the host or the path is too long");
  }
  if (spec.host.find('\0') != std::string::npos || spec.path.find('\0') != std::string::npos) {
    return fail(Code::kInvalid, "NUL in the host or the path");
  }
  if (spec.options.redirect_code == 0 && spec.destination.host.empty()) {
    return fail(Code::kInvalid, "the destination has no host");
  }
  if (target_count_ >= settings_.routes) {
    return fail(Code::kLimit, "more than {} routes", settings_.routes);
  }
  Result<void> options = check_options(spec);
  if (!options) return options;
  const HostPattern pattern = parse_pattern(spec.host);
  if (pattern.kind != HostKind::kGlob) return {};
  auto glob = Glob::compile(pattern.name);
  if (!glob) return pass(glob);
  if (!glob_hosts_.contains(spec.host) && glob_hosts_.size() >= settings_.glob_hosts) {
    return fail(Code::kLimit, "more than {} hosts hold a general glob", settings_.glob_hosts);
  }
  return {};
}

}  // namespace sluice::proxy
