#include "orchestrator/cli/format_alloc.h"

#include <fmt/format.h>

#include <cmath>

#include "core/duration.h"
#include "orchestrator/cli/format_plan.h"

namespace sluice::orchestrator::cli {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr uint64_t kMiB = 1024 * 1024;

std::string text_of(const Json& object, std::string_view key) {
  return std::string(object.get_string(key));
}

std::string mib_text(int64_t megabytes) {
  return size_text(static_cast<uint64_t>(std::max<int64_t>(megabytes, 0)) * kMiB);
}

Pairs alloc_head(const Json& alloc, int64_t followup_ns, bool verbose, const Clock& clock) {
  const auto when = [&](std::string_view key) {
    const int64_t ns = alloc.get_int(key);
    return verbose ? time_text(ns, clock) : time_difference(ns, clock.now_ns);
  };
  Pairs head{{"ID", text_of(alloc, "ID")},
             {"Eval ID", short_id(alloc.get_string("EvalID"), verbose)},
             {"Name", text_of(alloc, "Name")},
             {"Node ID", short_id(alloc.get_string("NodeID"), verbose)},
             {"Node Name", text_of(alloc, "NodeName")},
             {"Job ID", text_of(alloc, "JobID")},
             {"Job Version", number_text(at(alloc, "Job").find("Version"))},
             {"Client Status", text_of(alloc, "ClientStatus")},
             {"Client Description", text_of(alloc, "ClientDescription")},
             {"Desired Status", text_of(alloc, "DesiredStatus")},
             {"Desired Description", text_of(alloc, "DesiredDescription")},
             {"Created", when("CreateTime")},
             {"Modified", when("ModifyTime")}};
  if (!alloc.get_string("DeploymentID").empty()) {
    const Json& status = at(alloc, "DeploymentStatus");
    const Json& healthy = at(status, "Healthy");
    head.emplace_back("Deployment ID", short_id(alloc.get_string("DeploymentID"), verbose));
    head.emplace_back("Deployment Health", !healthy.is_bool()  ? "unset"
                                           : healthy.as_bool() ? "healthy"
                                                               : "unhealthy");
    if (status.get_bool("Canary")) head.emplace_back("Canary", "true");
  }
  if (!alloc.get_string("NextAllocation").empty()) {
    head.emplace_back("Replacement Alloc ID",
                      short_id(alloc.get_string("NextAllocation"), verbose));
  }
  if (followup_ns != 0) {
    head.emplace_back("Reschedule Eligibility", time_difference(followup_ns, clock.now_ns));
  }
  if (verbose) {
    const Json& metric = at(alloc, "Metrics");
    head.emplace_back("Evaluated Nodes", number_text(metric.find("NodesEvaluated")));
    head.emplace_back("Filtered Nodes", number_text(metric.find("NodesFiltered")));
    head.emplace_back("Exhausted Nodes", number_text(metric.find("NodesExhausted")));
    head.emplace_back("Allocation Time", go_duration(metric.get_int("AllocationTime")));
    head.emplace_back("Failures", number_text(metric.find("CoalescedFailures")));
  }
  return head;
}

std::string group_addresses(const Json& alloc, const Style& style) {
  std::vector<Row> rows{{"Label", "Dynamic", "Address"}};
  for (const Json& network :
       items(at(at(alloc, "AllocatedResources"), "Shared").is_object()
                 ? at(at(at(alloc, "AllocatedResources"), "Shared"), "Networks")
                 : Json())) {
    for (const char* kind : {"DynamicPorts", "ReservedPorts"}) {
      for (const Json& port : items(at(network, kind))) {
        std::string address = fmt::format("{}:{}", network.get_string("IP"), port.get_int("Value"));
        if (const int64_t to = port.get_int("To"); to > 0) address += fmt::format(" -> {}", to);
        rows.push_back({"*" + text_of(port, "Label"),
                        std::string_view(kind) == "DynamicPorts" ? "yes" : "", address});
      }
    }
  }
  if (rows.size() == 1) return "";
  return "\n\n" + style.bold("Allocation Addresses") + ":\n" + columns(rows, "");
}

std::string task_resources(const Json& alloc, const std::string& task, const Json& stats) {
  const Json& resources = at(at(alloc, "TaskResources"), task);
  if (!resources.is_object()) return "";
  std::vector<std::string> addresses;
  for (const Json& network : items(at(resources, "Networks"))) {
    for (const char* kind : {"DynamicPorts", "ReservedPorts"}) {
      for (const Json& port : items(at(network, kind))) {
        addresses.push_back(fmt::format("{}: {}:{}", port.get_string("Label"),
                                        network.get_string("IP"), port.get_int("Value")));
      }
    }
  }
  std::string cpu = number_text(resources.find("CPU"));
  std::string memory = mib_text(resources.get_int("MemoryMB"));
  const Json& usage = at(at(at(stats, "Tasks"), task), "ResourceUsage");
  if (usage.is_object()) {
    cpu = fmt::format("{:.0f}/{}", std::floor(at(usage, "CpuStats").get_double("TotalTicks")), cpu);
    const int64_t rss = at(usage, "MemoryStats").get_int("RSS");
    memory = size_text(static_cast<uint64_t>(std::max<int64_t>(rss, 0))) + "/" + memory;
  }
  std::vector<Row> rows{{"CPU", "Memory", "Disk", "Addresses"}};
  rows.push_back({cpu + " MHz", memory, mib_text(at(alloc, "Resources").get_int("DiskMB")),
                  addresses.empty() ? "" : addresses[0]});
  for (size_t i = 1; i < addresses.size(); ++i) rows.push_back({"", "", "", addresses[i]});
  return "Task Resources:\n" + columns(rows, "") + "\n\n";
}

/// Newest first, as the table shows them.
std::string event_table(const Json& state, const Clock& clock) {
  std::vector<Row> rows{{"Time", "Type", "Description"}};
  const Json::Array& events = items(at(state, "Events"));
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    std::string message = text_of(*event, "DisplayMessage");
    if (message.empty()) message = text_of(*event, "Message");
    rows.push_back({time_text(event->get_int("Time"), clock), text_of(*event, "Type"), message});
  }
  return columns(rows);
}

