// DynamicListeners: what a proto=tcp-dynamic listener opens: each port that a route `:port` or
// `ip:port` names whose targets are all tcp.
//
// Owner: Balancer. Thread: the control loop.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "core/executor.h"
#include "core/log.h"
#include "core/task.h"
#include "proxy/listen_spec.h"
#include "proxy/proxy.h"
#include "proxy/publish.h"

namespace sluice {

/// The ports that such routes of the table name.
std::set<uint16_t> dynamic_ports(const proxy::RouteTable& table);

class DynamicListeners {
 public:
  /// All outlive this. The spec's own port says nothing.
  DynamicListeners(Executor& executor, Log& log, proxy::Proxy& proxy,
                   const proxy::Publisher& publisher, proxy::ListenSpec spec)
      : executor_(executor),
        log_(log),
        proxy_(proxy),
        publisher_(publisher),
        spec_(std::move(spec)) {}

  /// Looks each `refresh`, until cancelled.
  Task<void> run();
  /// Opens and closes what the newest table asks for.
  void refresh();
  /// Opens nothing any more.
  void stop() { stopped_ = true; }

 private:
  Executor& executor_;
  Log& log_;
  proxy::Proxy& proxy_;
  const proxy::Publisher& publisher_;
  const proxy::ListenSpec spec_;
  bool stopped_ = false;
  uint64_t seen_version_ = 0;
  std::map<uint16_t, bool> ports_;  // wanted ones; true: open
};

}  // namespace sluice
