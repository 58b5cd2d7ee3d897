// Route commands: fabio's language of the static backend and of the manual overrides in its KV.
//
//   route add <svc> <src> <dst>[ weight <w>][ tags "<t>,<t>"][ opts "<k>=<v> <k>=<v>"]
//   route del <svc>[ <src>[ <dst>]] | route del <svc> tags "<t>,<t>" | route del tags "<t>,<t>"
//   route weight <svc> <src> weight <w>[ tags "<t>,<t>"] | route weight <src> weight <w> tags
//   "<t>,<t>" # comment    // comment
//
// Commands act in order: `del` and `weight` on what stands at that point, which includes every
// route of the catalog. A line that is wrong is left out with its reason; the others act.
//
// Values and pure functions; any thread. Limits: CommandLimits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/route_edit.h"

namespace sluice::proxy {

struct CommandLimits {
  size_t text_bytes = size_t{64} << 20;
  size_t lines = 1'000'000;
  size_t line_bytes = 32 * 1024;
};

/// `route del` and `route weight`. Empty parts do not restrict.
struct RouteRule {
  enum class Kind : uint8_t { kDelete, kWeight };
  Kind kind = Kind::kDelete;
  uint32_t line = 0;  // from 1
  std::string service;
  std::optional<HostPath> source;
  std::optional<std::string>
      destination;                // as the listing shows it: to_string, or a redirect's URL
  std::vector<std::string> tags;  // a route has all of them
  double weight = 0;  // of all that it matches in a route together; not above 0: not fixed

  bool operator==(const RouteRule&) const = default;
};

struct RouteAdd {
  uint32_t line = 0;
  RouteSpec spec;
};

struct RouteCommands {
  std::vector<RouteAdd> adds;    // by line
  std::vector<RouteRule> rules;  // by line
  std::vector<RejectedRoute> rejected;
};

RouteCommands parse_commands(std::string_view text, const CommandLimits& limits = {});

/// The command that makes this route: what the routes API shows.
std::string format_command(const RouteSpec& spec);

}  // namespace sluice::proxy
