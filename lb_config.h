// The balancer's settings under fabio's names, from flags, environment (FABIO_X_Y) and a properties
// file.
//
// Pure but for reading the file. Owner: main.cc. A name is fabio's with dots ("proxy.addr").
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice {

struct Property {
  std::string_view name;
  std::string_view default_value;
  std::string_view help;
};

/// All that are understood, in the order of their names.
const std::vector<Property>& known_properties();
bool is_property(std::string_view name);
/// The dotted name of what a configuration file writes with `_`: "log_access_target" of
/// "log.access.target"; "addr" and what else belongs to the proxy may leave "proxy_" out.
std::optional<std::string> property_name(std::string_view key);

/// Values by name; a name that was not set has its default.
class Properties {
 public:
  void set(std::string name, std::string value) { values_[std::move(name)] = std::move(value); }
  bool is_set(const std::string& name) const { return values_.contains(name); }
  /// The name must be a known one (CHECK).
  std::string get(const std::string& name) const;
  Result<bool> get_bool(const std::string& name) const;
  Result<int64_t> get_int(const std::string& name) const;
  Result<int64_t> get_duration_ms(const std::string& name) const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace sluice
