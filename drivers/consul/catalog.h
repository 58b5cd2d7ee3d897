// ConsulCatalog: services are registered at the local Consul agent, and routes come from blocking
// queries.
//
// Owner: main.cc. Thread: the control loop.
//
// Two queries wait for news, /v1/catalog/services (names and tags) and /v1/health/state/any
// (checks); what they say has changed is fetched, and nothing else, over a bounded number of
// connections. An answer that cannot be right (no leader known, not even the service "consul" in
// it, an index that went back) changes nothing; see view.h for what is believed after a gap.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/env.h"
#include "core/log.h"
#include "core/scope.h"
#include "drivers/consul/api.h"
#include "drivers/consul/registrar.h"
#include "drivers/consul/view.h"
#include "orchestrator/catalog.h"

namespace sluice::drivers {

struct ConsulOptions {
  ConsulApiOptions api;
  ConsulHealthRule health;
  ConsulViewOptions view;
  ConsulRegistrarOptions registrar;
  int64_t coalesce_ms = 10;
  int64_t retry_min_ms = 200;
  int64_t retry_max_ms = 10'000;
  size_t fetches_at_once = 8;
};

class ConsulCatalog final : public orchestrator::Catalog {
 public:
  ConsulCatalog(Env env, Log& log, ConsulOptions options);
  ~ConsulCatalog() override;

  std::string_view name() const override { return "consul"; }
  std::vector<std::string_view> check_kinds() const override;
  void set_registrations(std::string owner_prefix,
                         std::vector<orchestrator::ServiceRegistration> desired) override;
  void watch(
      std::move_only_function<void(std::vector<orchestrator::ServiceSnapshot>)> on_change) override;
  void on_check(std::move_only_function<void(const orchestrator::CheckState&)> on_change) override;
  void report(orchestrator::CheckState result) override;
  Task<Result<orchestrator::KeyValue>> read_key(std::string key, uint64_t after_index,
                                                int64_t wait_ms) override;
  Task<Result<KeyList>> list_keys(std::string prefix, uint64_t after_index,
                                  int64_t wait_ms) override;
  Task<void> run() override;
  /// Every service that Consul has was handed out once; true already within that call of watch().
  bool complete() const { return told_; }

 private:
  /// One blocking query's state.
  struct Query {
    std::string path;
    uint64_t index = 0;   // to wait behind; 0: ask without waiting
    uint64_t newest = 0;  // the index last believed
    bool valid = false;   // has answered since the last trouble
    int64_t retry_ms = 0;
  };

  Task<void> follow(Query& query, std::function<Result<void>(const Json&)> take);
  Result<bool> judge(Query& query, const ConsulAnswer& answer);
  void trouble(Query& query, const Error& error);
  void good(Query& query);
  Result<void> take_services(const Json& body);
  Result<void> take_checks(const Json& body);
  Task<void> refresh();
  Task<void> fetch_wanted();
  Task<void> fetch_some(std::vector<std::string>& names,
                        std::vector<orchestrator::ServiceSnapshot>& changed, bool& failed);
  /// Asks again for a service whose fetch failed, later each time; the others do not wait for it.
  Task<void> fetch_later(std::string name, int64_t delay_ms);
  void fetch_failed(const std::string& name, const Error& error);
  Task<void> tick();

  Env env_;
  Log& log_;
  ConsulOptions options_;
  ConsulApi api_;
  ConsulView view_;
  ConsulRegistrar registrar_;
  Query services_{.path = "/v1/catalog/services"};
  Query checks_{.path = "/v1/health/state/any"};
  std::map<std::string, orchestrator::CheckState> own_checks_;  // by Consul's check id
  Task<void> send_reports();

  std::vector<std::move_only_function<void(std::vector<orchestrator::ServiceSnapshot>)>> watchers_;
  std::move_only_function<void(const orchestrator::CheckState&)> on_check_;
  std::map<std::string, int64_t> failing_;  // services, and how long each was waited for last
  Scope* scope_ = nullptr;                  // of run()
  bool told_ = false;                       // the first, complete list was handed out
  bool away_ = false;                       // said so
  Event wake_;
  std::map<std::string, orchestrator::CheckState> reports_;  // to send, by Consul's check id
  Event report_wanted_;
};

}  // namespace sluice::drivers
