#include "lb_config.h"

#include <algorithm>
#include <charconv>

#include "core/check.h"
#include "core/duration.h"

namespace sluice {

const std::vector<Property>& known_properties() {
  static const std::vector<Property> kProperties = {
      {"log.access.format", "common", "common, combined or a format of its own"},
      {"log.access.target", "", "stdout writes the access log there"},
      {"log.level", "INFO", "TRACE, DEBUG, INFO, WARN or ERROR"},
      {"proxy.addr", ":9999", "listeners: addr;k=v;...,..."},
      {"proxy.localip", "", "the address that X-Forwarded and Forwarded name as ours"},
      {"proxy.matcher", "prefix", "prefix, iprefix, glob, segment or regex"},
      {"proxy.noroutestatus", "404", "the status where no route matches"},
      {"proxy.strategy", "rnd", "rnd, rr or leastconn"},
      {"proxy.threads", "0", "reactors; 0: one a core"},
      {"registry.consul.tagprefix", "urlprefix-", "what a tag begins with to be a route"},
      {"ui.addr", "127.0.0.1:9998", "the routes page and API"},
  };
  return kProperties;
}

static const Property* find(std::string_view name) {
  for (const Property& property : known_properties()) {
    if (property.name == name) return &property;
  }
  return nullptr;
}

bool is_property(std::string_view name) {
  return find(name) != nullptr;
}

std::optional<std::string> property_name(std::string_view key) {
  std::string dotted(key);
  std::replace(dotted.begin(), dotted.end(), '_', '.');
  if (is_property(dotted)) return dotted;
  dotted.insert(0, "proxy.");
  if (is_property(dotted)) return dotted;
  return std::nullopt;
}

std::string Properties::get(const std::string& name) const {
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second;
  const Property* property = find(name);
  CHECK(property != nullptr);
  return std::string(property->default_value);
}

Result<bool> Properties::get_bool(const std::string& name) const {
  const std::string text = get(name);
  if (text == "true" || text == "1" || text == "t") return true;
  if (text == "false" || text == "0" || text == "f" || text.empty()) return false;
  return fail(Code::kInvalid, "-{} {}: want true or false", name, text);
}

Result<int64_t> Properties::get_int(const std::string& name) const {
  const std::string text = get(name);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Code::kInvalid, "-{} {}: want a number", name, text);
  }
  return value;
}

Result<int64_t> Properties::get_duration_ms(const std::string& name) const {
  Result<int64_t> ns = parse_go_duration(get(name));
  if (!ns) return pass(ns, "-{}", name);
  return *ns / 1'000'000;
}

}  // namespace sluice
