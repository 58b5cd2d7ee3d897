#include "orchestrator/reconcile_parts.h"

namespace sluice::orchestrator {

std::shared_ptr<Evaluation> follow_up(const ReconcileInput& in, std::string_view trigger,
                                      int64_t at_ns) {
  auto next = std::make_shared<Evaluation>();
  next->id = make_uuid(in.ids);
  next->namespace_ = in.space;
  next->priority = in.job->priority;
  next->type = in.job->type;
  next->triggered_by = trigger;
  next->job_id = in.job->id;
  next->job_modify_index = in.job->modify_index;
  next->wait_until.ns = at_ns;
  next->previous_eval = in.eval.id;
  return next;
}

}  // namespace sluice::orchestrator
