// LbPolicies: what fabio's and our properties say of requests and clients, made into the data
// plane's options: headers, trusted peers, auth schemes, compression, limits.
//
// Owner: Balancer; outlives the proxy's reactors. Thread: the control loop's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/lb_config.h"
#include "core/disk.h"
#include "core/executor.h"
#include "core/log.h"
#include "core/regex.h"
#include "core/result.h"
#include "core/task.h"
#include "proxy/auth.h"
#include "proxy/proxy.h"
#include "proxy/traffic_limits.h"

namespace sluice {

class LbPolicies {
 public:
  /// Fails with the property in the message.
  static Result<std::unique_ptr<LbPolicies>> open(const Properties& properties, Log& log);

  void set_options(proxy::PublisherOptions& options) const;
  void set_options(proxy::ProxyOptions& options) const;

  /// Reads what files say again, until cancelled.
  Task<void> watch(Executor& executor, proxy::Proxy& proxy);
  /// The reactors have ended: nothing is posted to them any more.
  void stop() { auth_.reset(); }

 private:
  LbPolicies() = default;
  Result<void> read(const Properties& properties, Log& log);
  Result<void> read_headers(const Properties& properties);

  PosixDisk disk_;
  proxy::HeaderPolicy headers_;
  std::vector<proxy::AddressRange> trusted_;
  std::unique_ptr<proxy::AuthRegistry> auth_;
  std::unique_ptr<proxy::AddressLimits> addresses_;
  std::optional<Regex> gzip_types_;
  uint64_t max_body_bytes_ = 0;
  int64_t queue_ms_ = 0;
  uint64_t seed_ = 0;
  std::array<uint64_t, 2> secret_{};
};

}  // namespace sluice
