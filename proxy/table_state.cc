#include "proxy/table_state.h"

#include "core/check.h"

namespace sluice::proxy {

namespace {

/// Each target that a source said, once.
template <class Visit>
void for_each_said(const RouteTable& table, Visit visit) {
  table.for_each_host([&](const Host& host) {
    host.for_each_route([&](const Route& route) {
      const auto targets = route.all_targets();
      for (size_t i = 0; i < targets.size(); ++i) {
        // The names bring their addresses along.
        if (!route.is_other_address(i)) visit(host, route, *targets[i]);
      }
      return true;
    });
  });
}

}  // namespace

void write_table_state(const RouteTable& table, JsonWriter& json) {
  json.begin_array();
  for_each_said(table, [&](const Host& host, const Route& route, const Target& target) {
    json.begin_object()
        .member("service", target.service())
        .member("instance", target.instance())
        .member("host", host.pattern())
        .member("path", route.path())
        .member("opts", target.options().text)
        .member("weight", target.fixed_weight())
        .member("healthy", target.healthy())
        .member("draining", target.parts().draining)
        .member("dst", target.destination());
    json.key("tags").begin_array();
    for (const std::string& tag : target.tags()) json.value(tag);
    json.end_array().end_object();
  });
  json.end_array();
}

RouteEdit table_edit(const RouteTable& table) {
  RouteEdit edit{.key = std::string(kInheritedKey)};
  for_each_said(table, [&](const Host& host, const Route& route, const Target& target) {
    RouteSpec spec{.service = std::string(target.service()),
                   .instance = std::string(target.instance()),
                   .host = std::string(host.pattern()),
                   .path = std::string(route.path()),
                   .options = target.options(),
                   .tags = {target.tags().begin(), target.tags().end()},
                   .healthy = target.healthy(),
                   .draining = target.parts().draining};
    spec.options.weight = target.fixed_weight();
    if (spec.options.redirect_code == 0) {
      Result<Destination> to = parse_destination(target.destination());
      CHECK(to);  // it was made from one
      spec.destination = std::move(*to);
    }
    edit.routes.push_back(std::move(spec));
  });
  return edit;
}

namespace {

Result<RouteSpec> read_route(const Json& each) {
  RouteSpec spec;
  spec.service = each.get_string("service");
  spec.instance = each.get_string("instance");
  spec.host = each.get_string("host");
  spec.path = each.get_string("path");
  spec.healthy = each.get_bool("healthy");
  spec.draining = each.get_bool("draining");
  Scheme scheme = Scheme::kHttp;
  Result<RouteOptions> options = parse_options(each.get_string("opts"), scheme);
  if (!options) return pass(options, "route {}{}", spec.host, spec.path);
  spec.options = std::move(*options);
  spec.options.weight = each.get_double("weight");
  if (spec.options.redirect_code != 0) {
    // The options' text has the code alone, as the routes API shows it.
    spec.options.redirect_url = each.get_string("dst");
  } else {
    Result<Destination> parsed = parse_destination(each.get_string("dst"));
    if (!parsed) return pass(parsed, "route {}{}", spec.host, spec.path);
    spec.destination = std::move(*parsed);
  }
  const Json* tags = each.find("tags");
  if (tags == nullptr || !tags->is_array()) return fail(Code::kInvalid, "a route without tags");
  for (const Json& tag : tags->as_array()) {
    if (!tag.is_string()) return fail(Code::kInvalid, "a tag is no string");
    spec.tags.push_back(tag.as_string());
  }
  return spec;
}

}  // namespace

Result<RouteEdit> read_table_state(const Json& state) {
  RouteEdit edit{.key = std::string(kInheritedKey)};
  if (!state.is_array()) return fail(Code::kInvalid, "the table is no array");
  for (const Json& each : state.as_array()) {
    Result<RouteSpec> spec = read_route(each);
    if (!spec) return pass(spec, "table");
    edit.routes.push_back(std::move(*spec));
  }
  return edit;
}

void write_endpoint_state(const EndpointRegistry& endpoints, JsonWriter& json) {
  json.begin_array();
  endpoints.for_each([&](const Endpoint& each) {
    Endpoint::Health health = each.health();
    // One that is healthy now will have been so there, too.
    if (!each.retired()) health.was_healthy = false;
    if (health == Endpoint::Health()) return;
    const Destination destination = each.destination();
    json.begin_object()
        .member("scheme", to_string(destination.scheme))
        .member("host", destination.host)
        .member("port", destination.port)
        .member("address", each.address())
        .member("server_name", each.named_server())
        .member("tls_skip_verify", each.tls_skip_verify())
        .member("proxy_protocol", each.proxy_protocol())
        .member("ejected_until_ms", health.ejected_until_ms)
        .member("failures", health.failures)
        .member("ejections", health.ejections)
        .member("was_healthy", health.was_healthy)
        .end_object();
  });
  json.end_array();
}

Result<void> read_endpoint_state(const Json& state, const EndpointRegistry& endpoints) {
  if (!state.is_array()) return fail(Code::kInvalid, "the endpoints are no array");
  for (const Json& each : state.as_array()) {
    const auto scheme = parse_scheme(each.get_string("scheme"));
    if (!scheme) return fail(Code::kInvalid, "an endpoint without a scheme");
    EndpointKey key;
    key.destination = {*scheme, std::string(each.get_string("host")),
                       static_cast<uint16_t>(each.get_int("port"))};
    key.address = each.get_string("address");
    key.server_name = each.get_string("server_name");
    key.tls_skip_verify = each.get_bool("tls_skip_verify");
    key.proxy_protocol = each.get_bool("proxy_protocol");
    const Endpoint* endpoint = endpoints.find(key);
    if (endpoint == nullptr) continue;
    endpoint->restore(
        {.ejected_until_ms = each.get_int("ejected_until_ms"),
         .failures = static_cast<uint32_t>(each.get_int("failures")),
         .ejections = static_cast<uint32_t>(each.get_int("ejections")),
         .was_healthy = each.get_bool("was_healthy") || endpoint->health().was_healthy});
  }
  return {};
}

}  // namespace sluice::proxy
