#include "orchestrator/cli/format_job.h"

#include <fmt/format.h>

#include "orchestrator/cli/format_plan.h"

namespace sluice::orchestrator::cli {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kMaxShownFailedGroups = 5;

std::string text_of(const Json& object, std::string_view key) {
  return std::string(object.get_string(key));
}

std::string bool_text(bool value) {
  return value ? "true" : "false";
}

bool is_periodic(const Json& job) {
  return job.get_bool("Periodic") || at(job, "Periodic").is_object();
}

bool is_parameterized(const Json& job) {
  if (job.get_bool("Dispatched")) return false;
  return job.get_bool("ParameterizedJob") || at(job, "ParameterizedJob").is_object();
}

std::string job_type(const Json& job) {
  std::string type = text_of(job, "Type");
  if (is_periodic(job)) type += "/periodic";
  if (is_parameterized(job)) type += "/parameterized";
  return type;
}

std::string job_status(const Json& job) {
  return text_of(job, "Status") + (job.get_bool("Stop") ? " (stopped)" : "");
}

std::string section(const Style& style, std::string_view title) {
  return "\n\n" + style.bold(title) + "\n";
}

std::string job_head(const JobStatusData& data, const Clock& clock) {
  const Json& job = data.job;
  Pairs head{{"ID", text_of(job, "ID")},
             {"Name", text_of(job, "Name")},
             {"Submit Date", time_text(job.get_int("SubmitTime"), clock)},
             {"Type", text_of(job, "Type")},
             {"Priority", number_text(job.find("Priority"))},
             {"Datacenters", join(strings_of(job.find("Datacenters")), ",")},
             {"Status", job_status(job)},
             {"Periodic", bool_text(is_periodic(job))},
             {"Parameterized", bool_text(is_parameterized(job))}};
  if (!data.next_launch.empty()) head.emplace_back("Next Periodic Launch", data.next_launch);
  return key_values(head);
}

std::string summary_table(const Json& summary) {
  static constexpr const char* kCounts[] = {"Queued", "Starting", "Running",
                                            "Failed", "Complete", "Lost"};
  std::vector<Row> rows(1, Row{"Task Group"});
  rows[0].insert(rows[0].end(), std::begin(kCounts), std::end(kCounts));
  bool unknown = false;
  const Json& groups = at(summary, "Summary");
  for (const std::string& group : sorted_keys(groups)) {
    unknown = unknown || at(groups, group).get_int("Unknown") > 0;
  }
  if (unknown) rows[0].push_back("Unknown");
  for (const std::string& group : sorted_keys(groups)) {
    Row row{group};
    for (const char* count : kCounts) row.push_back(number_text(at(groups, group).find(count)));
    if (unknown) row.push_back(number_text(at(groups, group).find("Unknown")));
    rows.push_back(std::move(row));
  }
  return columns(rows);
}

std::string children_text(const JobStatusData& data, const Style& style) {
  const Json& counts = at(data.summary, "Children");
  std::string out =
      section(style, "Children Job Summary") +
      columns({{"Pending", "Running", "Dead"},
               {number_text(counts.find("Pending")), number_text(counts.find("Running")),
                number_text(counts.find("Dead"))}});
  const bool parameterized = is_parameterized(data.job);
  std::vector<Row> rows{{"ID", "Status"}};
  for (const Json& child : items(data.children)) {
    if (child.get_string("ParentID") != data.job.get_string("ID")) continue;
    rows.push_back({text_of(child, "ID"), job_status(child)});
  }
  if (rows.size() == 1) {
    return out + (parameterized ? "\n\nNo dispatched instances of parameterized job found"
                                : "\n\nNo instances of periodic job found");
  }
  return out + section(style, parameterized ? "Dispatched Jobs" : "Previously Launched Jobs") +
         columns(rows);
}

std::string template_text(const JobStatusData& data, const Style& style) {
  if (!is_parameterized(data.job)) return children_text(data, style);
  const Json& block = at(data.job, "ParameterizedJob");
  return section(style, "Parameterized Job") +
         key_values({{"Payload", text_of(block, "Payload")},
                     {"Required Metadata", join(strings_of(block.find("MetaRequired")), ", ")},
                     {"Optional Metadata", join(strings_of(block.find("MetaOptional")), ", ")}}) +
         children_text(data, style);
}

std::string evals_table(const Json& evaluations, bool verbose) {
  std::vector<Row> rows{{"ID", "Priority", "Triggered By", "Status", "Placement Failures"}};
  for (const Json& eval : items(evaluations)) {
    const bool blocked = eval.get_string("Status") == "blocked";
    rows.push_back(
        {short_id(eval.get_string("ID"), verbose), number_text(eval.find("Priority")),
         text_of(eval, "TriggeredBy"), text_of(eval, "Status"),
         blocked ? "N/A - In Progress" : bool_text(at(eval, "FailedTGAllocs").size() > 0)});
  }
  return columns(rows);
}

/// The failed placements of the newest evaluation that had any, while a blocked one waits.
std::string placement_failures(const Json& evaluations, const Style& style) {
  const Json* newest = nullptr;
  bool blocked = false;
  for (const Json& eval : items(evaluations)) {
    blocked = blocked || eval.get_string("Status") == "blocked";
    if (at(eval, "FailedTGAllocs").size() == 0) continue;
    if (!newest || newest->get_int("CreateIndex") < eval.get_int("CreateIndex")) newest = &eval;
  }
  if (!newest || !blocked) return "";
  const Json& failed = at(*newest, "FailedTGAllocs");
  std::vector<std::string> parts;
  for (const std::string& group : sorted_keys(failed)) {
    if (parts.size() == kMaxShownFailedGroups) {
      parts.push_back("Placement failures truncated. To see remainder run:\nsluice eval status " +
                      text_of(*newest, "ID"));
      break;
    }
    parts.push_back("Task Group " + quoted(group) + ":\n" +
                    format_alloc_metric(at(failed, group), false, "  "));
  }
  return section(style, "Placement Failure") + join(parts, "\n\n");
}

std::string future_reschedules(const JobStatusData& data, bool verbose, const Clock& clock,
                               const Style& style) {
  std::vector<Row> rows{{"Task Group", "Eval ID", "Eval Time"}};
  for (const Json& eval : items(data.evaluations)) {
    const auto until = parse_time(eval.get_string("WaitUntil"));
    if (!until || *until <= clock.now_ns || eval.get_string("Status") != "pending") continue;
    for (const Json& alloc : items(data.allocations)) {
      if (alloc.get_string("FollowupEvalID") != eval.get_string("ID")) continue;
      rows.push_back({text_of(alloc, "TaskGroup"), short_id(eval.get_string("ID"), verbose),
                      time_difference(*until, clock.now_ns)});
    }
  }
  if (rows.size() == 1) return "";
  return section(style, "Future Rescheduling Attempts") + columns(rows);
}

std::string deployment_groups(const Json& groups, const Clock& clock) {
  bool auto_revert = false, canaries = false, deadline = false;
  for (const std::string& name : sorted_keys(groups)) {
    const Json& group = at(groups, name);
    auto_revert = auto_revert || group.get_bool("AutoRevert");
    canaries = canaries || group.get_int("DesiredCanaries") > 0;
    deadline = deadline || group.get_int("ProgressDeadline") != 0;
  }
  std::vector<Row> rows(1, Row{"Task Group"});
  if (auto_revert) rows[0].push_back("Auto Revert");
  if (canaries) rows[0].push_back("Promoted");
  rows[0].push_back("Desired");
  if (canaries) rows[0].push_back("Canaries");
  for (const char* title : {"Placed", "Healthy", "Unhealthy"}) rows[0].push_back(title);
  if (deadline) rows[0].push_back("Progress Deadline");
  for (const std::string& name : sorted_keys(groups)) {
    const Json& group = at(groups, name);
    Row row{name};
    if (auto_revert) row.push_back(bool_text(group.get_bool("AutoRevert")));
    if (canaries) {
      row.push_back(group.get_int("DesiredCanaries") > 0 ? bool_text(group.get_bool("Promoted"))
                                                         : "N/A");
    }
    row.push_back(number_text(group.find("DesiredTotal")));
    if (canaries) row.push_back(number_text(group.find("DesiredCanaries")));
    row.push_back(number_text(group.find("PlacedAllocs")));
    row.push_back(number_text(group.find("HealthyAllocs")));
    row.push_back(number_text(group.find("UnhealthyAllocs")));
    if (deadline) {
      const auto by = parse_time(group.get_string("RequireProgressBy"));
      row.push_back(by ? time_text(*by, clock) : "N/A");
    }
    rows.push_back(std::move(row));
  }
  return columns(rows);
}

}  // namespace

