// The balancer's settings under fabio's names ("proxy.addr"): what each is, and their values from
// flags, the environment and a properties file.
//
// Every property of fabio 1.7 is known. One that does what it says is kSupported; setting one that
// has no effect here is a warning, and one that asks for something that is not there is an error:
// nothing is ignored in silence.
//
// Pure but for reading the file. Owner: main.cc, and AgentConfig. Any thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/disk.h"
#include "core/result.h"

namespace sluice {

enum class PropertyType : uint8_t { kText, kBool, kInt, kDuration };
enum class PropertySupport : uint8_t { kSupported, kNoEffect, kUnsupported };

inline constexpr bool kSecret = true;

inline constexpr size_t kConfigBytes = 16 * 1024 * 1024;  // static routes may be in it

struct Property {
  std::string_view name;
  PropertyType type;
  std::string_view default_value;
  PropertySupport support;
  std::string_view help;  // what it says; of what is not supported: why
  bool secret = false;    // not shown by /api/config
};

/// All that are known, in the order of their names.
std::span<const Property> known_properties();
const Property* find_property(std::string_view name);
/// The dotted name of what a configuration file writes with `_`: "log_access_target" of
/// "log.access.target"; "addr" and what else belongs to the proxy may leave "proxy_" out.
std::optional<std::string> property_name(std::string_view key);

/// Values by name; a name that was not set has its default.
class Properties {
 public:
  void set(std::string name, std::string value) { values_[std::move(name)] = std::move(value); }
  bool is_set(const std::string& name) const { return values_.contains(name); }
  /// The name must be a known one (CHECK), here and below; the values are checked ones.
  std::string get(const std::string& name) const;
  bool get_bool(const std::string& name) const;
  int64_t get_int(const std::string& name) const;
  int64_t get_duration_ms(const std::string& name) const;
  /// The parts between commas, without blanks around them; no empty ones.
  std::vector<std::string> get_list(const std::string& name) const;

  /// Whether each value has its type, and nothing is asked for that is not there. Adds a warning
  /// for each that is set and has no effect.
  Result<void> check(std::vector<std::string>& warnings) const;

 private:
  std::map<std::string, std::string> values_;
};

/// The agent's: its routes come from its own catalog, and its page is for this machine.
Result<void> check_agent_properties(std::map<std::string, std::string>& values,
                                    std::vector<std::string>& warnings);

struct LbConfig {
  Properties properties;
  std::vector<std::string> warnings;
  bool help = false;     // the user asked for it: nothing else is set
  bool version = false;  // the same
};

/// The balancer alone, as its command line asks for it. In this order of precedence: flags
/// (`-name=value`, `-name value`), the environment (SLUICE_PROXY_ADDR, FABIO_PROXY_ADDR,
/// PROXY_ADDR, in any case), the file of `-cfg`, which `fetch` gets where it is a URL.
using FetchConfig = std::function<Result<std::string>(const std::string& url)>;
Result<LbConfig> load_lb_config(const std::vector<std::string>& arguments,
                                const std::vector<std::string>& environment, Disk& disk,
                                const FetchConfig& fetch);

/// Whether the word, the program's first, is a flag of the balancer alone.
bool is_lb_flag(std::string_view word);

/// The text of `sluice lb -help`.
std::string lb_usage();

/// A properties file: `key = value` lines, `#` and `!` comments, a backslash at the end of a line
/// goes on with the next, \uXXXX and its like, `${key}` of the file or the environment.
Result<std::map<std::string, std::string>> parse_properties(
    std::string_view text,
    const std::function<std::optional<std::string>(std::string_view)>& environment);

}  // namespace sluice
