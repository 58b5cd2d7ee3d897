#include "proxy/table_state.h"

namespace sluice::proxy {

void write_table_state(const RouteTable& table, JsonWriter& json) {
  json.begin_array();
  table.for_each_host([&](const Host& host) {
    host.for_each_route([&](const Route& route) {
      const auto targets = route.all_targets();
      for (size_t i = 0; i < targets.size(); ++i) {
        const Target* target = targets[i];
        if (route.is_other_address(i)) continue;  // the names bring their addresses along
        json.begin_object()
            .member("service", target->service())
            .member("instance", target->instance())
            .member("host", host.pattern())
            .member("path", route.path())
            .member("opts", target->options().text)
            .member("weight", target->fixed_weight())
            .member("healthy", target->healthy())
            .member("draining", target->parts().draining)
            .member("dst", target->destination());
        json.key("tags").begin_array();
        for (const std::string& tag : target->tags()) json.value(tag);
        json.end_array().end_object();
      }
      return true;
    });
  });
  json.end_array();
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

}  // namespace sluice::proxy
