#include "proxy/table_router.h"

#include "core/log.h"
#include "core/reactor.h"
#include "proxy/address_ranges.h"
#include "proxy/headers.h"
#include "proxy/host_path.h"
#include "proxy/trace.h"

namespace sluice::proxy {

namespace {

bool address_admitted(const RouteOptions& options, const SocketAddress& address) {
  return options.allow.empty() ? !contains(options.deny, address)
                               : contains(options.allow, address);
}

// fabio: the peer and every element of X-Forwarded-For must pass. An element that is no address
// does not.
bool admitted(const RouteOptions& options, const RouteQuery& query) {
  if (options.allow.empty() && options.deny.empty()) return true;
  if (!address_admitted(options, query.client.peer)) return false;
  for (uint16_t i = 0; i < query.head.header_count; ++i) {
    if (query.head.headers[i].id != http1::Name::kXForwardedFor) continue;
    std::string_view rest = query.head.headers[i].value;
    while (!rest.empty()) {
      const size_t comma = rest.find(',');
      std::string_view element = rest.substr(0, comma);
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
      while (!element.empty() && (element.front() == ' ' || element.front() == '\t'))
        element.remove_prefix(1);
      while (!element.empty() && (element.back() == ' ' || element.back() == '\t'))
        element.remove_suffix(1);
      if (element.empty()) continue;
      const Result<SocketAddress> address = SocketAddress::make(element, 0);
      if (!address || !address_admitted(options, *address)) return false;
    }
  }
  return true;
}

// `$host` and `$path` replaced; the query only behind $path.
std::string_view expand_redirect(const RouteQuery& query, const Target& target,
                                 std::string_view path, std::string_view query_part,
                                 HeadWriter& out, char* room) {
  std::string_view url = target.options().redirect_url;
  bool with_path = false;
  while (!url.empty()) {
    if (url.starts_with("$host")) {
      out.add(query.head.authority);
      url.remove_prefix(5);
    } else if (url.starts_with("$path")) {
      out.add(path);
      with_path = true;
      url.remove_prefix(5);
    } else {
      out.add(url.substr(0, 1));
      url.remove_prefix(1);
    }
  }
  if (with_path) out.add(query_part);
  return {room, out.size()};
}

// A redirect to where the request already is would go round for ever.
bool leads_to_itself(const RouteQuery& query, std::string_view location,
                     std::string_view path_and_query) {
  const std::string_view scheme = query.client.tls ? "https://" : "http://";
  if (!location.starts_with(scheme)) return false;
  location.remove_prefix(scheme.size());
  return location.starts_with(query.head.authority) &&
         location.substr(query.head.authority.size()) == path_and_query;
}

}  // namespace

uint64_t TableRouter::next_random() {
  random_ += 0x9e3779b97f4a7c15;  // SplitMix64
  uint64_t z = random_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

RouteDecision TableRouter::route(const RouteQuery& query) {
  HostName host;
  if (!parse_host(query.head.authority, query.client.tls, host)) return {.refuse = 400};
  std::string_view path = query.head.path.substr(0, query.head.path.find('?'));
  bool changed = false;
  if (path == "*") {
    path = "/";  // OPTIONS *: the route of the host's root, and sent as it came
  } else {
    const NormalPath normal = normalise_path(path, path_room_.data());
    switch (normal.status) {
      case PathStatus::kUnchanged: break;
      case PathStatus::kChanged: changed = true; break;
      case PathStatus::kAboveRoot:
      case PathStatus::kMalformed: return {.refuse = 400};
    }
    path = normal.path;
  }
  const Found found = find(query, host, path, changed);
  if (options_.log != nullptr && query.tried.empty() && !query.quiet) [[unlikely]] {
    if (query.head.has_trace && options_.log->enabled(LogLevel::kTrace)) {
      const TracedRequest traced{query.head.find(http1::Name::kTraceId)->value,
                                 query.head.authority, path};
      trace_lookup(*options_.log, reader_.table(), host, traced, found.route, found.target);
    }
    if (found.route == nullptr) log_no_route(*options_.log, query.head.authority, query.head.path);
  }
  return found.decision;
}

TableRouter::Found TableRouter::find(const RouteQuery& query, const HostName& host,
                                     std::string_view path, bool changed) {
  const std::string_view whole = query.head.path;
  const size_t mark = whole.find('?');
  const std::string_view query_part =
      mark == std::string_view::npos ? std::string_view() : whole.substr(mark);
  const PickInput input{next_random(), reactor_.now_ms(), query.tried};
  RouteCursor cursor(reader_.table(), host, path);
  while (const Route* route = cursor.next()) {
    const Pick picked = pick(*route, input);
    switch (picked.outcome) {
      case PickOutcome::kNoneHealthy: return {{.refuse = 503}, route, nullptr};
      case PickOutcome::kAllFailed:
        return {{.refuse = static_cast<uint16_t>(query.tried.empty() ? 503 : 502)}, route, nullptr};
      case PickOutcome::kPicked: break;
    }
    const Target& target = *picked.target;
    // What is for connections is not for requests: the next host may have something.
    if (target.endpoint() != nullptr && target.endpoint()->scheme() == Scheme::kTcp) continue;
    if (target.endpoint() == nullptr) {
      HeadWriter out(send_room_.data(), send_room_.size());
      const std::string_view location =
          expand_redirect(query, target, path, query_part, out, send_room_.data());
      if (!out.ok() || leads_to_itself(query, location, whole)) continue;
      if (!admitted(target.options(), query)) return {{.refuse = 403}, route, &target};
      return {{.refuse = target.options().redirect_code, .location = location}, route, &target};
    }
    return {decide(query, target, path, query_part, changed), route, &target};
  }
  return {{.refuse = options_.no_route_status, .no_route = true}, nullptr, nullptr};
}

const Route* TableRouter::find_stream(const StreamQuery& query) const {
  using By = StreamQuery::By;
  const RouteTable& table = reader_.table();
  if (query.by == By::kAddress) return table.find_address(query.address, query.listener_port);
  if (query.by == By::kPort) return table.find_port(query.listener_port);
  HostName host;
  // A name that is none routes nowhere, also not by default.
  if (!parse_host(query.server_name, true, host)) return nullptr;
  if (query.server_name.empty()) {
    const Route* by_port = table.find_port(query.listener_port);
    if (by_port != nullptr) return by_port;
  }
  return RouteCursor(table, host, "/").next();
}

RouteDecision TableRouter::route_stream(const StreamQuery& query) {
  using By = StreamQuery::By;
  const RouteDecision no_route{.refuse = 404, .no_route = true};
  const Route* route = find_stream(query);
  if (route == nullptr) return no_route;
  const Pick picked = pick(*route, {next_random(), reactor_.now_ms(), query.tried});
  if (picked.outcome != PickOutcome::kPicked) return {.refuse = 503};
  const Endpoint* endpoint = picked.target->endpoint();
  if (endpoint == nullptr) return no_route;  // a redirect is for requests
  // What begins with a ClientHello is of use to one who speaks TLS; tcp is whatever it is.
  const bool tcp = endpoint->scheme() == Scheme::kTcp;
  if (query.by == By::kTcpOnly && !tcp) return no_route;
  if (query.by == By::kServerName && !tcp && !endpoint->tls()) return no_route;
  if (!address_admitted(picked.target->options(), query.peer)) return {.refuse = 403};
  endpoint->begin();
  return {.endpoint = endpoint, .service = picked.target->service()};
}

RouteDecision TableRouter::decide(const RouteQuery& query, const Target& target,
                                  std::string_view path, std::string_view query_part,
                                  bool changed) {
  const RouteOptions& options = target.options();
  if (!admitted(options, query)) return {.refuse = 403};
  RouteDecision decision;
  decision.endpoint = target.endpoint();
  decision.service = target.service();
  decision.path = query.head.path;
  const bool stripped = !options.strip.empty() && path.starts_with(options.strip);
  if (query.head.path != "*" && (changed || stripped || !options.prepend.empty())) {
    HeadWriter out(send_room_.data(), send_room_.size());
    out.add(options.prepend);
    if (stripped) {
      decision.stripped_prefix = options.strip;
      path.remove_prefix(options.strip.size());
      if (!path.starts_with('/')) out.add("/");
    }
    out.add(path);
    out.add(query_part);
    if (!out.ok()) return {.refuse = 414};
    decision.path = {send_room_.data(), out.size()};
  }
  if (options.host == "dst") {
    HeadWriter out(host_room_.data(), host_room_.size());
    const bool v6 = target.endpoint()->family() == Endpoint::Family::kIpv6;
    out.add(v6 ? "[" : "");
    out.add(target.endpoint()->host());
    out.add(v6 ? "]:" : ":");
    out.add_number(target.endpoint()->port());
    if (out.ok()) decision.host = {host_room_.data(), out.size()};
  } else {
    decision.host = options.host;
  }
  target.endpoint()->begin();
  return decision;
}

}  // namespace sluice::proxy
