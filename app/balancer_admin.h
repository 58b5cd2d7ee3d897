// BalancerAdmin: the balancer's page and API (-ui.addr), as fabio has them.
//
//   /routes  /manual            pages
//   /api/routes[?raw|?pretty]   /api/rejected  /api/config (no secrets)  /api/version  /health
//   /api/explain?url=[&method=][&header=]...[&client=]
//   /api/paths  /api/manual[/key]   GET, and PUT {"value": "...", "version": "7"}: compare and set
//
// Owner: Balancer. Thread: the control loop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "app/lb_config.h"
#include "core/http_server.h"
#include "core/result.h"
#include "core/task.h"
#include "proxy/explain.h"
#include "proxy/publish.h"

namespace sluice {

/// Where the manual overrides are kept.
class ManualOverrides {
 public:
  struct Value {
    std::string value;
    uint64_t version = 0;  // 0: there is none
  };
  virtual ~ManualOverrides() = default;
  /// Keys below the place of the overrides, each with its slash; "" is that place itself.
  virtual Task<Result<std::vector<std::string>>> paths() = 0;
  virtual Task<Result<Value>> read(std::string key) = 0;
  /// False: it has changed since `version`.
  virtual Task<Result<bool>> write(std::string key, Value value) = 0;
};

class BalancerAdmin {
 public:
  /// Asks a reactor; `done` is called on the control loop, never inside the call.
  using Explain =
      std::function<void(proxy::ExplainRequest, std::function<void(proxy::Explained)> done)>;

  /// All outlive this.
  BalancerAdmin(Executor& executor, const Properties& properties, const proxy::Publisher& publisher,
                Explain explain)
      : executor_(executor),
        properties_(properties),
        publisher_(publisher),
        explain_(std::move(explain)) {}

  Task<void> answer(const HttpServerRequest& request, HttpResponseWriter& writer);

  void set_overrides(ManualOverrides* overrides) { overrides_ = overrides; }
  void fail_health() { healthy_ = false; }

 private:
  struct Answer {
    int status;
    std::string_view type;
    std::string body;
  };
  Answer get(const HttpServerRequest& request) const;
  std::string config_json(int indent) const;
  Task<Answer> manual(const HttpServerRequest& request, std::string key);
  Task<Answer> paths();
  Task<Answer> explain(const HttpServerRequest& request);

  Executor& executor_;
  const Properties& properties_;
  const proxy::Publisher& publisher_;
  Explain explain_;
  ManualOverrides* overrides_ = nullptr;
  bool healthy_ = true;
};

}  // namespace sluice
