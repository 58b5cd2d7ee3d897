// The verbs that show jobs: status, inspect, history, allocs, deployments.
#include <fmt/format.h>

#include "orchestrator/cli/command.h"
#include "orchestrator/cli/format_alloc.h"
#include "orchestrator/cli/format_job.h"
#include "orchestrator/cli/format_plan.h"
#include "orchestrator/cli/next_launch.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr FlagSpec kStatusFlags[] = {
    {"short", Kind::kBool, "the head only"},
    {"evals", Kind::kBool, "the evaluations too"},
    {"all-allocs", Kind::kBool, "allocations of an older job of the same name too"},
    {"verbose", Kind::kBool, "full ids and times"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.ID}}"},
};
constexpr FlagSpec kHistoryFlags[] = {
    {"p", Kind::kBool, "show what each version changed"},
    {"full", Kind::kBool, "the whole job of each version"},
    {"version", Kind::kCount, "only this version"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.ID}}"},
};
constexpr FlagSpec kInspectFlags[] = {
    {"version", Kind::kCount, "this version instead of the newest"},
    {"json", Kind::kBool, "as it is always"},
    {"t", Kind::kValue, "print by a template such as {{.ID}}"},
};
constexpr FlagSpec kListFlags[] = {
    {"verbose", Kind::kBool, "full ids and times"},
    {"latest", Kind::kBool, "only the newest"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.ID}}"},
};

Task<int> list_jobs(Session& session) {
  Result<ApiReply> jobs = co_await session.get("/v1/jobs");
  if (!jobs) co_return session.error("querying jobs", jobs.error());
  int code = 0;
  if (!session.print_raw(jobs->body, code)) {
    session.print(format_job_list(jobs->body, session.clock()));
  }
  co_return code;
}

/// What a periodic or parameterized job shows in the place of allocations.
Task<Result<void>> read_children(Session& session, JobStatusData& data) {
  const std::string prefix = std::string(data.job.get_string("ID")) + "/";
  Result<ApiReply> children = co_await session.get("/v1/jobs", {{"prefix", prefix}});
  if (!children) co_return pass(children);
  data.children = std::move(children->body);
  co_return Result<void>();
}

Task<Result<void>> read_allocs(Session& session, JobStatusData& data) {
  const std::string path = job_path(data.job);
  const std::string all = session.flags().is_on("all-allocs") ? "true" : "false";
  Result<ApiReply> allocs = co_await session.get(path + "/allocations", {{"all", all}});
  if (!allocs) co_return pass(allocs);
  Result<ApiReply> evals = co_await session.get(path + "/evaluations");
  if (!evals) co_return pass(evals);
  Result<ApiReply> deployment = co_await session.get(path + "/deployment");
  if (!deployment) co_return pass(deployment);
  data.allocations = std::move(allocs->body);
  data.evaluations = std::move(evals->body);
  data.deployment = std::move(deployment->body);
  co_return Result<void>();
}

Task<int> status(Session& session) {
  const Flags& flags = session.flags();
  if (flags.words().empty()) co_return co_await list_jobs(session);
  Result<Json> stub = co_await find_job(session, flags.words()[0]);
  if (!stub) co_return session.error(stub.error().message);
  JobStatusData data;
  Result<ApiReply> job = co_await session.get(job_path(*stub));
  if (!job) co_return session.error("querying job", job.error());
  data.job = std::move(job->body);
  data.next_launch = next_launch_text(session.env().disk, data.job, session.clock());
  int code = 0;
  if (session.print_raw(data.job, code)) co_return code;
  const JobStatusOptions options{session.verbose(), flags.is_on("evals"), flags.is_on("short")};
  if (!options.brief) {
    Result<ApiReply> summary = co_await session.get(job_path(*stub) + "/summary");
    if (!summary) co_return session.error("querying job summary", summary.error());
    data.summary = std::move(summary->body);
    const bool children =
        at(data.job, "Periodic").is_object() ||
        (at(data.job, "ParameterizedJob").is_object() && !data.job.get_bool("Dispatched"));
    Result<void> read =
        children ? co_await read_children(session, data) : co_await read_allocs(session, data);
    if (!read) co_return session.error("querying job", read.error());
  }
  session.print(format_job_status(data, options, session.clock(), session.style()));
  co_return 0;
}

Task<Result<Json>> read_version(Session& session, const Json& stub, std::optional<int64_t> wanted) {
  if (!wanted) {
    Result<ApiReply> job = co_await session.get(job_path(stub));
    if (!job) co_return pass(job);
    co_return std::move(job->body);
  }
  Result<ApiReply> versions = co_await session.get(job_path(stub) + "/versions");
  if (!versions) co_return pass(versions);
  for (const Json& version : items(at(versions->body, "Versions"))) {
    if (version.get_int("Version") == *wanted) co_return version;
  }
  co_return fail(Code::kNotFound, "job {} has no version {} (kept ones: `sluice job history {}`)",
                 quoted(stub.get_string("ID")), *wanted, stub.get_string("ID"));
}

