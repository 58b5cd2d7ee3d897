// The calls on counts and scaling policies.
#include <fmt/format.h>

#include "core/digest.h"
#include "orchestrator/api/call.h"
#include "orchestrator/api/list.h"
#include "orchestrator/api/routes.h"

namespace sluice::orchestrator::api {
namespace {

Task<void> scale(Call& call, const Json& body) {
  const Json* target = body.find("Target");
  const Json* count = body.find("Count");
  if (!target || target->get_string("Group").empty()) {
    co_await call.refuse(400, "Target must name a Group");
    co_return;
  }
  if (!count || !count->is_int() || count->as_int() < 0) {
    co_await call.refuse(400, "Count must be a whole number, 0 or more");
    co_return;
  }
  Result<EvalReply> reply = co_await call.server().scale_job(
      call.space(), call.param(0), std::string(target->get_string("Group")), count->as_int());
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  co_await call.reply_eval(*reply);
}

Task<void> scale_status(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{Topic::Kind::kOfJob, call.param(0), call.space()}});
  const JobPtr job = snapshot.job(call.space(), call.param(0));
  if (!job) {
    co_await call.refuse(404, "job not found");
    co_return;
  }
  const JobSummary counts = snapshot.job_summary(*job);
  const DeploymentPtr deployment = snapshot.latest_deployment(job->namespace_, job->id);
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object();
    out.member("JobID", job->id).member("Namespace", job->namespace_);
    out.member("JobCreateIndex", job->create_index).member("JobModifyIndex", job->job_modify_index);
    out.member("JobStopped", job->stop);
    out.key("TaskGroups").begin_object();
    for (const TaskGroup& group : job->groups) {
      const auto found = counts.find(group.name);
      const GroupSummary sums = found == counts.end() ? GroupSummary{} : found->second;
      out.key(group.name).begin_object();
      out.member("Desired", group.count);
      out.member("Placed", sums.starting + sums.running).member("Running", sums.running);
      int64_t healthy = 0, unhealthy = 0;
      if (deployment) {
        const auto state = deployment->groups.find(group.name);
        if (state != deployment->groups.end()) {
          healthy = state->second.healthy_allocs;
          unhealthy = state->second.unhealthy_allocs;
        }
      }
      out.member("Healthy", healthy).member("Unhealthy", unhealthy);
      out.key("Events").null();
      out.end_object();
    }
    out.end_object().end_object();
  });
}

// ------------------------------------------------------------------------------- policies

/// A policy is part of its job, and has an id that follows from where it stands.
std::string policy_id(const Job& job, const TaskGroup& group) {
  constexpr std::string_view kSpace = "6ba7b814-9dad-11d1-80b4-00c04fd430c8";  // RFC 9562, X.500
  return uuid_v5(kSpace, fmt::format("{}\n{}\n{}", job.namespace_, job.id, group.name))
      .value_or("");
}

void write_policy(JsonWriter& out, const Job& job, const TaskGroup& group, bool whole) {
  const Scaling& scaling = *group.scaling;
  out.begin_object();
  out.member("ID", policy_id(job, group));
  out.member("Namespace", job.namespace_).member("Type", scaling.type);
  out.member("Enabled", scaling.enabled);
  out.key("Target").begin_object();
  out.member("Namespace", job.namespace_).member("Job", job.id).member("Group", group.name);
  out.end_object();
  if (whole) {
    out.member("Min", scaling.min).member("Max", scaling.max);
    out.key("Policy").value(scaling.policy);
  }
  out.member("CreateIndex", job.create_index).member("ModifyIndex", job.modify_index);
  out.end_object();
}

template <class Visit>
void each_policy(const Snapshot& snapshot, Visit visit) {
  snapshot.tables().jobs.each([&](const JobPtr& job) {
    if (job->stop) return;
    for (const TaskGroup& group : job->groups) {
      if (group.scaling) visit(*job, group);
    }
  });
}

Task<void> list_policies(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{Topic::Kind::kJobs, {}, {}}});
  const std::string space = call.space(), wanted = call.query("job"), type = call.query("type");
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_array();
    each_policy(snapshot, [&](const Job& job, const TaskGroup& group) {
      if (space != kAnyNamespace && job.namespace_ != space) return;
      if (!wanted.empty() && job.id != wanted) return;
      if (!type.empty() && !group.scaling->type.starts_with(type)) return;
      write_policy(out, job, group, false);
    });
    out.end_array();
  });
}

Task<void> read_policy(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{Topic::Kind::kJobs, {}, {}}});
  std::string text;
  each_policy(snapshot, [&](const Job& job, const TaskGroup& group) {
    if (policy_id(job, group) != call.param(0)) return;
    JsonWriter out(text);
    write_policy(out, job, group, true);
  });
  if (text.empty()) {
    co_await call.refuse(404, "policy not found");
    co_return;
  }
  co_await call.reply(std::move(text));
}

constexpr Route kRoutes[] = {
    {"GET", "/v1/job/*id/scale", scale_status},
    {"PUT", "/v1/job/*id/scale", with_body<scale>},
    {"GET", "/v1/scaling/policies", list_policies},
    {"GET", "/v1/scaling/policy/:id", read_policy},
};

}  // namespace

std::span<const Route> scaling_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
