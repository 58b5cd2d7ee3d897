// ConsulApi: Consul's HTTP API as calls, with the token, blocking queries, and the headers by which
// an answer can be trusted.
//
// Owner: the catalog. Thread: the executor's. Connections: at most quick_connections kept for short
// calls plus one a blocking query; Consul allows 200 a client. The token is sent and never logged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/executor.h"
#include "core/http_client.h"
#include "core/json.h"
#include "core/network.h"
#include "core/resolving_network.h"
#include "core/result.h"
#include "core/task.h"
#include "core/tls/network.h"

namespace sluice::drivers {

struct ConsulApiOptions {
  Address address{.ip = "127.0.0.1", .port = 8500};  // or a host name
  std::string token;
  std::shared_ptr<const tls::ClientContext> tls;  // absent: plain HTTP
  std::string tls_server_name;                    // what Consul's certificate must be for
  bool tls_skip_verify = false;
  std::string datacenter;  // empty: the agent's
  std::string ns;          // of Consul Enterprise; empty: none
  bool allow_stale = false;
  bool consistent = false;   // the leader makes sure at each query that it is one
  int64_t wait_ms = 60'000;  // of a blocking query
  size_t quick_connections = 8;
  size_t body_limit_bytes = 256 << 20;
};

struct ConsulAnswer {
  Json body;
  uint64_t index = 0;        // X-Consul-Index
  bool known_leader = true;  // X-Consul-KnownLeader
};

class ConsulApi {
 public:
  ConsulApi(Executor& executor, Network& network, ConsulApiOptions options);

  /// kUnavailable: no connection or none that lasted; kInternal: Consul says that it cannot now (no
  /// leader, for one); kDenied, kNotFound, kLimit, kInvalid as usual.
  Task<Result<ConsulAnswer>> get(std::string path);
  /// Answers when there is something newer than `index`, or after wait_ms with what there is.
  Task<Result<ConsulAnswer>> get_after(std::string path, uint64_t index);
  Task<Result<void>> put(std::string path, Json body);

  /// A GET below /v1/kv/, where nothing there is an answer too (its body is null).
  Task<Result<ConsulAnswer>> get_kv(std::string path, uint64_t index);
  /// Compare and set; false: the entry has changed since `index` (0: it exists).
  Task<Result<bool>> put_kv(std::string key, std::string value, uint64_t index);

  const Address& address() const { return quick_.address(); }

 private:
  Task<Result<ConsulAnswer>> answer(HttpClient& client, HttpRequest request,
                                    bool missing_is_null = false);
  std::string with_waiting(std::string path, uint64_t index) const;
  HttpRequest request(std::string method, std::string target) const;
  std::string with_reading(std::string path) const;

  Network& reached();

  Executor& executor_;
  ConsulApiOptions options_;
  ResolvingNetwork network_;
  std::unique_ptr<tls::TlsNetwork> tls_;  // where options_.tls is there
  HttpClient quick_;
  HttpClient blocking_;
};

}  // namespace sluice::drivers
