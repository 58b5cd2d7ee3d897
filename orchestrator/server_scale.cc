// A group's count, and what was said of it.
#include <algorithm>

#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

std::shared_ptr<JobScaling> Server::Impl::with_event(const Job& job,
                                                     std::pair<std::string, ScalingEvent> event) {
  const auto before = state_.snapshot().scaling(job.namespace_, job.id);
  auto next = before ? std::make_shared<JobScaling>(*before) : std::make_shared<JobScaling>();
  next->job_id = job.id;
  next->namespace_ = job.namespace_;
  std::vector<ScalingEvent>& events = next->groups[event.first];
  event.second.time_ns = wall_ns();
  events.insert(events.begin(), std::move(event.second));
  events.resize(std::min(events.size(), kMaxScalingEvents));
  return next;
}

namespace {

Result<void> check_count(const Job& job, const TaskGroup& group, int64_t count,
                         const DeploymentPtr& latest, bool at_once) {
  if (job.stop) return fail(Code::kInvalid, "job \"{}\" is stopped", job.id);
  if (group.scaling && count < group.scaling->min) {
    return fail(Code::kInvalid, "group count was less than scaling policy minimum: {} < {}", count,
                group.scaling->min);
  }
  if (group.scaling && group.scaling->max > 0 && count > group.scaling->max) {
    return fail(Code::kInvalid, "group count was greater than scaling policy maximum: {} > {}",
                count, group.scaling->max);
  }
  // Of a purged job of the same name is none of this one's.
  if (!at_once && latest && latest->active() && latest->job_create_index == job.create_index) {
    return fail(Code::kInvalid, "job scaling blocked due to active deployment");
  }
  return {};
}

}  // namespace

Task<Result<RegisterReply>> Server::Impl::scale_job(ScaleRequest request) {
  const Snapshot now = state_.snapshot();
  const JobPtr current = now.job(request.space, request.id);
  if (!current) co_return no_job(request.id);
  if (current->is_system()) {
    co_return fail(Code::kInvalid, "cannot scale jobs of type \"{}\"", current->type);
  }
  const TaskGroup* group = current->group(request.group);
  if (!group) {
    co_return fail(Code::kInvalid, "task group \"{}\" specified for scaling does not exist in job",
                   request.group);
  }
  std::pair<std::string, ScalingEvent> event{request.group, {}};
  event.second.previous_count = group->count;
  event.second.error = request.error;
  event.second.message = std::move(request.message);
  event.second.meta = std::move(request.meta);
  if (request.count) {
    if (request.error) {
      co_return fail(Code::kInvalid, "scaling action should not contain count if error is true");
    }
    auto ok = check_count(*current, *group, *request.count,
                          now.latest_deployment(request.space, request.id), request.at_once);
    if (!ok) co_return pass(ok);
    event.second.count = *request.count;
    RegisterRequest change;
    change.job = *current;
    for (TaskGroup& item : change.job.groups) {
      if (item.name == request.group) item.count = *request.count;
    }
    change.enforce_index = true;
    change.job_modify_index = current->job_modify_index;
    change.scaling = std::move(event);
    if (const auto text = now.submission(request.space, request.id, current->version)) {
      change.submission = *text;
    }
    co_return co_await register_job(std::move(change));
  }
  Commit commit;
  commit.scalings.push_back(with_event(*current, std::move(event)));
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  RegisterReply reply;
  reply.job_modify_index = current->job_modify_index;
  reply.index = *done;
  co_return reply;
}

}  // namespace sluice::orchestrator