std::string task_details(const Json& alloc, const std::string& task, const Json& stats,
                         const Clock& clock, const Style& style) {
  const Json& state = at(at(alloc, "TaskStates"), task);
  return "\n\n" +
         style.bold(fmt::format("Task {} is {}", quoted(task), quoted(state.get_string("State")))) +
         "\n" + task_resources(alloc, task, stats) + "Task Events:\n" +
         key_values({{"Started At", task_time(state.get_string("StartedAt"))},
                     {"Finished At", task_time(state.get_string("FinishedAt"))},
                     {"Total Restarts", number_text(state.find("Restarts"))},
                     {"Last Restart", task_time(state.get_string("LastRestart"))}}) +
         "\n\nRecent Events:\n" + event_table(state, clock);
}

std::string short_tasks(const Json& alloc, const Clock& clock, const Style& style) {
  std::vector<Row> rows{{"Name", "State", "Last Event", "Time"}};
  for (const std::string& task : sorted_keys(at(alloc, "TaskStates"))) {
    const Json& state = at(at(alloc, "TaskStates"), task);
    const Json::Array& events = items(at(state, "Events"));
    Row row{task, text_of(state, "State"), "", ""};
    if (!events.empty()) {
      row[2] = text_of(events.back(), "Type");
      row[3] = time_text(events.back().get_int("Time"), clock);
    }
    rows.push_back(std::move(row));
  }
  return "\n\n" + style.bold("Tasks") + "\n" + columns(rows);
}

