// ConsulOverrides: fabio's manual overrides, route commands below a key of Consul's KV, which have
// the last word over what tags say; read, followed, and written through the admin API.
//
// Owner: lb_consul.cc, agent.cc; the balancer outlives it. Thread: the control loop.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/balancer.h"
#include "app/balancer_admin.h"
#include "core/env.h"
#include "core/log.h"
#include "drivers/consul/kv.h"

namespace sluice {

class ConsulOverrides final : private ManualOverrides {
 public:
  /// `place`: the key, "/fabio/config". `on_known`: the routes have them now, at first and at each
  /// change.
  ConsulOverrides(drivers::ConsulKv& kv, Balancer& balancer, std::string place,
                  std::function<void()> on_known);
  ~ConsulOverrides() override;
  ConsulOverrides(const ConsulOverrides&) = delete;
  ConsulOverrides& operator=(const ConsulOverrides&) = delete;

  /// Until cancelled.
  Task<void> run();
  bool known() const { return known_; }

 private:
  void take(const std::vector<drivers::ConsulKvEntry>& entries);
  bool is_below(const std::string& key) const;
  Task<Result<std::vector<std::string>>> paths() override;
  Task<Result<Value>> read(std::string key) override;
  Task<Result<bool>> write(std::string key, Value value) override;

  drivers::ConsulKv& kv_;
  Balancer& balancer_;
  const std::string path_;   // as it was given
  const std::string place_;  // as Consul has it
  std::function<void()> on_known_;
  bool known_ = false;
};

/// Without the slashes at its end; kInvalid if nothing is left.
Result<std::string> overrides_place(const Properties& properties);

}  // namespace sluice
