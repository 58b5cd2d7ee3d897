// Follows an evaluation to its end, and the deployment that it belongs to, saying what happens.
//
// A deployment is followed where somebody asked for one: after `job run` of a file with an `update`
// block, and after verbs that act on deployments. The one that every other service job gets by
// default is not mentioned there: `job status` and `deployment status` show it.
//
// Exit codes as Nomad's: 0, 1 where something failed, 2 where not every instance could be placed.
// Thread: the session's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "orchestrator/cli/session.h"

namespace sluice::orchestrator::cli {

/// What is new in an evaluation since it was last looked at, as lines. Pure.
class EvalNews {
 public:
  EvalNews(bool full_ids, bool with_deployment)
      : full_ids_(full_ids), deployment_said_(!with_deployment) {}
  std::vector<std::string> update(const Json& eval, const Json& allocations);

 private:
  std::string id(std::string_view full) const { return quoted(short_id(full, full_ids_)); }
  void update_allocs(const Json& eval, const Json& allocations, std::vector<std::string>& lines);

  bool full_ids_;
  std::string status_ = "pending";
  bool node_said_ = false;
  bool job_said_ = false;
  bool deployment_said_;
  std::map<std::string, std::string> allocs_;  // client status by id
};

Task<int> monitor_evaluation(Session& session, std::string eval_id, bool with_deployment = true);
Task<int> monitor_deployment(Session& session, std::string deployment_id);

/// After a write that made an evaluation: -detach says its id, else it is followed.
Task<int> finish_with_evaluation(Session& session, std::string eval_id,
                                 bool with_deployment = true);

}  // namespace sluice::orchestrator::cli
