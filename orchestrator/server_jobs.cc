#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/diff.h"
#include "orchestrator/fields_json.h"
#include "orchestrator/server_impl.h"

namespace sluice::orchestrator {

namespace {

std::string join_lines(const Problems& problems) {
  std::string text;
  for (const std::string& problem : problems) {
    if (!text.empty()) text += '\n';
    text += problem;
  }
  return text;
}

/// Checks that the catalog does not ask, and that would stay critical for ever.
Problems unknown_checks(const Job& job, const StringList& kinds) {
  Problems problems;
  if (kinds.empty()) return problems;
  const auto look = [&](const std::vector<Service>& services) {
    for (const Service& service : services) {
      for (const Check& check : service.checks) {
        const bool tls = (check.type == "http" && check.protocol == "https") ||
                         (check.type == "grpc" && check.grpc_use_tls);
        const std::string kind = check.type + (tls ? "s" : "");
        if (check.type == "script" || std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) {
          continue;
        }
        problems.push_back(
            fmt::format("service \"{}\": check \"{}\": {} checks are not asked by this agent's "
                        "catalog; Consul's agent asks them",
                        service.name, check.name, kind));
      }
    }
  };
  for (const TaskGroup& group : job.groups) {
    look(group.services);
    for (const TaskConfig& task : group.tasks) look(task.services);
  }
  return problems;
}

/// A pool is there as soon as a node is in it.
bool knows_pool(const Snapshot& snapshot, std::string_view pool) {
  bool found = pool == "default" || pool == "all";
  if (found) return true;
  snapshot.tables().nodes.each(
      [&](const NodePtr& node) { found = found || node->node_pool == pool; });
  return found;
}

/// What a new version of a job may not change, and what it does not say itself.
Result<void> check_change(Job& job, const JobPtr& existing) {
  if (!existing) {
    if (job.dispatched) {
      return fail(Code::kInvalid, "job can't be submitted with 'Dispatched' set");
    }
    if (!job.payload.value_or("").empty()) {
      return fail(Code::kInvalid,
                  "job can't be submitted with a payload, only dispatched with one");
    }
    job.payload.reset();
    job.parent_id.clear();
    return {};
  }
  if (job.type != existing->type) {
    return fail(Code::kInvalid, "cannot update job from type \"{}\" to \"{}\"", existing->type,
                job.type);
  }
  const auto kind = [](bool is, bool was, const char* name) -> Result<void> {
    if (is == was) return {};
    return fail(Code::kInvalid, "cannot update {}{} job to being {}{}", was ? "" : "non-", name,
                is ? "" : "non-", name);
  };
  if (auto ok = kind(job.periodic.has_value(), existing->periodic.has_value(), "periodic"); !ok) {
    return ok;
  }
  if (auto ok =
          kind(job.parameterized.has_value(), existing->parameterized.has_value(), "parameterized");
      !ok) {
    return ok;
  }
  // What the dispatch or the launch said stays.
  job.dispatched = existing->dispatched;
  job.payload = existing->payload;
  job.parent_id = existing->parent_id;
  return {};
}

}  // namespace

std::unexpected<Error> no_job(std::string_view id) {
  return fail(Code::kNotFound, "job \"{}\" not found", id);
}

std::string warnings_text(const Problems& warnings) {
  if (warnings.empty()) return "";
  return fmt::format("{} warning{}:\n\n* {}", warnings.size(), warnings.size() == 1 ? "" : "s",
                     fmt::join(warnings, "\n* "));
}

Result<Problems> Server::Impl::check_job(Job& job) const {
  canonicalize(job);
  Problems problems = validate(job, options.drivers);
  if (options.validate_config) {
    for (const TaskGroup& group : job.groups) {
      for (const TaskConfig& task : group.tasks) {
        if (task.driver.empty()) continue;
        if (auto ok = options.validate_config(task.driver, task.config); !ok) {
          problems.push_back(fmt::format("group \"{}\": task \"{}\": config: {}", group.name,
                                         task.name, ok.error().message));
        }
      }
    }
  }
  for (std::string& problem : unknown_checks(job, options.check_kinds)) {
    problems.push_back(std::move(problem));
  }
  if (auto ok = check_periodic(job); !ok) problems.push_back(ok.error().message);
  if (job.region != options.region && job.region != "global") {
    problems.push_back(
        fmt::format("region \"{}\" is not this cluster's (\"{}\")", job.region, options.region));
  }
  if (!knows_pool(published_, job.node_pool)) {
    problems.push_back(
        fmt::format("job \"{}\" is in nonexistent node pool \"{}\"", job.id, job.node_pool));
  }
  if (!problems.empty()) return fail(Code::kInvalid, "{}", join_lines(problems));
  return warnings(job);
}

std::shared_ptr<Job> Server::Impl::next_version(Job job, const JobPtr& existing, bool& changed) {
  auto next = std::make_shared<Job>(std::move(job));
  next->stop = false;
  next->stable = false;
  changed = !existing || existing->stop || !same_spec(*existing, *next);
  if (!changed) return std::make_shared<Job>(*existing);
  next->version = 0;
  next->create_index = 0;
  if (existing) {
    next->version = existing->version + 1;
    next->create_index = existing->create_index;
  } else {
    // Purged, and some of its allocations are still there: their versions keep their numbers.
    next->version = state_.snapshot().last_job_version(next->namespace_, next->id) + 1;
  }
  next->submit_time_ns = wall_ns();
  next->periodic_launch_ns = existing ? existing->periodic_launch_ns : 0;
  next->modify_index = 0;
  next->job_modify_index = 0;
  return next;
}

Task<Result<RegisterReply>> Server::Impl::register_job(RegisterRequest request) {
  Job job = std::move(request.job);
  auto warned = check_job(job);
  if (!warned) co_return pass(warned);
  const Snapshot now = state_.snapshot();
  const JobPtr existing = now.job(job.namespace_, job.id);
  if (auto ok = check_change(job, existing); !ok) co_return pass(ok);
  if (request.enforce_index) {
    const uint64_t wanted = request.job_modify_index;
    if (!existing && wanted != 0) {
      co_return fail(Code::kConflict, "Enforcing job modify index {}: job does not exist", wanted);
    }
    if (existing && wanted == 0) {
      co_return fail(Code::kConflict, "Enforcing job modify index 0: job already exists");
    }
    if (existing && wanted != existing->job_modify_index) {
      co_return fail(
          Code::kConflict,
          "Enforcing job modify index {}: job exists with conflicting job modify index: {}", wanted,
          existing->job_modify_index);
    }
  }
  if (existing && request.preserve_counts) {
    for (TaskGroup& group : job.groups) {
      if (const TaskGroup* before = existing->group(group.name)) group.count = before->count;
    }
  }
  bool changed = false;
  auto next = next_version(std::move(job), existing, changed);
  if (!request.plan_hash.empty()) {
    // In the same turn as the commit, so nothing comes between.
    const std::string hash = plan_hash(dry_run(next, now));
    if (hash != request.plan_hash) {
      co_return fail(Code::kConflict,
                     "the plan has changed: it was {}, now it is {}; look at `job plan` again",
                     request.plan_hash, hash);
    }
  }
  Commit commit;
  RegisterReply reply;
  if (changed) commit.jobs.push_back(next);
  if (request.submission && request.submission->bytes() > options.max_source_bytes) {
    warned->push_back(
        fmt::format("job source size of {} bytes exceeds maximum of {} bytes and will "
                    "be discarded",
                    request.submission->bytes(), options.max_source_bytes));
    request.submission.reset();
  }
  reply.warnings = warnings_text(*warned);
  if (request.submission && changed) keep_submission(*request.submission, *next, commit);
  if (!next->is_template()) {
    auto eval = make_eval(*next, request.scaling ? kTriggerScaling : kTriggerJobRegister);
    if (request.eval_priority > 0) eval->priority = request.eval_priority;
    eval->job_modify_index = changed ? state_.index() + 1 : next->modify_index;
    reply.eval_id = eval->id;
    commit.evals.push_back(std::move(eval));
  }
  if (request.scaling) {
    if (!reply.eval_id.empty()) request.scaling->second.eval_id = reply.eval_id;
    commit.scalings.push_back(with_event(*next, std::move(*request.scaling)));
  }
  if (commit.empty()) {
    reply.index = published_.index();
    reply.job_modify_index = next->job_modify_index;
    co_return reply;
  }
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  if (changed) log.info("server: job {} registered, version {}", next->id, next->version);
  reply.index = *done;
  reply.job_modify_index = next->job_modify_index;
  if (!reply.eval_id.empty()) reply.eval_create_index = *done;
  co_return reply;
}

void Server::Impl::keep_submission(JobSubmission submission, const Job& job, Commit& commit) {
  submission.job_id = job.id;
  submission.namespace_ = job.namespace_;
  submission.version = job.version;
  submission.job_index = state_.index() + 1;
  commit.submissions.push_back(std::make_shared<JobSubmission>(std::move(submission)));
}

Plan Server::Impl::dry_run(const JobPtr& job, const Snapshot& snapshot) {
  auto eval = make_eval(*job, kTriggerJobRegister);
  return schedule({.snapshot = snapshot,
                   .eval = std::move(eval),
                   .job_override = job,
                   .now_ns = wall_ns(),
                   .seed = env.random.next()});
}

Task<Result<PlanReply>> Server::Impl::plan_job(Job job, bool with_diff) {
  auto warned = check_job(job);
  if (!warned) co_return pass(warned);
  const Snapshot now = state_.snapshot();
  const JobPtr existing = now.job(job.namespace_, job.id);
  if (auto ok = check_change(job, existing); !ok) co_return pass(ok);
  bool changed = false;
  const JobPtr next = next_version(std::move(job), existing, changed);
  PlanReply reply;
  reply.index = now.index();
  reply.job_modify_index = existing ? existing->job_modify_index : 0;
  reply.warnings = warnings_text(*warned);
  if (!next->is_template()) {
    const auto eval = make_eval(*next, kTriggerJobRegister);
    ScheduleInput input{.snapshot = now,
                        .eval = eval,
                        .job_override = next,
                        .now_ns = wall_ns(),
                        .seed = env.random.next()};
    const Plan plan =
        co_await on_pool(env.executor, [input = std::move(input)] { return schedule(input); });
    reply.desired_updates = plan.desired_updates;
    reply.failed_groups = plan.failed_groups;
    for (const auto& placement : plan.placements) {
      reply.preempted.insert(reply.preempted.end(), placement.preempted.begin(),
                             placement.preempted.end());
    }
    reply.created_evals.assign(plan.followups.begin(), plan.followups.end());
    if (!plan.failed_groups.empty()) {
      reply.created_evals.push_back(blocked_eval(*eval, plan, waiting_eval(now, *eval)));
    }
    reply.plan_hash = plan_hash(plan);
  }
  if (const auto launch = next_launch(*next, wall_ns())) reply.next_periodic_launch.ns = *launch;
  if (with_diff) {
    reply.diff = diff_jobs(existing && !existing->stop ? existing.get() : nullptr, next.get());
    annotate(reply.diff, reply.desired_updates);
  }
  co_return reply;
}

Task<Result<EvalReply>> Server::Impl::deregister_job(std::string space, std::string id, bool purge,
                                                     int64_t eval_priority,
                                                     bool no_shutdown_delay) {
  const JobPtr existing = state_.snapshot().job(space, id);
  if (!existing) co_return no_job(id);
  Commit commit;
  if (purge) {
    commit.deletes.push_back({RecordKind::kJob, id, space});
  } else if (!existing->stop) {
    auto stopped = std::make_shared<Job>(*existing);
    stopped->stop = true;
    ++stopped->version;
    stopped->stable = false;
    stopped->submit_time_ns = wall_ns();
    stopped->job_modify_index = 0;
    commit.jobs.push_back(std::move(stopped));
  }
  EvalReply reply;
  if (const auto index = state_.snapshot().of_job(space, id); index && no_shutdown_delay) {
    index->allocs.each([&](const AllocPtr& alloc) {
      if (alloc->client_terminal() || alloc->no_shutdown_delay) return;
      auto at_once = std::make_shared<Allocation>(*alloc);
      at_once->no_shutdown_delay = true;
      at_once->alloc_modify_index = 0;  // also where it waits already
      commit.allocs.push_back(std::move(at_once));
    });
  }
  if (!existing->is_template()) {
    auto eval = make_eval(*existing, kTriggerJobDeregister);
    if (eval_priority > 0) eval->priority = eval_priority;
    eval->job_modify_index = state_.index() + 1;
    reply.eval_id = eval->id;
    commit.evals.push_back(std::move(eval));
  } else if (commit.empty()) {  // stopped before
    reply.index = published_.index();
    co_return reply;
  }
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  log.info("server: job {} {}", id, purge ? "purged" : "stopped");
  reply.index = *done;
  co_return reply;
}

Task<Result<EvalReply>> Server::Impl::evaluate_job(std::string space, std::string id,
                                                   bool force_reschedule) {
  const Snapshot now = state_.snapshot();
  const JobPtr job = now.job(space, id);
  if (!job) co_return no_job(id);
  if (job->is_template()) {
    co_return fail(Code::kInvalid, "can't evaluate periodic or parameterized job");
  }
  Commit commit;
  if (force_reschedule) {
    if (const auto index = now.of_job(space, id)) {
      index->allocs.each([&](const AllocPtr& alloc) {
        if (alloc->client_status != ClientStatus::kFailed || alloc->server_terminal()) return;
        auto forced = std::make_shared<Allocation>(*alloc);
        forced->force_reschedule = true;
        commit.allocs.push_back(std::move(forced));
      });
    }
  }
  EvalReply reply;
  auto eval = make_eval(*job, kTriggerJobRegister);
  reply.eval_id = eval->id;
  commit.evals.push_back(std::move(eval));
  auto done = co_await this->commit(std::move(commit));
  if (!done) co_return pass(done);
  reply.index = *done;
  co_return reply;
}

Task<Result<EvalReply>> Server::Impl::revert_job(std::string space, std::string id, int64_t version,
                                                 std::optional<int64_t> enforce_prior_version) {
  const Snapshot now = state_.snapshot();
  const JobPtr current = now.job(space, id);
  if (!current) co_return no_job(id);
  if (enforce_prior_version && current->version != *enforce_prior_version) {
    co_return fail(Code::kConflict, "Current job has version {}; enforcing version {}",
                   current->version, *enforce_prior_version);
  }
  if (version == current->version) {
    co_return fail(Code::kInvalid, "can't revert to current version");
  }
  const JobPtr target = now.job_version(space, id, version);
  if (!target) {
    co_return fail(Code::kNotFound, "job \"{}\" in namespace \"{}\" at version {} not found", id,
                   space, version);
  }
  RegisterRequest request;
  request.job = *target;
  request.enforce_index = true;
  request.job_modify_index = current->job_modify_index;
  if (const auto text = now.submission(space, id, version)) request.submission = *text;
  auto done = co_await register_job(std::move(request));
  if (!done) co_return pass(done);
  co_return EvalReply{.eval_id = done->eval_id, .index = done->index};
}

void write_plan_reply(JsonWriter& out, const PlanReply& reply) {
  out.begin_object();
  out.member("JobModifyIndex", reply.job_modify_index);
  out.key("Diff").value(reply.diff);
  out.key("Annotations").begin_object();
  out.key("DesiredTGUpdates").begin_object();
  for (const auto& [group, updates] : reply.desired_updates) {
    out.key(group);
    encode(out, updates, EncodeOptions{});
  }
  out.end_object();
  out.key("PreemptedAllocs").begin_array();
  for (const AllocPtr& alloc : reply.preempted) write_allocation_stub(out, *alloc);
  out.end_array().end_object();
  // Null where there is none: command lines take an empty object for a failure.
  out.key("FailedTGAllocs");
  if (reply.failed_groups.empty()) {
    out.null();
  } else {
    out.begin_object();
    for (const auto& [group, metric] : reply.failed_groups) {
      out.key(group);
      write_alloc_metric(out, metric);
    }
    out.end_object();
  }
  out.key("CreatedEvals");
  if (reply.created_evals.empty()) {
    out.null();
  } else {
    out.begin_array();
    for (const EvalPtr& eval : reply.created_evals) write_evaluation(out, *eval);
    out.end_array();
  }
  out.member("Warnings", reply.warnings);
  out.member("NextPeriodicLaunch", format_time(reply.next_periodic_launch));
  out.member("PlanHash", reply.plan_hash);
  out.member("Index", reply.index);
  out.end_object();
}

}  // namespace sluice::orchestrator
