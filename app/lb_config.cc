#include "app/lb_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/check.h"
#include "core/duration.h"

namespace sluice {

namespace {

constexpr std::string_view kSpaces = " \t\r\n\f\v";

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

std::optional<bool> read_bool(std::string_view text) {
  // What Go's flag package takes.
  for (const char* yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

std::optional<int64_t> read_int(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A number alone is seconds: fabio's documentation writes `registry.custom.pollinterval = 5`.
std::optional<int64_t> read_duration_ms(std::string_view text) {
  constexpr int64_t kMostSeconds = INT64_MAX / 1'000'000'000;  // as Go's durations
  if (const auto seconds = read_int(text)) {
    if (*seconds < 0 || *seconds > kMostSeconds) return std::nullopt;
    return *seconds * 1'000;
  }
  const Result<int64_t> ns = parse_go_duration(text);
  if (!ns) return std::nullopt;
  return *ns / 1'000'000;
}

Result<void> check_value(const Property& property, std::string_view value) {
  const char* wanted = nullptr;
  switch (property.type) {
    case PropertyType::kText: break;
    case PropertyType::kBool:
      if (!read_bool(value)) wanted = "true or false";
      break;
    case PropertyType::kInt: {
      const auto number = read_int(value);
      if (!number || *number < 0) wanted = "a number from 0 on";
      break;
    }
    case PropertyType::kDuration: {
      const auto duration = read_duration_ms(value);
      if (!duration || *duration < 0) wanted = "a duration such as 500ms or 10s";
      break;
    }
  }
  if (wanted == nullptr) return {};
  return fail(Code::kInvalid, "-{} '{}': want {}", property.name, value, wanted);
}

bool is_default(const Property& property, std::string_view value) {
  if (value == property.default_value) return true;
  if (property.type == PropertyType::kBool) {
    return read_bool(value) == read_bool(property.default_value);
  }
  return property.type == PropertyType::kDuration &&
         read_duration_ms(value) == read_duration_ms(property.default_value);
}

}  // namespace

const Property* find_property(std::string_view name) {
  const auto all = known_properties();
  const auto found = std::ranges::find(all, name, &Property::name);
  return found == all.end() ? nullptr : &*found;
}

std::optional<std::string> property_name(std::string_view key) {
  std::string dotted(key);
  std::replace(dotted.begin(), dotted.end(), '_', '.');
  if (find_property(dotted) != nullptr) return dotted;
  dotted.insert(0, "proxy.");
  if (find_property(dotted) != nullptr) return dotted;
  return std::nullopt;
}

std::string Properties::get(const std::string& name) const {
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second;
  const Property* property = find_property(name);
  CHECK(property != nullptr);
  return std::string(property->default_value);
}

bool Properties::get_bool(const std::string& name) const {
  const auto value = read_bool(get(name));
  CHECK(value.has_value());
  return *value;
}

int64_t Properties::get_int(const std::string& name) const {
  const auto value = read_int(get(name));
  CHECK(value.has_value());
  return *value;
}

int64_t Properties::get_duration_ms(const std::string& name) const {
  const auto value = read_duration_ms(get(name));
  CHECK(value.has_value());
  return *value;
}

std::vector<std::string> Properties::get_list(const std::string& name) const {
  std::vector<std::string> parts;
  const std::string text = get(name);
  for (std::string_view rest = text; !rest.empty();) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view part = trim(rest.substr(0, comma));
    if (!part.empty()) parts.emplace_back(part);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return parts;
}

Result<void> Properties::check(std::vector<std::string>& warnings) const {
  for (const auto& [name, value] : values_) {
    const Property* property = find_property(name);
    if (property == nullptr) return fail(Code::kInvalid, "unknown property {}", name);
    Result<void> good = check_value(*property, value);
    if (!good) return good;
    switch (property->support) {
      case PropertySupport::kSupported: break;
      case PropertySupport::kNoEffect:
        warnings.push_back(fmt::format("-{} has no effect: {}", name, property->help));
        break;
      case PropertySupport::kUnsupported:
        if (is_default(*property, value)) break;
        return fail(Code::kUnsupported, "-{} {}: {}", name, property->secret ? "(secret)" : value,
                    property->help);
    }
  }
  return {};
}

Result<void> check_agent_properties(std::map<std::string, std::string>& values,
                                    std::vector<std::string>& warnings) {
  values.emplace("ui.addr", "127.0.0.1:9998");
  Properties properties;
  for (const auto& [name, value] : values) {
    if (name.starts_with("registry.") && name != "registry.consul.tagprefix" &&
        name != "registry.consul.kvpath") {
      return fail(Code::kUnsupported,
                  "{} is for the balancer alone: the agent's routes come from its catalog "
                  "(consul {{ }})",
                  name);
    }
    properties.set(name, value);
  }
  return properties.check(warnings);
}

std::string lb_usage() {
  std::string text =
      "Usage: sluice lb [flags], or sluice -proxy.addr=... and the like\n\n"
      "  The balancer alone, with routes from a registry: a drop-in for fabio. Each flag is also "
      "an\n"
      "  environment variable (FABIO_PROXY_ADDR) and a line of a properties file.\n\nFlags:\n"
      "  -cfg FILE\n        a properties file, or its http or https URL\n"
      "  -v, -version\n        print the version\n";
  for (const Property& property : known_properties()) {
    if (property.support != PropertySupport::kSupported) continue;
    text += fmt::format("  -{}\n        {} (\"{}\")\n", property.name, property.help,
                        property.default_value);
  }
  text += "\nKnown, and without effect; setting one is a warning:\n";
  for (const Property& property : known_properties()) {
    if (property.support != PropertySupport::kNoEffect) continue;
    text += fmt::format("  -{}: {}\n", property.name, property.help);
  }
  text += "\nKnown, and refused:\n";
  for (const Property& property : known_properties()) {
    if (property.support != PropertySupport::kUnsupported) continue;
    text += fmt::format("  -{}: {}\n", property.name, property.help);
  }
  return text;
}

}  // namespace sluice
