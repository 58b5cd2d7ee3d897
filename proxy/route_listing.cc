#include "proxy/route_listing.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "core/json.h"

namespace sluice::proxy {

namespace {

std::vector<const Host*> sorted_hosts(const RouteTable& table) {
  std::vector<const Host*> hosts;
  hosts.reserve(table.host_count());
  table.for_each_host([&](const Host& host) { hosts.push_back(&host); });
  std::sort(hosts.begin(), hosts.end(), [](const Host* a, const Host* b) {
    if (a->pattern().empty() != b->pattern().empty()) return b->pattern().empty();
    return more_specific(*a, *b);
  });
  return hosts;
}

/// Each target with its host, its route and its index among the route's targets.
template <class Visit>
void for_each_target(const RouteTable& table, Visit visit) {
  for (const Host* host : sorted_hosts(table)) {
    host->for_each_route([&](const Route& route) {
      const auto targets = route.all_targets();
      for (size_t i = 0; i < targets.size(); ++i) visit(*host, route, *targets[i], i);
      return true;
    });
  }
}

std::string join(std::span<const std::string> words) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += ',';
    out += word;
  }
  return out;
}

std::string command_of(const Host& host, const Route& route, const Target& target) {
  std::string text = fmt::format("route add {} {}{} {}", target.service(), host.pattern(),
                                 route.path(), target.destination());
  if (target.fixed_weight() > 0) text += fmt::format(" weight {:.4f}", target.fixed_weight());
  if (!target.tags().empty()) text += fmt::format(" tags \"{}\"", join(target.tags()));
  if (!target.options().text.empty()) text += fmt::format(" opts \"{}\"", target.options().text);
  return text;
}

void put_address(JsonWriter& json, const Target& target, const UpstreamNames* names) {
  const Endpoint* endpoint = target.endpoint();
  if (endpoint == nullptr || !endpoint->named()) return;
  json.member("address", endpoint->address());
  if (endpoint->resolved()) return;
  const std::string_view trouble =
      names == nullptr ? std::string_view() : names->trouble(std::string(endpoint->host()));
  json.member("problem", trouble.empty() ? "the host name is being looked up" : trouble);
}

}  // namespace

std::string routes_json(const RouteTable& table, const UpstreamNames* names, int indent) {
  std::string out;
  JsonWriter json(out, indent);
  json.begin_array();
  for_each_target(table, [&](const Host& host, const Route& route, const Target& target, size_t i) {
    json.begin_object()
        .member("service", target.service())
        .member("host", host.pattern())
        .member("path", route.path())
        .member("src", fmt::format("{}{}", host.pattern(), route.path()))
        .member("dst", target.destination())
        .member("opts", target.options().text)
        .member("weight", route.weight(i))
        .member("healthy", target.healthy());
    put_address(json, target, names);
    json.key("tags").begin_array();
    for (const std::string& tag : target.tags()) json.value(tag);
    json.end_array();
    json.member("cmd", "route add").end_object();
  });
  json.end_array();
  out += '\n';
  return out;
}

std::string routes_text(const RouteTable& table) {
  std::string out;
  for_each_target(table, [&](const Host& host, const Route& route, const Target& target, size_t i) {
    if (!route.is_other_address(i)) out += command_of(host, route, target) + "\n";
  });
  return out;
}

std::string rejected_json(const std::vector<RejectedRoute>& rejected, int indent) {
  std::string out;
  JsonWriter json(out, indent);
  json.begin_array();
  for (const RejectedRoute& each : rejected) {
    json.begin_object()
        .member("service", each.service)
        .member("tag", each.tag)
        .member("reason", each.reason)
        .end_object();
  }
  json.end_array();
  out += '\n';
  return out;
}

}  // namespace sluice::proxy
