// Catalog: where services are registered and routes come from. Two implementations:
// drivers/embedded (one machine, own checks) and drivers/consul (the local Consul agent and its
// blocking queries).
//
// Owner: main.cc. Thread: the control loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/task.h"

namespace sluice::orchestrator {

struct ServiceCheck {
  std::string id;  // unique in the service
  std::string name;
  std::string type;  // "http", "tcp", "grpc", "ttl"
  // Where to ask; the node has filled in the address and port (http: the URL's host part).
  std::string address;
  uint16_t port = 0;
  std::string path;      // http; grpc: "/service", or "" for the server as a whole
  std::string protocol;  // http: "http" (default) or "https"
  std::string method;    // http: GET by default
  std::map<std::string, std::vector<std::string>> headers;
  std::string body;
  bool tls_skip_verify = false;
  std::string tls_server_name;
  std::string command;  // script
  std::vector<std::string> args;
  int64_t interval_ms = 10'000;
  int64_t timeout_ms = 2'000;
  int64_t success_before_passing = 0;
  int64_t failures_before_critical = 0;
  int64_t failures_before_warning = 0;
  std::string initial_status;  // "", "passing", "warning", "critical"
  std::string notes;
  int64_t deregister_after_ms = 0;  // critical for so long, Consul forgets the service; 0: never

  bool operator==(const ServiceCheck&) const = default;
};

/// Of an instance's share of the requests, for clients that go by it (DNS SRV).
struct ServiceWeights {
  int64_t passing = 1;
  int64_t warning = 1;

  bool operator==(const ServiceWeights&) const = default;
};

struct ServiceRegistration {
  std::string
      id;  // starts with "_sluice-", holds cluster id, node id, alloc id, task, name and port label
  std::string name;
  std::vector<std::string> tags;
  std::map<std::string, std::string> meta;
  std::string address;
  uint16_t port = 0;
  ServiceWeights weights;
  std::vector<ServiceCheck> checks;

  bool operator==(const ServiceRegistration&) const = default;
};

enum class CheckStatus : uint8_t { kPassing, kWarning, kCritical };
constexpr std::string_view to_string(CheckStatus status) {
  switch (status) {
    case CheckStatus::kPassing: return "passing";
    case CheckStatus::kWarning: return "warning";
    case CheckStatus::kCritical: return "critical";
  }
  std::unreachable();
}

struct CheckState {
  std::string service_id;
  std::string check_id;
  std::string name;
  CheckStatus status = CheckStatus::kCritical;
  std::string output;

  /// What a check last said is no difference: routing and its readers go by the status.
  bool operator==(const CheckState& other) const {
    return service_id == other.service_id && check_id == other.check_id && name == other.name &&
           status == other.status;
  }
};

/// One instance of a service as routing sees it.
struct ServiceInstance {
  std::string id;
  std::string service;
  std::string address;  // the service's, else its node's
  uint16_t port = 0;
  std::string node;
  std::string datacenter;
  std::vector<std::string> tags;
  std::map<std::string, std::string> meta;
  std::vector<CheckState> checks;  // the service's and its node's
  bool healthy = false;      // by fabio's rule: at least one check, status passing, no maintenance
  bool maintenance = false;  // of it or of its node: it rests, and is not said to have failed

  bool operator==(const ServiceInstance&) const = default;
};

/// A service's complete set of instances. Empty: the service is gone.
struct ServiceSnapshot {
  std::string service;
  std::vector<ServiceInstance> instances;
};

/// A key's value; and what to wait from for the next one.
struct KeyValue {
  std::optional<std::string> value;  // nullopt: no such key
  uint64_t index = 0;
};

class Catalog {
 public:
  virtual ~Catalog() = default;
  virtual std::string_view name() const = 0;  // "embedded", "consul"

  /// Checks that it asks by itself, besides "ttl", whose results it is told: "http", "tcp", ...;
  /// "https" and "grpcs" over TLS.
  virtual std::vector<std::string_view> check_kinds() const = 0;

  /// Makes the local registrations of this owner (an id prefix) exactly these, level-triggered:
  /// again at each change, after a reconnect and every 30 s. Returns at once; trouble is logged and
  /// retried with backoff. A registration that others removed comes back; one that no alloc owns
  /// goes.
  virtual void set_registrations(std::string owner_prefix,
                                 std::vector<ServiceRegistration> desired) = 0;

  /// Called with each service whose instances changed, first with all of them. Absence is not an
  /// order: an outage, an election or an answer that lacks what must be there calls nothing.
  virtual void watch(std::move_only_function<void(std::vector<ServiceSnapshot>)> on_change) = 0;

  /// Called when a check of a registration of ours changes its status (deployment health, status
  /// page).
  virtual void on_check(std::move_only_function<void(const CheckState&)> on_change) = 0;

  /// The result of a "ttl" check of a registration of ours; said again at each interval.
  virtual void report(CheckState result) = 0;

  /// The key's value, once it is not that of `after_index` any more, or after `wait_ms`.
  virtual Task<Result<KeyValue>> read_key(std::string key, uint64_t after_index,
                                          int64_t wait_ms) = 0;
  /// The keys below a folder with their values, in order; `after_index` as above.
  struct KeyList {
    std::map<std::string, std::string> values;
    uint64_t index = 0;
  };
  virtual Task<Result<KeyList>> list_keys(std::string prefix, uint64_t after_index,
                                          int64_t wait_ms) = 0;

  /// Runs watches and checks until cancelled.
  virtual Task<void> run() = 0;
};

}  // namespace sluice::orchestrator
