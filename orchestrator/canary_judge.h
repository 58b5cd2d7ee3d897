// CanaryJudge: promotes canaries, or fails their deployment, by what the balancer measures of them
// (orchestrator/canary_policy.h).
//
//   each second: deployments whose canaries wait -> what these have answered since -> a verdict
//   bad -> the deployment fails, and reverts where auto_revert says so
//   good, all healthy, auto_promote -> they are promoted
//
// Owner: main.cc. Thread: the control loop. Without a balancer in this process nobody measures, and
// such canaries wait for the operator.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/env.h"
#include "core/log.h"
#include "core/scope.h"
#include "orchestrator/canary_policy.h"
#include "orchestrator/load_meter.h"
#include "orchestrator/server.h"

namespace sluice::orchestrator {

class CanaryJudge {
 public:
  CanaryJudge(Env env, Log& log, Server& server, LoadMeter& meter)
      : env_(env), log_(log), server_(server), meter_(meter) {}

  /// Works until cancelled.
  Task<void> run();

 private:
  struct Count {
    uint64_t answers = 0;
    uint64_t errors = 0;
  };
  struct Watched {
    CanaryPolicy policy;
    std::optional<Count> before;  // as of when it was first looked at
  };
  struct Trial {
    std::map<std::string, Watched> services;
    bool promotes = false;  // every group with canaries says auto_promote
    bool said = false;      // that they are good, and wait for the operator
  };

  void follow();
  Task<void> look(const std::string& id, const ServiceLoads& loads);

  Env env_;
  Log& log_;
  Server& server_;
  LoadMeter& meter_;
  std::map<std::string, Trial> trials_;  // by deployment
  uint64_t seen_index_ = 0;
};

}  // namespace sluice::orchestrator