Task<int> inspect(Session& session) {
  Result<Json> stub = co_await find_job(session, session.flags().words()[0]);
  if (!stub) co_return session.error(stub.error().message);
  std::optional<int64_t> version;
  if (session.flags().has("version")) version = session.flags().number_or("version", 0);
  Result<Json> job = co_await read_version(session, *stub, version);
  if (!job) co_return session.error("querying job", job.error());
  const Json wrapped = Json::object({{"Job", *job}});
  int code = 0;
  if (session.flags().has("t")) {
    session.print_raw(*job, code);
  } else {
    session.print(to_json(wrapped, 4));
  }
  co_return code;
}

Task<int> history(Session& session) {
  const Flags& flags = session.flags();
  Result<Json> stub = co_await find_job(session, flags.words()[0]);
  if (!stub) co_return session.error(stub.error().message);
  const bool diffs = flags.is_on("p");
  Result<ApiReply> reply =
      co_await session.get(job_path(*stub) + "/versions", {{"diffs", diffs ? "true" : "false"}});
  if (!reply) co_return session.error("querying job versions", reply.error());
  Json shown = std::move(reply->body);
  if (flags.has("version")) {
    Json::Array versions, changes;
    const Json::Array& all = items(at(shown, "Versions"));
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].get_int("Version") != flags.number_or("version", 0)) continue;
      versions.push_back(all[i]);
      if (i < items(at(shown, "Diffs")).size()) changes.push_back(items(at(shown, "Diffs"))[i]);
    }
    if (versions.empty()) {
      co_return session.error(fmt::format("job {} has no version {}",
                                          quoted(stub->get_string("ID")),
                                          flags.number_or("version", 0)));
    }
    shown = Json::object({{"Versions", std::move(versions)}, {"Diffs", std::move(changes)}});
  }
  int code = 0;
  if (session.print_raw(at(shown, "Versions"), code)) co_return code;
  if (flags.is_on("full")) {
    session.print(to_json(at(shown, "Versions"), 4));
  } else {
    session.print(format_job_history(shown, diffs, session.clock(), session.style()));
  }
  co_return 0;
}

Task<int> allocs(Session& session) {
  Result<Json> job = co_await find_job(session, session.flags().words()[0]);
  if (!job) co_return session.error(job.error().message);
  Result<ApiReply> reply = co_await session.get(job_path(*job) + "/allocations", {{"all", "true"}});
  if (!reply) co_return session.error("listing allocations", reply.error());
  int code = 0;
  if (!session.print_raw(reply->body, code)) {
    session.print(format_alloc_list(reply->body, session.verbose(), session.clock()));
  }
  co_return code;
}

Task<int> deployments(Session& session) {
  Result<Json> job = co_await find_job(session, session.flags().words()[0]);
  if (!job) co_return session.error(job.error().message);
  const bool latest = session.flags().is_on("latest");
  Result<ApiReply> reply =
      co_await session.get(job_path(*job) + (latest ? "/deployment" : "/deployments"));
  if (!reply) co_return session.error("listing deployments", reply.error());
  int code = 0;
  if (session.print_raw(reply->body, code)) co_return code;
  session.print(!latest                   ? format_deployment_list(reply->body, session.verbose())
                : reply->body.is_object() ? format_deployment(reply->body, session.verbose(), true,
                                                              session.clock(), session.style())
                                          : "No deployment found");
  co_return 0;
}

constexpr Command kCommands[] = {
    {.name = "job status",
     .usage = "[options] [<job>]",
     .summary = "Display status information about jobs",
     .help = "Without a job: a table of all of them.",
     .flags = kStatusFlags,
     .run = status,
     .max_words = 1},
    {.name = "job inspect",
     .usage = "[options] <job>",
     .summary = "Inspect a submitted job",
     .help = "Prints the job as JSON, with every default filled in.",
     .flags = kInspectFlags,
     .run = inspect,
     .min_words = 1,
     .max_words = 1},
    {.name = "job history",
     .usage = "[options] <job>",
     .summary = "Display all tracked versions of a job",
     .help = "",
     .flags = kHistoryFlags,
     .run = history,
     .min_words = 1,
     .max_words = 1},
    {.name = "job allocs",
     .usage = "[options] <job>",
     .summary = "List allocations for a job",
     .help = "",
     .flags = kListFlags,
     .run = allocs,
     .min_words = 1,
     .max_words = 1},
    {.name = "job deployments",
     .usage = "[options] <job>",
     .summary = "List deployments for a job",
     .help = "",
     .flags = kListFlags,
     .run = deployments,
     .min_words = 1,
     .max_words = 1},
};

}  // namespace

std::span<const Command> job_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