std::string failures_text(const Json& eval, const Style& style) {
  const Json& failed = at(eval, "FailedTGAllocs");
  std::string out = "\n\n" + style.bold("Failed Placements");
  for (const std::string& group : sorted_keys(failed)) {
    const int64_t more = at(failed, group).get_int("CoalescedFailures");
    out += fmt::format("\nTask Group {} (failed to place {} {}):\n{}\n", quoted(group), more + 1,
                       more > 0 ? "allocations" : "allocation",
                       format_alloc_metric(at(failed, group), false, "  "));
  }
  if (const std::string_view blocked = eval.get_string("BlockedEval"); !blocked.empty()) {
    out += fmt::format("\nEvaluation {} waiting for additional capacity to place remainder",
                       quoted(short_id(blocked)));
  }
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace

std::string format_alloc_status(const Json& alloc, const Json& stats, int64_t followup_ns,
                                const AllocStatusOptions& options, const Clock& clock,
                                const Style& style) {
  std::string out = key_values(alloc_head(alloc, followup_ns, options.verbose, clock));
  if (options.brief) return out + short_tasks(alloc, clock, style);
  out += group_addresses(alloc, style);
  for (const std::string& task : sorted_keys(at(alloc, "TaskStates"))) {
    out += task_details(alloc, task, stats, clock, style);
  }
  if (options.verbose) {
    const std::string metric = format_alloc_metric(at(alloc, "Metrics"), true, "  ");
    if (!metric.empty()) out += "\n\n" + style.bold("Placement Metrics") + "\n" + metric;
  }
  return out;
}

std::string format_eval_list(const Json& evaluations, bool verbose) {
  if (evaluations.size() == 0) return "No evals found";
  std::vector<Row> rows{
      {"ID", "Priority", "Triggered By", "Job ID", "Status", "Placement Failures"}};
  for (const Json& eval : items(evaluations)) {
    const bool blocked = eval.get_string("Status") == "blocked";
    rows.push_back({short_id(eval.get_string("ID"), verbose), number_text(eval.find("Priority")),
                    text_of(eval, "TriggeredBy"), text_of(eval, "JobID"), text_of(eval, "Status"),
                    blocked                                 ? "N/A - In Progress"
                    : at(eval, "FailedTGAllocs").size() > 0 ? "true"
                                                            : "false"});
  }
  return columns(rows);
}

std::string format_eval_status(const Json& eval, bool verbose, const Clock& clock,
                               const Style& style) {
  const auto when = [&](std::string_view key) {
    const int64_t ns = eval.get_int(key);
    return verbose ? time_text(ns, clock) : time_difference(ns, clock.now_ns);
  };
  const std::string trigger = text_of(eval, "TriggeredBy");
  const bool failures = at(eval, "FailedTGAllocs").size() > 0;
  const bool blocked = eval.get_string("Status") == "blocked";
  Pairs head{{"ID", short_id(eval.get_string("ID"), verbose)},
             {"Create Time", when("CreateTime")},
             {"Modify Time", when("ModifyTime")},
             {"Status", text_of(eval, "Status")},
             {"Status Description", eval.get_string("StatusDescription").empty()
                                        ? text_of(eval, "Status")
                                        : text_of(eval, "StatusDescription")},
             {"Type", text_of(eval, "Type")},
             {"TriggeredBy", trigger}};
  if (trigger == "node-update" || trigger == "node-drain") {
    head.emplace_back("Node ID", text_of(eval, "NodeID"));
  } else if (trigger == "max-plan-attempts") {
    head.emplace_back("Previous Eval", text_of(eval, "PreviousEval"));
  } else {
    head.emplace_back("Job ID", text_of(eval, "JobID"));
  }
  head.emplace_back("Priority", number_text(eval.find("Priority")));
  head.emplace_back("Placement Failures",
                    blocked ? "N/A - In Progress" : (failures ? "true" : "false"));
  if (const auto until = parse_time(eval.get_string("WaitUntil"))) {
    head.emplace_back("Wait Until", time_text(*until, clock));
  }
  if (verbose) {
    head.emplace_back("Previous Eval", text_of(eval, "PreviousEval"));
    head.emplace_back("Next Eval", text_of(eval, "NextEval"));
    head.emplace_back("Blocked Eval", text_of(eval, "BlockedEval"));
  }
  return key_values(head) + (failures ? failures_text(eval, style) : "");
}

}  // namespace sluice::orchestrator::cli
