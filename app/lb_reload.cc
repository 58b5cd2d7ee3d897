#include "app/lb_reload.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

namespace {

bool reloads(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {
      "log.level",         "proxy.deregistergraceperiod", "proxy.shutdownwait",
      "proxy.upgradewait", "registry.static.noroutehtml", "registry.static.routes"};
  return std::ranges::find(kNames, name) != kNames.end();
}

}  // namespace

Result<LogLevel> log_level(const Properties& properties) {
  const std::string text = properties.get("log.level");
  if (text == "FATAL") return LogLevel::kError;
  const std::optional<LogLevel> level = parse_log_level(text);
  if (level) return *level;
  return fail(Code::kInvalid, "-log.level {}: want TRACE, DEBUG, INFO, WARN, ERROR or FATAL", text);
}

Properties reload_properties(const Properties& now, const Properties& read, Log& log) {
  Properties next = now;
  for (const Property& property : known_properties()) {
    const std::string name(property.name);
    const std::string value = read.get(name);
    if (value == now.get(name)) continue;
    if (reloads(name)) {
      next.set(name, value);
      log.info("SIGHUP: {} has changed", name);
    } else {
      log.warn("SIGHUP: {} has changed: only a new process takes that", name);
    }
  }
  return next;
}

}  // namespace sluice