std::string format_job_list(const Json& jobs, const Clock& clock) {
  if (jobs.size() == 0) return "No running jobs";
  std::vector<Row> rows{{"ID", "Type", "Priority", "Status", "Submit Date"}};
  for (const Json& job : items(jobs)) {
    rows.push_back({text_of(job, "ID"), job_type(job), number_text(job.find("Priority")),
                    job_status(job), time_text(job.get_int("SubmitTime"), clock)});
  }
  return columns(rows);
}

std::string format_alloc_list(const Json& allocations, bool verbose, const Clock& clock) {
  if (allocations.size() == 0) return "No allocations placed";
  std::vector<Row> rows(1);
  if (verbose) {
    rows[0] = {"ID",      "Eval ID", "Node ID", "Node Name", "Task Group",
               "Version", "Desired", "Status",  "Created",   "Modified"};
  } else {
    rows[0] = {"ID",      "Node ID", "Task Group", "Version",
               "Desired", "Status",  "Created",    "Modified"};
  }
  for (const Json& alloc : items(allocations)) {
    const int64_t created = alloc.get_int("CreateTime");
    const int64_t modified = alloc.get_int("ModifyTime");
    const Json* version = alloc.find("JobVersion");
    if (!version) version = at(alloc, "Job").find("Version");  // a whole allocation, not a stub
    Row row{short_id(alloc.get_string("ID"), verbose)};
    if (verbose) row.push_back(text_of(alloc, "EvalID"));
    row.push_back(short_id(alloc.get_string("NodeID"), verbose));
    if (verbose) row.push_back(text_of(alloc, "NodeName"));
    row.push_back(text_of(alloc, "TaskGroup"));
    row.push_back(number_text(version));
    row.push_back(text_of(alloc, "DesiredStatus"));
    row.push_back(text_of(alloc, "ClientStatus"));
    row.push_back(verbose ? time_text(created, clock) : time_difference(created, clock.now_ns));
    row.push_back(verbose ? time_text(modified, clock) : time_difference(modified, clock.now_ns));
    rows.push_back(std::move(row));
  }
  return columns(rows);
}

