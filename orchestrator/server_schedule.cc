// Workers: take an evaluation, plan on a snapshot on the pool, check the plan against the newest
// state, commit it together with the evaluation's end.
#include <algorithm>

#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

double Server::Impl::ms_since(int64_t begin_ns) const {
  return static_cast<double>(wall_ns() - begin_ns) / 1'000'000;
}

Task<void> Server::Impl::worker() {
  while (true) {
    auto delivery = broker_.dequeue(now_ms(), wall_ns());
    if (!delivery) {
      work_ready_.clear();
      co_await work_ready_.wait();
      continue;
    }
    const std::string id = delivery->eval->id;
    log.debug("server: evaluation {} of job {} begins: {}, priority {}", id.substr(0, 8),
              delivery->eval->job_id, delivery->eval->triggered_by, delivery->eval->priority);
    if (delivery->limit_reached) {
      Commit commit;
      auto failed = std::make_shared<Evaluation>(*delivery->eval);
      failed->status = EvalStatus::kFailed;
      failed->status_description = "evaluation reached delivery limit";
      auto again = make_eval(failed->namespace_, failed->job_id, failed->type, failed->priority,
                             kTriggerFailedFollowUp);
      again->previous_eval = failed->id;
      again->wait_until.ns = wall_ns() + kMinuteNs;
      failed->next_eval = again->id;
      commit.evals = {failed, again};
      auto done = co_await this->commit(std::move(commit));
      done ? broker_.ack(id) : broker_.nack(id, now_ms());
      continue;
    }
    const bool done = co_await run_eval(delivery->eval);
    done ? broker_.ack(id) : broker_.nack(id, now_ms());
    // Another of the same job may have waited for this one.
    if (broker_.ready() > 0) work_ready_.set();
  }
}

Task<bool> Server::Impl::run_eval(const EvalPtr& eval) {
  const bool batch = eval->type == kTypeBatch || eval->type == kTypeSysBatch;
  const int64_t attempts = batch ? options.plan_attempts_batch : options.plan_attempts_service;
  for (int64_t attempt = 0; attempt < attempts; ++attempt) {
    ScheduleInput input{.snapshot = state_.snapshot(),
                        .eval = eval,
                        .job_override = nullptr,
                        .now_ns = wall_ns(),
                        .seed = env.random.next()};
    const uint64_t seen = input.snapshot.index();
    const int64_t begin_ns = wall_ns();
    Plan plan =
        co_await on_pool(env.executor, [input = std::move(input)] { return schedule(input); });
    log.debug(
        "server: evaluation {} ({}) of job {}: {} placements, {} stops, {} updates, {} groups "
        "without a place",
        eval->id.substr(0, 8), eval->triggered_by, eval->job_id, plan.placements.size(),
        plan.stops.size(), plan.updates.size(), plan.failed_groups.size());
    if (options.metrics) {
      options.metrics->sample("nomad.nomad.worker.invoke_scheduler." + eval->type,
                              ms_since(begin_ns));
    }
    StringList refused;
    if (state_.index() != seen) {
      const Stopwatch evaluating(options.metrics, env.executor, "nomad.nomad.plan.evaluate");
      if (job_moved_on(plan, *eval, state_.snapshot())) continue;
      refused = check_plan(plan, state_.snapshot(), wall_ns());
    }
    Commit commit = commit_of(plan);
    if (refused.empty()) {
      finish_eval(eval, plan, commit);
    } else {
      log.info("server: evaluation {}: {} nodes refused a part of the plan, trying again", eval->id,
               refused.size());
      if (commit.empty()) continue;
    }
    const int64_t submitted_ns = wall_ns();
    auto done = co_await this->commit(std::move(commit));
    if (options.metrics) {
      options.metrics->sample("nomad.nomad.plan.submit", ms_since(submitted_ns));
    }
    if (!done) {
      log.warn("server: evaluation {}: {}", eval->id, done.error().message);
      co_return false;
    }
    if (refused.empty()) co_return true;
  }
  // The state moved away under every attempt: a blocked evaluation goes on from here.
  Commit commit;
  auto over = std::make_shared<Evaluation>(*eval);
  auto next =
      make_eval(eval->namespace_, eval->job_id, eval->type, eval->priority, kTriggerMaxPlans);
  next->previous_eval = eval->id;
  next->status_description = "created due to placement conflicts";
  over->status = EvalStatus::kFailed;
  over->status_description = "maximum attempts reached";
  over->next_eval = next->id;
  commit.evals = {over, next};
  auto done = co_await this->commit(std::move(commit));
  co_return done.has_value();
}

EvalPtr Server::Impl::waiting_eval(const Snapshot& now, const Evaluation& eval) const {
  EvalPtr waiting;
  if (const auto index = now.of_job(eval.namespace_, eval.job_id)) {
    index->evals.each([&](const EvalPtr& other) {
      if (other->status == EvalStatus::kBlocked && other->id != eval.id) waiting = other;
    });
  }
  return waiting;
}

std::shared_ptr<Evaluation> Server::Impl::blocked_eval(const Evaluation& eval, const Plan& plan,
                                                       const EvalPtr& waiting) {
  auto blocked = waiting ? std::make_shared<Evaluation>(*waiting)
                         : make_eval(eval.namespace_, eval.job_id, eval.type, eval.priority,
                                     kTriggerQueuedAllocs);
  if (!waiting) {
    blocked->status = EvalStatus::kBlocked;
    blocked->status_description = "created to place remaining allocations";
    blocked->previous_eval = eval.id;
  }
  blocked->job_modify_index = eval.job_modify_index;
  blocked->snapshot_index = plan.snapshot_index;
  blocked->queued_allocs = plan.queued;
  return blocked;
}

void Server::Impl::finish_eval(const EvalPtr& eval, const Plan& plan, Commit& commit) {
  const Snapshot now = state_.snapshot();
  auto ended = std::make_shared<Evaluation>(*eval);
  ended->queued_allocs = plan.queued;
  ended->failed_groups = plan.failed_groups;
  ended->snapshot_index = plan.snapshot_index;
  if (plan.deployment) ended->deployment_id = plan.deployment->id;
  const bool failed = !plan.failed_groups.empty();
  const EvalPtr waiting = waiting_eval(now, *eval);
  const bool itself = eval->status == EvalStatus::kBlocked;
  ended->status = failed && itself ? EvalStatus::kBlocked : EvalStatus::kComplete;
  if (!failed && waiting) {
    auto obsolete = std::make_shared<Evaluation>(*waiting);
    obsolete->status = EvalStatus::kCancelled;
    obsolete->status_description = "evaluation \"" + eval->id + "\" successful";
    commit.evals.push_back(std::move(obsolete));
  } else if (failed && !itself) {
    auto blocked = blocked_eval(*eval, plan, waiting);
    ended->blocked_eval = blocked->id;
    commit.evals.push_back(std::move(blocked));
  }
  commit.evals.push_back(std::move(ended));
}

}  // namespace sluice::orchestrator
