// Autoscaler: gives groups that scale on requests as many instances as their load asks for, none
// where they may have none and nobody asks for one, and the first again when somebody does.
//
//   each second: what the balancer measures -> each evaluation_interval: scale_policy.h -> a count
//   a request without an instance -> wake() -> a count of one; the request waits in the balancer
//
// Owner: main.cc. Thread: the control loop. Limits: one change of a group's count at a time; none
// while a canary of it waits for its promotion.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/env.h"
#include "core/log.h"
#include "core/scope.h"
#include "orchestrator/group_services.h"
#include "orchestrator/load_meter.h"
#include "orchestrator/scale_policy.h"
#include "orchestrator/server.h"

namespace sluice::orchestrator {

class Autoscaler {
 public:
  /// `sleeping` is told of every service that may be asleep now, whenever that changes.
  using Sleeping = std::function<void(std::vector<GroupService>)>;
  Autoscaler(Env env, Log& log, Server& server, LoadMeter& meter, Sleeping sleeping)
      : env_(env),
        log_(log),
        server_(server),
        meter_(meter),
        tell_sleeping_(std::move(sleeping)),
        scope_(env.executor) {}

  /// Works until cancelled.
  Task<void> run();
  /// Somebody asks for a service that has no instance.
  void wake(const std::string& service);

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // namespace, job, group
  struct Group {
    ScalePolicy policy;
    int64_t min = 0, max = 0, count = 0;
    bool waits = false;  // a canary of it
    std::vector<GroupService> services;
    ScaleWindow window;
    // Since the last look.
    int64_t since_ms = 0;
    int64_t samples = 0;
    int64_t in_flight = 0;  // their sum
    uint64_t answers = 0;   // as of the last look
    int64_t woken_at_ms = INT64_MIN;
    bool changing = false;
    bool resting = false;  // it is to have no instance
  };

  void follow();
  void take(const Snapshot& snapshot, const Job& job, const TaskGroup& group,
            std::map<Key, Group>& into);
  Task<void> measure();
  void look(const Key& key, Group& group, const ServiceLoads& loads);
  void change(const Key& key, Group& group, int64_t count, std::string why);
  Task<void> scale(Key key, int64_t count, std::string why);
  void say_sleeping();

  Env env_;
  Log& log_;
  Server& server_;
  LoadMeter& meter_;
  Sleeping tell_sleeping_;
  std::map<Key, Group> groups_;
  uint64_t seen_index_ = 0;
  std::vector<GroupService> said_;
  Scope scope_;  // last: its tasks use all of the above
};

}  // namespace sluice::orchestrator
