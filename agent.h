// Agent: the parts of one process, made, wired and taken down in order: balancer, server, node,
// catalog, jobs API, routes page.
//
// Owner: main.cc. Thread: the control loop, which is the thread that calls run().
#pragma once

#include <memory>

#include "agent_config.h"
#include "core/log.h"

namespace sluice {

class Agent {
 public:
  Agent(AgentConfig config, Log& log);
  ~Agent();
  Agent(const Agent&) = delete;

  /// Starts everything and works until SIGTERM, SIGINT or a part that cannot start. The exit code:
  /// 0, or 1 with the reason in the log.
  int run();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice
