// The calls on jobs.
#include <fmt/format.h>

#include "orchestrator/api/call.h"
#include "orchestrator/api/list.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/diff.h"
#include "orchestrator/fields_json.h"
#include "orchestrator/job_hcl.h"

namespace sluice::orchestrator::api {
namespace {

using TopicKind = Topic::Kind;

JobPtr find_job(Call& call, const Snapshot& snapshot, size_t param = 0) {
  return snapshot.job(call.space(), call.param(param));
}

Task<void> no_job(Call& call) {
  return call.refuse(404, "job not found");
}

/// The job of a body's "Job" member.
Result<Job> job_of(const Json& body) {
  const Json* job = body.find("Job");
  if (!job || !job->is_object()) return fail(Code::kInvalid, "Job must be specified");
  return decode_job(*job);
}

constexpr MemberKind kSubmission[] = {{"Source", Json::Kind::kString},
                                      {"Format", Json::Kind::kString},
                                      {"Variables", Json::Kind::kString}};

Result<JobSubmission> read_submission(const Json& body) {
  if (Result<void> kinds = check_kinds(body, kSubmission); !kinds) return pass(kinds, "Submission");
  Result<StringMap> flags = read_texts(body, "VariableFlags");
  if (!flags) return pass(flags, "Submission");
  JobSubmission submission;
  submission.source = body.get_string("Source");
  submission.format = body.get_string("Format");
  submission.variables = body.get_string("Variables");
  submission.variable_flags = std::move(*flags);
  return submission;
}

Task<void> list_jobs(Call& call) {
  Snapshot snapshot = co_await call.snapshot(
      {{TopicKind::kJobs, {}, {}}, {TopicKind::kAllocs, {}, {}}, {TopicKind::kEvals, {}, {}}});
  const std::string space = call.space();
  co_await reply_list(
      call, snapshot.tables().jobs,
      [space](const Job& job) { return space == kAnyNamespace || job.namespace_ == space; },
      [snapshot](JsonWriter& out, const Job& job) {
        write_job_stub(out, job, snapshot.job_status(job), snapshot.job_summary(job),
                       snapshot.job_children(job));
      });
}

constexpr MemberKind kRegisterBody[] = {{"EnforceIndex", Json::Kind::kBool},
                                        {"JobModifyIndex", Json::Kind::kInt},
                                        {"PreserveCounts", Json::Kind::kBool},
                                        {"EvalPriority", Json::Kind::kInt}};

Task<void> register_job(Call& call, const Json& body) {
  Result<Job> job = job_of(body);
  if (!job) {
    co_await call.refuse(job.error());
    co_return;
  }
  if (const std::string space = call.query("namespace");
      !space.empty() && job->namespace_.empty()) {
    job->namespace_ = space;
  }
  // The body's own word on its namespace is what counts.
  if (!call.allowed(AclLevel::kWrite, job->namespace_.empty() ? "default" : job->namespace_)) {
    co_await call.refuse(403, "Permission denied");
    co_return;
  }
  RegisterRequest request;
  request.job = std::move(*job);
  request.enforce_index = body.get_bool("EnforceIndex");
  request.job_modify_index = static_cast<uint64_t>(body.get_int("JobModifyIndex"));
  request.preserve_counts = body.get_bool("PreserveCounts");
  request.eval_priority = body.get_int("EvalPriority");
  request.plan_hash = body.get_string("PlanHash");
  if (const Json* text = body.find("Submission"); text && text->is_object()) {
    Result<JobSubmission> submission = read_submission(*text);
    if (!submission) {
      co_await call.refuse(submission.error());
      co_return;
    }
    request.submission = std::move(*submission);
  }
  Result<RegisterReply> reply = co_await call.server().register_job(std::move(request));
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  co_await call.reply_registered(*reply);
}

/// PUT /v1/job/:id: as /v1/jobs, with the id said twice.
Task<void> update_job(Call& call, const Json& body) {
  const Json* job = body.find("Job");
  if (job && job->get_string("ID") != call.param(0)) {
    co_await call.refuse(400, "Job ID does not match name");
    co_return;
  }
  co_await register_job(call, body);
}

Task<void> plan_job(Call& call, const Json& body) {
  Result<Job> job = job_of(body);
  if (!job) {
    co_await call.refuse(job.error());
    co_return;
  }
  if (job->id != call.param(0)) {
    co_await call.refuse(400, "Job ID does not match");
    co_return;
  }
  if (job->namespace_.empty()) job->namespace_ = call.query("namespace");
  if (!call.allowed(AclLevel::kWrite, job->namespace_.empty() ? "default" : job->namespace_)) {
    co_await call.refuse(403, "Permission denied");
    co_return;
  }
  Result<PlanReply> reply = co_await call.server().plan_job(std::move(*job), body.get_bool("Diff"));
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  call.set_index(reply->index);
  co_await call.reply_with([&](JsonWriter& out) { write_plan_reply(out, *reply); });
}

Task<void> validate_job(Call& call, const Json& body) {
  if (const Json* given = body.find("Job"); !given || !given->is_object()) {
    co_await call.refuse(400, "Job must be specified");
    co_return;
  }
  Result<Job> job = job_of(body);
  Result<std::string> said =
      job ? call.server().validate_job(std::move(*job)) : Result<std::string>(pass(job));
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object();
    out.member("DriverConfigValidated", true);
    out.key("ValidationErrors");
    if (said) {
      out.null();
    } else {
      out.begin_array();
      std::string_view rest = said.error().message;
      while (!rest.empty()) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        out.value(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
      out.end_array();
    }
    out.member("Error", said ? std::string() : said.error().message);
    out.member("Warnings", said ? *said : std::string());
    out.end_object();
  });
}

Task<void> parse_job(Call& call, const Json& body) {
  const std::string_view text = body.get_string("JobHCL");
  if (text.empty()) {
    co_await call.refuse(400, "Job spec is empty");
    co_return;
  }
  JobHclOptions options;
  if (const std::string_view vars = body.get_string("Variables"); !vars.empty()) {
    options.var_files.push_back({"variables", std::string(vars)});
  }
  auto parse = [source = std::string(text), options = std::move(options)] {
    return parse_job_hcl("job.nomad", source, options);
  };
  Result<Json> parsed = co_await on_pool(call.executor(), std::move(parse));
  if (!parsed) {
    co_await call.refuse(parsed.error());
    co_return;
  }
  const Json* job = parsed->find("Job");
  if (!body.get_bool("Canonicalize")) {
    co_await call.reply(to_json(job ? *job : *parsed));
    co_return;
  }
  Result<Job> decoded = decode_job(job ? *job : *parsed);
  if (!decoded) {
    co_await call.refuse(decoded.error());
    co_return;
  }
  canonicalize(*decoded);
  co_await call.reply_with([&](JsonWriter& out) { write_job(out, *decoded); });
}

Task<void> read_job(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kJobs, call.param(0), call.space()},
                                              {TopicKind::kOfJob, call.param(0), call.space()}});
  const JobPtr job = find_job(call, snapshot);
  if (!job) {
    co_await no_job(call);
    co_return;
  }
  co_await call.reply_with(
      [&](JsonWriter& out) { write_job(out, *job, snapshot.job_status(*job), ""); });
}

Task<void> delete_job(Call& call) {
  int64_t priority = 0;
  if (const std::string text = call.query("eval_priority"); !text.empty()) {
    uint64_t number = 0;
    if (!http1::parse_length(text, number) || number > INT32_MAX) {
      co_await call.refuse(400, fmt::format("eval_priority \"{}\" is not a number", text));
      co_return;
    }
    priority = static_cast<int64_t>(number);
  }
  if (!call.server().snapshot().job(call.space(), call.param(0))) {
    // Nothing to stop is no error: what is deleted twice is deleted.
    co_await call.reply_eval({.eval_id = {}, .index = call.server().snapshot().index()});
    co_return;
  }
  Result<EvalReply> reply =
      co_await call.server().deregister_job(call.space(), call.param(0), call.query_on("purge"),
                                            priority, call.query_on("no_shutdown_delay"));
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  co_await call.reply_eval(*reply);
}

Task<void> evaluate_job(Call& call, const Json& body) {
  const Json* options = body.find("EvalOptions");
  Result<EvalReply> reply = co_await call.server().evaluate_job(
      call.space(), call.param(0), options && options->get_bool("ForceReschedule"));
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  co_await call.reply_eval(*reply);
}

/// What belongs to a job: an empty list where nothing does, also for a job that is not there.
template <class T, class Write>
Task<void> list_of_job(Call& call, Table<T> JobIndex::* member, Write write) {
  const Topic topic{TopicKind::kOfJob, call.param(0), call.space()};
  Snapshot snapshot = co_await call.snapshot({topic});
  const auto index = snapshot.of_job(topic.space, topic.id);
  co_await reply_list(
      call, index ? (*index).*member : Table<T>(), [](const T&) { return true; }, write, true);
}

Task<void> allocations(Call& call) {
  return list_of_job(call, &JobIndex::allocs, [](JsonWriter& out, const Allocation& alloc) {
    write_allocation_stub(out, alloc);
  });
}

Task<void> evaluations(Call& call) {
  return list_of_job(call, &JobIndex::evals,
                     [](JsonWriter& out, const Evaluation& eval) { write_evaluation(out, eval); });
}

Task<void> deployments(Call& call) {
  return list_of_job(
      call, &JobIndex::deployments,
      [](JsonWriter& out, const Deployment& deployment) { write_deployment(out, deployment); });
}

Task<void> latest_deployment(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kOfJob, call.param(0), call.space()}});
  const DeploymentPtr deployment = snapshot.latest_deployment(call.space(), call.param(0));
  if (!deployment) {
    co_await call.reply("null");
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) { write_deployment(out, *deployment); });
}

Task<void> summary(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kJobs, call.param(0), call.space()},
                                              {TopicKind::kOfJob, call.param(0), call.space()}});
  const JobPtr job = find_job(call, snapshot);
  if (!job) {
    co_await no_job(call);
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) {
    write_job_summary(out, *job, snapshot.job_summary(*job), snapshot.job_children(*job));
  });
}

Task<void> versions(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kJobs, call.param(0), call.space()}});
  const std::vector<JobPtr> kept = snapshot.job_versions(call.space(), call.param(0));
  if (kept.empty()) {
    co_await no_job(call);
    co_return;
  }
  const bool diffs = call.query_on("diffs");
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object().key("Versions").begin_array();
    for (const JobPtr& job : kept) write_job(out, *job, snapshot.job_status(*job), "");
    out.end_array().key("Diffs");
    if (diffs) {
      out.begin_array();
      for (size_t i = 0; i + 1 < kept.size(); ++i) {
        out.value(diff_jobs(kept[i + 1].get(), kept[i].get()));
      }
      out.end_array();
    } else {
      out.null();
    }
    out.member("Index", snapshot.index());
    out.end_object();
  });
}

/// Those that Nomad itself would hold; ours are in the catalog.
Task<void> services(Call& call) {
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kJobs, call.param(0), call.space()}});
  if (!find_job(call, snapshot)) {
    co_await no_job(call);
    co_return;
  }
  co_await call.reply("[]");
}

Task<void> submission(Call& call) {
  uint64_t version = 0;
  if (!http1::parse_length(call.query("version"), version) || version > INT64_MAX) {
    co_await call.refuse(400, "Unable to parse job submission version parameter");
    co_return;
  }
  Snapshot snapshot = co_await call.snapshot({{TopicKind::kJobs, call.param(0), call.space()}});
  const auto number = static_cast<int64_t>(version);
  const auto text = snapshot.job_version(call.space(), call.param(0), number)
                        ? snapshot.submission(call.space(), call.param(0), number)
                        : nullptr;
  if (!text) {
    co_await call.refuse(404, "job source not found");
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object();
    out.member("JobID", text->job_id).member("Namespace", text->namespace_);
    out.member("Version", text->version).member("JobModifyIndex", text->job_index);
    out.member("Format", text->format).member("Source", text->source);
    out.member("Variables", text->variables).key("VariableFlags");
    encode(out, text->variable_flags, EncodeOptions{});
    out.end_object();
  });
}

Task<void> revert(Call& call, const Json& body) {
  const Json* version = body.find("JobVersion");
  if (!version || !version->is_int()) {
    co_await call.refuse(400, "JobVersion must be specified");
    co_return;
  }
  std::optional<int64_t> prior;
  if (const Json* given = body.find("EnforcePriorVersion"); given && given->is_int()) {
    prior = given->as_int();
  }
  Result<EvalReply> reply =
      co_await call.server().revert_job(call.space(), call.param(0), version->as_int(), prior);
  if (!reply) {
    co_await call.refuse(reply.error());
    co_return;
  }
  co_await call.reply_eval(*reply);
}

Task<void> set_stable(Call& call, const Json& body) {
  const Json* version = body.find("JobVersion");
  const Json* stable = body.find("Stable");
  if (!version || !version->is_int() || !stable || !stable->is_bool()) {
    co_await call.refuse(400, "JobVersion and Stable must be specified");
    co_return;
  }
  const Result<uint64_t> index = co_await call.server().set_stable(
      call.space(), call.param(0), version->as_int(), stable->as_bool());
  if (!index) {
    co_await call.refuse(index.error());
    co_return;
  }
  call.set_index(*index);
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object().member("JobModifyIndex", *index).member("Index", *index).end_object();
  });
}

constexpr Route kRoutes[] = {
    {"GET", "/v1/jobs", list_jobs},
    {"PUT", "/v1/jobs", with_body<register_job, kRegisterBody>},
    {"PUT", "/v1/jobs/parse", with_body<parse_job>},
    {"PUT", "/v1/validate/job", with_body<validate_job>},
    {"PUT", "/v1/job/*id/plan", with_body<plan_job>},
    {"PUT", "/v1/job/*id/evaluate", with_body<evaluate_job>},
    {"GET", "/v1/job/*id/allocations", allocations},
    {"GET", "/v1/job/*id/evaluations", evaluations},
    {"GET", "/v1/job/*id/deployments", deployments},
    {"GET", "/v1/job/*id/deployment", latest_deployment},
    {"GET", "/v1/job/*id/summary", summary},
    {"GET", "/v1/job/*id/versions", versions},
    {"GET", "/v1/job/*id/services", services},
    {"GET", "/v1/job/*id/submission", submission},
    {"PUT", "/v1/job/*id/revert", with_body<revert>},
    {"PUT", "/v1/job/*id/stable", with_body<set_stable>},
    {"GET", "/v1/job/*id", read_job},
    {"PUT", "/v1/job/*id", with_body<update_job, kRegisterBody>},
    {"DELETE", "/v1/job/*id", delete_job},
};

}  // namespace

std::span<const Route> job_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
