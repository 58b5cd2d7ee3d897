// The verbs that send a job file: plan, run, validate.
#include <fmt/format.h>

#include <algorithm>

#include "orchestrator/cli/command.h"
#include "orchestrator/cli/format_plan.h"
#include "orchestrator/cli/job_file.h"
#include "orchestrator/cli/monitor.h"
#include "orchestrator/cli/next_launch.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr int kPlanError = 255;

constexpr FlagSpec kPlanFlags[] = {
    {"diff", Kind::kBool, "show the difference to the running job; on unless -diff=false"},
    {"verbose", Kind::kBool, "show added and deleted groups and tasks in full"},
    {"policy-override", Kind::kBool, "accepted, without effect"},
};

constexpr FlagSpec kRunFlags[] = {
    {"check-index", Kind::kCount,
     "refuse unless the job's modify index is this one; 0: unless there is no such job"},
    {"check-plan", Kind::kValue, "refuse unless a dry run gives this hash, as `job plan` shows it"},
    {"detach", Kind::kBool, "return at once with the evaluation's id"},
    {"output", Kind::kBool, "print the JSON of the job and send nothing"},
    {"verbose", Kind::kBool, "full ids"},
    {"preserve-counts", Kind::kBool, "keep the counts of the running job's groups"},
    {"eval-priority", Kind::kCount, "priority of the evaluation, 1 to 100"},
    {"policy-override", Kind::kBool, "accepted, without effect"},
    {"consul-token", Kind::kValue, "accepted, without effect"},
    {"vault-token", Kind::kValue, "accepted, without effect"},
};

bool is_template(const Json& job) {
  return at(job, "Periodic").is_object() || at(job, "ParameterizedJob").is_object();
}

/// Whether the file says how the job is to be updated, for the job or for a group.
bool has_update_block(const Json& job) {
  if (at(job, "Update").is_object()) return true;
  const Json::Array& groups = items(at(job, "TaskGroups"));
  return std::any_of(groups.begin(), groups.end(),
                     [](const Json& group) { return at(group, "Update").is_object(); });
}

Task<int> plan(Session& session) {
  const std::string path = session.flags().words()[0];
  Result<Json> job = read_job_file(session, path);
  if (!job) {
    session.error("getting job struct", job.error());
    co_return kPlanError;
  }
  const std::optional<std::string> diff_flag = session.flags().value("diff");
  PlanOptions options;
  options.diff = !diff_flag || *diff_flag == "true";
  options.verbose = session.verbose();
  options.path = path;
  options.run_arguments = job_file_arguments(session.flags());
  Result<ApiReply> reply = co_await session.put(
      job_path(*job) + "/plan", Json::object({{"Job", *job}, {"Diff", options.diff}}));
  if (!reply) {
    session.error("during plan", reply.error());
    co_return kPlanError;
  }
  session.print(format_plan(reply->body, *job, options, session.clock(), session.style()));
  co_return plan_exit_code(reply->body);
}

/// Nomad's own words for a lost race, without the wrapping of the call.
std::string_view index_conflict(std::string_view message) {
  for (const std::string_view start : {"Enforcing job modify index", "Enforcing plan"}) {
    const size_t at_start = message.find(start);
    if (at_start == std::string_view::npos) continue;
    message.remove_prefix(at_start);
    return message.ends_with(')') ? message.substr(0, message.size() - 1) : message;
  }
  return {};
}

int output(Session& session, const Json& job) {
  session.print(to_json(Json::object({{"Job", job}}), 4));
  return 0;
}

