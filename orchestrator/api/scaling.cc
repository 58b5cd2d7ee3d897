// The calls on counts and scaling policies.
#include <fmt/format.h>

#include "core/digest.h"
#include "orchestrator/api/call.h"
#include "orchestrator/api/list.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/fields_json.h"

namespace sluice::orchestrator::api {
namespace {

// Events are kept, twenty a group.
constexpr size_t kMaxMessageBytes = 4096, kMaxMetaBytes = 16 * 1024;

/// What is wrong with the body, and what it asks for.
Result<ScaleRequest> scale_request(Call& call, const Json& body) {
  ScaleRequest request;
  request.space = call.space();
  request.id = call.param(0);
  const Json* target = body.find("Target");
  const auto targets = [&](std::string_view name) {
    return target ? target->get_string(name) : std::string_view();
  };
  if (const std::string_view job = targets("Job"); !job.empty() && job != request.id) {
    return fail(Code::kInvalid, "job ID in payload did not match URL");
  }
  if (const std::string_view space = targets("Namespace");
      !space.empty() && space != request.space) {
    return fail(Code::kInvalid, "namespace in payload did not match header");
  }
  request.group = targets("Group");
  if (request.group.empty()) {
    return fail(Code::kInvalid, "missing task group name for scaling action");
  }
  request.error = body.get_bool("Error");
  request.message = body.get_string("Message");
  if (request.message.size() > kMaxMessageBytes) {
    return fail(Code::kInvalid, "Message has over {} bytes", kMaxMessageBytes);
  }
  if (const Json* meta = body.find("Meta"); meta && meta->is_object()) {
    if (to_json(*meta).size() > kMaxMetaBytes) {
      return fail(Code::kInvalid, "Meta has over {} bytes", kMaxMetaBytes);
    }
    request.meta = *meta;
  }
  if (const Json* count = body.find("Count"); count && count->is_int()) {
    if (count->as_int() < 0) {
      return fail(Code::kInvalid, "scaling action count can't be negative");
    }
    request.count = count->as_int();
  }
  return request;
}

constexpr MemberKind kScaleBody[] = {
    {"Target", Json::Kind::kObject},  {"Count", Json::Kind::kInt},
    {"Message", Json::Kind::kString}, {"Error", Json::Kind::kBool},
    {"Meta", Json::Kind::kObject},    {"PolicyOverride", Json::Kind::kBool}};

Task<void> scale(Call& call, const Json& body) {
  Result<ScaleRequest> request = scale_request(call, body);
  if (!request) {
    co_await call.refuse(request.error());
    co_return;
  }
  Result<RegisterReply> reply = co_await call.server().scale_job(std::move(*request));
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  co_await call.reply_registered(*reply);
}

/// What is there of a group, canaries aside: they do not count towards what is wanted.
struct GroupScale {
  int64_t placed = 0, running = 0, healthy = 0, unhealthy = 0;

  void add(const Allocation& alloc) {
    ++placed;
    if (alloc.client_status == ClientStatus::kRunning) ++running;
    if (alloc.is_healthy()) ++healthy;
    if (alloc.is_unhealthy()) ++unhealthy;
  }
};

std::vector<ScalingEvent> events_of(const JobScaling* scaling, const std::string& group) {
  if (!scaling) return {};
  const auto found = scaling->groups.find(group);
  return found == scaling->groups.end() ? std::vector<ScalingEvent>() : found->second;
}

Task<void> scale_status(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{Topic::Kind::kJobs, call.param(0), call.space()},
                                              {Topic::Kind::kOfJob, call.param(0), call.space()}});
  const JobPtr job = snapshot.job(call.space(), call.param(0));
  if (!job) {
    co_await call.refuse(404, "job not found");
    co_return;
  }
  std::map<std::string, GroupScale> groups;
  if (const auto index = snapshot.of_job(job->namespace_, job->id)) {
    index->allocs.each([&](const AllocPtr& alloc) {
      if (!alloc->terminal() && !alloc->is_canary()) groups[alloc->group].add(*alloc);
    });
  }
  const auto scaling = snapshot.scaling(job->namespace_, job->id);
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object();
    out.member("JobID", job->id).member("Namespace", job->namespace_);
    out.member("JobCreateIndex", job->create_index).member("JobModifyIndex", job->modify_index);
    out.member("JobStopped", job->stop);
    out.key("TaskGroups").begin_object();
    for (const TaskGroup& group : job->groups) {
      const GroupScale& sums = groups[group.name];
      out.key(group.name).begin_object();
      out.member("Desired", group.count);
      out.member("Placed", sums.placed).member("Running", sums.running);
      out.member("Healthy", sums.healthy).member("Unhealthy", sums.unhealthy);
      out.key("Events");
      encode(out, events_of(scaling.get(), group.name), EncodeOptions{});
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
  const std::string prefix = call.query("prefix");
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_array();
    each_policy(snapshot, [&](const Job& job, const TaskGroup& group) {
      if (space != kAnyNamespace && job.namespace_ != space) return;
      if (!wanted.empty() && job.id != wanted) return;
      if (!prefix.empty() && !policy_id(job, group).starts_with(prefix)) return;
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
    {"PUT", "/v1/job/*id/scale", with_body<scale, kScaleBody>},
    {"GET", "/v1/scaling/policies", list_policies},
    {"GET", "/v1/scaling/policy/:id", read_policy},
};

}  // namespace

std::span<const Route> scaling_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
