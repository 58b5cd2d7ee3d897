// Agent: one process that is a balancer and a control plane (control_plane.h): it starts them,
// answers signals, hands both over to a successor, and ends them.
//
// Owner: main.cc. Thread: the control loop, which is the thread that calls run().
#pragma once

#include <functional>
#include <memory>

#include "app/agent_config.h"
#include "app/upgrade.h"
#include "core/log.h"
#include "core/result.h"

namespace sluice {

/// The balancer and the rest of the agent share one log: fabio's name for its level counts too.
Result<LogLevel> agent_log_level(const AgentConfig& config);

class Agent {
 public:
  /// `read_again` reads the configuration as it was read at the start, for SIGHUP and SIGUSR2.
  Agent(AgentConfig config, Origin origin, Log& log,
        std::function<Result<AgentConfig>()> read_again);
  ~Agent();
  Agent(const Agent&) = delete;

  /// Starts everything and works until SIGTERM, SIGINT or a part that cannot start. The exit code:
  /// 0, or 1 with the reason in the log. `predecessor`: null, there is none.
  int run(std::unique_ptr<Predecessor> predecessor);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice
