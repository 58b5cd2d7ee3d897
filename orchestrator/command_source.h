// Command sources: routes that come as text and not from a catalog: fabio's static, file and custom
// registries, and the manual overrides of its KV. Each is one key of the route table.
//
// Owner: main.cc. Thread: the control loop. Absence is not an order: a file that cannot be read and
// a registry that does not answer leave the routes as they are.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/env.h"
#include "core/json.h"
#include "core/log.h"
#include "core/task.h"
#include "proxy/route_edit.h"

namespace sluice::orchestrator {

/// Layers of route commands, the lower first.
inline constexpr uint8_t kRegistryLayer = 0;
inline constexpr uint8_t kOverrideLayer = 1;

/// The commands of one key, replaced as a whole.
proxy::RouteEdit command_edit(std::string key, std::string commands, uint8_t layer);

/// A file's text, when it changes.
class WatchedFile {
 public:
  static constexpr size_t kLimitBytes = size_t{64} << 20;
  static constexpr int64_t kLookMs = 500;

  using OnChange = std::function<void(const std::string& text)>;

  WatchedFile(Env env, Log& log, std::string path, OnChange on_change)
      : env_(env), log_(log), path_(std::move(path)), on_change_(std::move(on_change)) {}

  /// Reads it once, now: for a start that shall fail where the file is not there.
  Result<void> read();
  /// Looks again and again, until cancelled.
  Task<void> run();

 private:
  void take(Result<std::string> text);

  Env env_;
  Log& log_;
  std::string path_;
  OnChange on_change_;
  std::optional<std::string> last_;
  std::string said_;
};

struct CustomRegistryOptions {
  std::string host;          // host:port
  std::string target = "/";  // path and query
  int64_t poll_ms = 5'000;
  int64_t timeout_ms = 10'000;
};

/// The routes of a registry that answers with a JSON array:
///   [{"cmd": "route add", "service": "shop", "src": "shop.com/", "dst": "http://10.0.0.1:80/",
///     "weight": 0.5, "tags": ["a"], "opts": {"strip": "/x"}}]
class CustomRegistry {
 public:
  CustomRegistry(Env env, Log& log, proxy::RouteSink& sink, CustomRegistryOptions options)
      : env_(env), log_(log), sink_(sink), options_(std::move(options)) {}

  Task<void> run();

 private:
  Task<Result<std::string>> fetch();

  Env env_;
  Log& log_;
  proxy::RouteSink& sink_;
  CustomRegistryOptions options_;
};

/// Those routes as commands, a line each. An item that cannot be one becomes a line that the
/// commands' parser refuses by name; the others act.
Result<std::string> custom_commands(const Json& routes);

}  // namespace sluice::orchestrator
