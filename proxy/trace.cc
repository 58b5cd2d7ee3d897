#include "proxy/trace.h"

#include <string>

namespace sluice::proxy {

namespace {

/// The lines of one host. True: the chosen route was among them.
bool trace_host(Log& log, std::string_view id, const Host& host, std::string_view path,
                const Route* chosen, size_t& no_match_lines) {
  const Route* match = host.match(path);
  bool done = false;
  host.for_each_route([&](const Route& route) {
    if (&route == match) {
      log.trace("{} Match {}{}", id, host.pattern(), route.path());
      done = match == chosen;
      return false;
    }
    if (++no_match_lines > kTraceNoMatchLines) return match != nullptr;
    if (no_match_lines == kTraceNoMatchLines) {
      log.trace("{} No match ... and more", id);
    } else {
      log.trace("{} No match {}{}", id, host.pattern(), route.path());
    }
    return true;
  });
  return done;
}

}  // namespace

void trace_lookup(Log& log, const RouteTable& table, const HostName& host,
                  const TracedRequest& request, const Route* chosen, const Target* target) {
  if (!log.enabled(LogLevel::kTrace)) return;
  const std::string_view id = request.id.substr(0, kTraceIdBytes);
  log.trace("{} Tracing {}{}", id, request.host, request.path);
  const RouteCursor::Hosts found = RouteCursor::matching_hosts(table, host);
  std::string names;
  for (size_t i = 0; i < found.count; ++i) {
    if (i > 0) names += ' ';
    names += found.hosts[i]->pattern();
  }
  log.trace("{} Matching hosts: [{}]", id, names);
  size_t no_match_lines = 0;
  bool done = false;
  for (size_t i = 0; i < found.count && !done; ++i) {
    done = trace_host(log, id, *found.hosts[i], request.path, chosen, no_match_lines);
  }
  if (!done && found.fallback != nullptr) {
    done = trace_host(log, id, *found.fallback, request.path, chosen, no_match_lines);
  }
  if (chosen == nullptr && no_match_lines == 0) {
    // No key to name: say it of the request, so that the trace does not just end.
    log.trace("{} No match {}{}", id, request.host, request.path);
  }
  if (target != nullptr) {
    log.trace("{} Routing to service {} on {}", id, target->service(), target->destination());
  } else if (chosen != nullptr) {
    log.trace("{} No healthy instance", id);
  }
}

void log_no_route(Log& log, std::string_view host, std::string_view target) {
  log.warn("No route for {}{}", host, target);
}

}  // namespace sluice::proxy
