// EmbeddedCatalog: the catalog of one machine without Consul: what the node registers, checked by
// itself, is what routing sees, the moment a check's status changes.
//
// Owner: main.cc. Thread: the control loop. A first check runs at once. Until it has passed it
// is repeated after 5, 10, 20 ms and so on up to its interval, because a new instance is to get
// traffic the moment it is up; from then on it runs at its interval, begun at a random moment of
// it, so that many checks do not run in one turn.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/env.h"
#include "core/log.h"
#include "core/scope.h"
#include "core/tls/context.h"
#include "drivers/embedded/check.h"
#include "drivers/embedded/table.h"
#include "orchestrator/catalog.h"

namespace sluice::drivers {

struct EmbeddedOptions {
  std::string datacenter = "dc1";
  std::string node_name;
  /// Whom https servers must be signed by; null: https checks are not asked.
  std::shared_ptr<const tls::ClientContext> tls;
};

class EmbeddedCatalog final : public orchestrator::Catalog {
 public:
  EmbeddedCatalog(Env env, Log& log, EmbeddedOptions options = {});

  std::string_view name() const override { return "embedded"; }
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

  /// For its readers: the HTTP calls and the DNS.
  const CatalogTable& table() const { return table_; }

 private:
  /// The tasks that check a registration; they go with it.
  struct Entry {
    Entry(Executor& executor, CatalogRecord& in_table) : record(in_table), checking(executor) {}
    CatalogRecord& record;
    std::vector<CheckHistory> histories;  // of its checks
    Scope checking;
  };

  /// `before`: what the checks of the registration in its place last said.
  void add(orchestrator::ServiceRegistration registration,
           const std::vector<orchestrator::CheckState>& before = {});
  Task<void> check_loop(Entry& entry, size_t number);
  void take(Entry& entry, size_t number, CheckResult result, bool first);
  orchestrator::ServiceSnapshot snapshot(const std::string& service) const;
  void changed(const std::string& service);

  Env env_;
  Log& log_;
  EmbeddedOptions options_;
  CatalogTable table_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;  // by registration id
  std::set<std::string> changed_services_;
  Event publish_wanted_;
  std::vector<std::move_only_function<void(std::vector<orchestrator::ServiceSnapshot>)>> watchers_;
  std::vector<std::move_only_function<void(const orchestrator::CheckState&)>> check_watchers_;
};

}  // namespace sluice::drivers
