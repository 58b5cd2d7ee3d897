#include "proxy/table_router.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/http1_text.h"
#include "core/log.h"
#include "core/reactor.h"
#include "proxy/address_ranges.h"
#include "proxy/headers.h"
#include "proxy/host_path.h"
#include "proxy/maglev.h"
#include "proxy/redirect.h"
#include "proxy/trace.h"

namespace sluice::proxy {

namespace {

bool address_admitted(const RouteOptions& options, const SocketAddress& address) {
  return options.allow.empty() ? !contains(options.deny, address)
                               : contains(options.allow, address);
}

/// Whether requests that find no instance under the route ask for one, and wait for it.
bool wakes(const Route& route) {
  const RouteExtra* extra = route.extra();
  return extra != nullptr && extra->limits && extra->limits->options().wakes;
}

// Calls f with each element of X-Forwarded-For, in order, until it returns false.
template <class F>
bool each_forwarded_for(const http1::Head& head, F f) {
  bool go_on = true;
  for (uint16_t i = 0; go_on && i < head.header_count; ++i) {
    if (head.headers[i].id != http1::Name::kXForwardedFor) continue;
    http1::for_each_element(head.headers[i].value, [&](std::string_view element) {
      if (go_on && !element.empty()) go_on = f(element);
    });
  }
  return go_on;
}

// fabio: the peer and every element of X-Forwarded-For must pass. An element that is no address
// does not.
bool admitted(const RouteOptions& options, const RouteQuery& query) {
  if (options.allow.empty() && options.deny.empty()) return true;
  if (!address_admitted(options, query.client.peer)) return false;
  return each_forwarded_for(query.head, [&](std::string_view element) {
    const Result<SocketAddress> address = SocketAddress::make(element, 0);
    return address && address_admitted(options, *address);
  });
}

// The value of a cookie of the request (RFC 6265 4.2.1); "" if there is none.
std::string_view find_cookie(const http1::Head& head, std::string_view name) {
  for (uint16_t i = 0; i < head.header_count; ++i) {
    if (head.headers[i].id != http1::Name::kCookie) continue;
    std::string_view rest = head.headers[i].value;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = http1::trim(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (pair.size() > name.size() && pair[name.size()] == '=' && pair.starts_with(name)) {
        return pair.substr(name.size() + 1);
      }
    }
  }
  return {};
}

std::optional<uint64_t> parse_id(std::string_view text) {
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  if (text.size() != 16 || error != std::errc() || end != text.data() + 16) return std::nullopt;
  return id;
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
  PickInput input{next_random(), reactor_.now_ms(), query.tried, {}, {}};
  RouteCursor cursor(reader_.table(), host, path);
  while (const Route* route = cursor.next()) {
    if (route->extra() != nullptr) read_identity(query, *route->extra(), input);
    const auto found = [&](RouteDecision decision, const Target* target) {
      // Of a route that sends nobody anywhere, the first target's service stands for all.
      if (decision.service.empty()) decision.service = route->all_targets().front()->service();
      decision.route_host = cursor.host()->pattern();
      decision.route_path = route->path();
      return Found{decision, route, target};
    };
    const Pick picked = pick(*route, input);
    switch (picked.outcome) {
      case PickOutcome::kNoneHealthy:
        if (!wakes(*route)) return found({.refuse = 503}, nullptr);
        [[fallthrough]];
      case PickOutcome::kBusy:
        // Whoever waits was let in before: the limits of the route hold for it too.
        return found(decide(query, *route, picked, path, query_part, changed), nullptr);
      case PickOutcome::kAllFailed:
        return found({.refuse = static_cast<uint16_t>(query.tried.empty() ? 503 : 502)}, nullptr);
      case PickOutcome::kPicked: break;
    }
    const Target& target = *picked.target;
    // What is for connections is not for requests: the next host may have something.
    if (target.endpoint() != nullptr && target.endpoint()->scheme() == Scheme::kTcp) continue;
    if (target.endpoint() == nullptr) {
      HeadWriter out(send_room_.data(), send_room_.size());
      const RedirectedRequest asked{query.head.authority, path, query_part};
      write_redirect(out, target.options().redirect_url, target.options().strip, asked);
      const std::string_view location = out.written(0);
      const bool https = asked_for_https(query.head, query.client);
      if (!out.ok() || leads_to_itself(location, asked, https)) continue;
      if (!admitted(target.options(), query)) return found({.refuse = 403}, &target);
      return found({.refuse = target.options().redirect_code, .location = location}, &target);
    }
    return found(decide(query, *route, picked, path, query_part, changed), &target);
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
  const PickInput input{
      next_random(), reactor_.now_ms(), query.tried, mix_hash(hash_address(query.peer)), {}};
  const Pick picked = pick(*route, input);
  if (picked.outcome == PickOutcome::kNoneHealthy && wakes(*route)) wake(*route);
  if (picked.outcome != PickOutcome::kPicked) return {.refuse = 503};
  const Endpoint* endpoint = picked.target->endpoint();
  if (endpoint == nullptr) return no_route;  // a redirect is for requests
  // What begins with a ClientHello is of use to one who speaks TLS; tcp is whatever it is.
  const bool tcp = endpoint->scheme() == Scheme::kTcp;
  if (query.by == By::kTcpOnly && !tcp) return no_route;
  if (query.by == By::kServerName && !tcp && !endpoint->tls()) return no_route;
  if (!address_admitted(picked.target->options(), query.peer)) return {.refuse = 403};
  const RouteExtra* extra = route->extra();
  const uint32_t limit =
      extra != nullptr && extra->limits ? extra->limits->options().connections : 0;
  if (!endpoint->try_begin(limit)) return {.refuse = 503};
  return {.endpoint = endpoint, .service = picked.target->service()};
}

void TableRouter::wake(const Route& route) const {
  if (!options_.wake || !route.extra()->limits->ask(reactor_.now_ms())) return;
  options_.wake(route.all_targets().front()->service());
}

SocketAddress TableRouter::client_address(const RouteQuery& query) const {
  if (!query.client.trusted) return query.client.peer;
  // The last one that is not a proxy of ours: what stands before it is only what the client says.
  SocketAddress found = query.client.peer;
  each_forwarded_for(query.head, [&](std::string_view element) {
    const Result<SocketAddress> address = SocketAddress::make(element, 0);
    if (!address) {
      found = query.client.peer;
    } else if (!contains(options_.trusted, *address) || found == query.client.peer) {
      found = *address;
    }
    return true;
  });
  return found;
}

void TableRouter::read_identity(const RouteQuery& query, const RouteExtra& extra,
                                PickInput& input) const {
  input.hash.reset();
  input.sticky.reset();
  if (!extra.sticky_cookie.empty()) {
    input.sticky = parse_id(find_cookie(query.head, extra.sticky_cookie));
  }
  std::string_view text;
  switch (extra.hash_input) {
    case HashInput::kNone: return;
    case HashInput::kAddress: input.hash = mix_hash(hash_address(client_address(query))); return;
    case HashInput::kCookie: text = find_cookie(query.head, extra.hash_name); break;
    case HashInput::kHeader: {
      const http1::Header* header = query.head.find(extra.hash_name);
      if (header != nullptr) text = header->value;
      break;
    }
  }
  if (!text.empty()) input.hash = stable_hash(text);
}

RouteDecision TableRouter::decide(const RouteQuery& query, const Route& route, const Pick& picked,
                                  std::string_view path, std::string_view query_part,
                                  bool changed) {
  // Of a route without an endpoint that is free, the first target stands for all.
  const bool asleep = route.targets().empty();
  const Target& target = picked.target != nullptr ? *picked.target
                         : asleep                 ? *route.all_targets().front()
                                                  : *route.targets().front();
  const RouteOptions& options = target.options();
  if (!admitted(options, query)) return {.refuse = 403};
  if (!options.auth.empty() && options.auth != query.authorised) {
    return {.refuse = 401, .service = target.service(), .auth = options.auth};
  }
  RouteDecision decision;
  const RouteExtra* extra = route.extra();
  uint32_t limit = 0;
  if (extra != nullptr && extra->limits) {
    const RouteLimits& limits = *extra->limits;
    limit = limits.options().connections;
    decision.address_hash = hash_address(client_address(query));
    if (!query.quiet && query.entered != &limits) {
      const Admission admission = limits.enter(decision.address_hash, reactor_.now_ms());
      if (admission != Admission::kYes) return {.refuse = 429, .service = target.service()};
    }
    if (!query.quiet) decision.limits = &limits;
  }
  if (picked.target == nullptr || !target.endpoint()->try_begin(limit)) {
    decision.refuse = 503;
    decision.service = target.service();
    decision.wait = true;
    if (asleep && !query.quiet) wake(route);
    return decision;
  }
  const RouteDecision sent = rewrite(query, target, path, query_part, changed);
  if (sent.endpoint == nullptr) {
    target.endpoint()->end();
    decision.refuse = sent.refuse;
    return decision;
  }
  decision.endpoint = sent.endpoint;
  decision.service = sent.service;
  decision.canary = target.parts().canary;
  decision.path = sent.path;
  decision.host = sent.host;
  decision.stripped_prefix = sent.stripped_prefix;
  if (extra != nullptr && !extra->sticky_cookie.empty()) {
    decision.cookie_id = extra->ids[picked.index];
    const bool has_it =
        parse_id(find_cookie(query.head, extra->sticky_cookie)) == decision.cookie_id;
    if (!has_it) decision.cookie = extra->sticky_cookie;
  }
  return decision;
}

RouteDecision TableRouter::rewrite(const RouteQuery& query, const Target& target,
                                   std::string_view path, std::string_view query_part,
                                   bool changed) {
  const RouteOptions& options = target.options();
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
  // RFC 9112 3.2 wants a Host of 1.1, and an empty one is refused by many: who named none asked for
  // whatever is there.
  const bool none = options.host.empty() && !query.head.has_host && query.head.authority.empty();
  if (none || options.host == "dst") {
    HeadWriter out(host_room_.data(), host_room_.size());
    const bool v6 = target.endpoint()->family() == Endpoint::Family::kIpv6;
    out.add(v6 ? "[" : "");
    out.add(target.endpoint()->host());
    out.add(v6 ? "]" : "");
    // RFC 9110 4.2.3: without the port that the scheme has anyway, as a client writes it.
    const uint16_t port = target.endpoint()->port();
    if (port != (target.endpoint()->tls() ? 443 : 80)) {
      out.add(":");
      out.add_number(port);
    }
    if (out.ok()) decision.host = {host_room_.data(), out.size()};
  } else {
    decision.host = options.host;
  }
  return decision;
}

}  // namespace sluice::proxy