std::string format_job_status(const JobStatusData& data, const JobStatusOptions& options,
                              const Clock& clock, const Style& style) {
  std::string out = job_head(data, clock);
  if (options.brief) return out;
  if (is_periodic(data.job) || is_parameterized(data.job)) return out + template_text(data, style);
  out += section(style, "Summary") + summary_table(data.summary);
  if (options.verbose || options.evals) {
    out += section(style, "Evaluations") + evals_table(data.evaluations, options.verbose);
  }
  out += placement_failures(data.evaluations, style);
  out += future_reschedules(data, options.verbose, clock, style);
  // One that went well is history: `deployment status` shows it.
  const bool over = data.deployment.get_string("Status") == "successful" && !options.verbose;
  if (data.deployment.is_object() && !over) {
    out += section(style, "Latest Deployment") +
           format_deployment(data.deployment, options.verbose, false, clock, style);
  }
  return out + section(style, "Allocations") +
         format_alloc_list(data.allocations, options.verbose, clock);
}

std::string format_deployment_list(const Json& deployments, bool verbose) {
  if (deployments.size() == 0) return "No deployments found";
  std::vector<Row> rows{{"ID", "Job ID", "Job Version", "Status", "Description"}};
  for (const Json& deployment : items(deployments)) {
    rows.push_back({short_id(deployment.get_string("ID"), verbose), text_of(deployment, "JobID"),
                    number_text(deployment.find("JobVersion")), text_of(deployment, "Status"),
                    text_of(deployment, "StatusDescription")});
  }
  return columns(rows);
}

std::string format_deployment(const Json& deployment, bool verbose, bool with_job,
                              const Clock& clock, const Style& style) {
  Pairs head{{"ID", short_id(deployment.get_string("ID"), verbose)}};
  if (with_job) {
    head.emplace_back("Job ID", text_of(deployment, "JobID"));
    head.emplace_back("Job Version", number_text(deployment.find("JobVersion")));
  }
  head.emplace_back("Status", text_of(deployment, "Status"));
  head.emplace_back("Description", text_of(deployment, "StatusDescription"));
  std::string out = key_values(head);
  const Json& groups = at(deployment, "TaskGroups");
  if (groups.size() == 0) return out;
  return out + section(style, "Deployed") + deployment_groups(groups, clock);
}

std::string format_job_history(const Json& reply, bool diffs, const Clock& clock,
                               const Style& style) {
  std::string out;
  const Json::Array& list = items(at(reply, "Versions"));
  for (size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += "\n\n";
    Pairs head{{"Version", number_text(list[i].find("Version"))},
               {"Stable", bool_text(list[i].get_bool("Stable"))},
               {"Submit Date", time_text(list[i].get_int("SubmitTime"), clock)}};
    out += key_values(head);
    const Json::Array& changes = items(at(reply, "Diffs"));
    if (!diffs || i >= changes.size()) continue;
    out += "\nDiff        =\n" + format_job_diff(changes[i], false, style);
  }
  return out;
}

}  // namespace sluice::orchestrator::cli