Task<int> run(Session& session) {
  const Flags& flags = session.flags();
  Result<JobFile> file = read_whole_job_file(session, flags.words()[0]);
  if (!file) co_return session.error("getting job struct", file.error());
  const Json* job = &file->job;
  if (flags.is_on("output")) co_return output(session, *job);
  if (flags.has("check-index") && flags.number_or("check-index", 0) < 0) {
    co_return session.error("Error parsing check-index value: it is 0 or more");
  }

  Json request = Json::object({{"Job", *job}, {"Submission", std::move(file->submission)}});
  if (flags.has("check-index")) {
    request.set("EnforceIndex", true);
    request.set("JobModifyIndex", flags.number_or("check-index", 0));
  }
  if (flags.has("check-plan")) request.set("PlanHash", flags.value_or("check-plan", ""));
  if (flags.is_on("preserve-counts")) request.set("PreserveCounts", true);
  if (flags.has("eval-priority")) request.set("EvalPriority", flags.number_or("eval-priority", 0));
  Result<ApiReply> reply = co_await session.put("/v1/jobs", std::move(request));
  if (!reply) {
    const std::string_view conflict = index_conflict(reply.error().message);
    if (conflict.empty()) co_return session.error("submitting job", reply.error());
    session.error(conflict);
    co_return session.error("Job not updated");
  }
  if (const std::string_view warnings = reply->body.get_string("Warnings"); !warnings.empty()) {
    session.print(
        session.style().bold(session.style().yellow(fmt::format("Job Warnings:\n{}", warnings))) +
        "\n");
  }
  const std::string eval_id(reply->body.get_string("EvalID"));
  if (eval_id.empty() || is_template(*job)) {
    session.print("Job registration successful");
    const std::string next = next_launch_text(session.env().disk, *job, session.clock());
    if (!next.empty()) session.print("Approximate next launch time: " + next);
    co_return 0;
  }
  if (flags.is_on("detach")) session.print("Job registration successful");
  co_return co_await finish_with_evaluation(session, eval_id, has_update_block(*job));
}

Task<int> validate(Session& session) {
  Result<Json> job = read_job_file(session, session.flags().words()[0]);
  if (!job) co_return session.error("getting job struct", job.error());
  Result<ApiReply> reply =
      co_await session.put("/v1/validate/job", Json::object({{"Job", std::move(*job)}}));
  if (!reply) co_return session.error("validating job", reply.error());
  const std::vector<std::string> errors = strings_of(reply->body.find("ValidationErrors"));
  if (!errors.empty()) {
    session.print(session.style().bold(session.style().red("Job validation errors:")));
    std::string text =
        fmt::format("{} {} occurred:", errors.size(), errors.size() == 1 ? "error" : "errors");
    for (const std::string& each : errors) text += "\n\t* " + each;
    co_return session.error(text);
  }
  if (const std::string_view warnings = reply->body.get_string("Warnings"); !warnings.empty()) {
    session.print(
        session.style().bold(session.style().yellow(fmt::format("Job Warnings:\n{}", warnings))) +
        "\n");
  }
  session.print(session.style().bold(session.style().green("Job validation successful")));
  co_return 0;
}

constexpr Command kCommands[] = {
    {.name = "job plan",
     .usage = "[options] <path>",
     .summary = "Dry-run a job update to determine its effects",
     .help = "Shows what `job run` of the file would change and do, and changes nothing.\n"
             "<path> is an HCL or JSON job file, \"-\" standard input.\n\n"
             "Exit codes: 0 no change, 1 changes, 255 an error.",
     .flags = kPlanFlags,
     .reads_job_file = true,
     .run = plan,
     .min_words = 1,
     .max_words = 1,
     .usage_exit_code = kPlanError},
    {.name = "job run",
     .usage = "[options] <path>",
     .summary = "Run a new job or update an existing job",
     .help = "Submits the job and follows its evaluation, and its deployment where the file has\n"
             "an `update` block.\n"
             "<path> is an HCL or JSON job file, \"-\" standard input.\n\n"
             "Exit codes: 0 done, 1 an error or a failed deployment, 2 not every instance could\n"
             "be placed.",
     .flags = kRunFlags,
     .reads_job_file = true,
     .run = run,
     .min_words = 1,
     .max_words = 1},
    {.name = "job validate",
     .usage = "[options] <path>",
     .summary = "Checks if a given job specification is valid",
     .help = "",
     .flags = {},
     .reads_job_file = true,
     .run = validate,
     .min_words = 1,
     .max_words = 1},
};

}  // namespace

std::span<const Command> job_edit_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
