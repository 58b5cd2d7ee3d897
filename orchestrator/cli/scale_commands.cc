// The verbs on counts: job scale, job scaling-events, scaling policy list and info.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "orchestrator/cli/command.h"
#include "orchestrator/cli/monitor.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr FlagSpec kScaleFlags[] = {
    {"detach", Kind::kBool, "return at once with the evaluation's id"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kEventsFlags[] = {
    {"verbose", Kind::kBool, "errors, messages and evaluations too"},
};
constexpr FlagSpec kListFlags[] = {
    {"job", Kind::kValue, "only policies of this job"},
    {"type", Kind::kValue, "only policies of this type"},
    {"verbose", Kind::kBool, "full ids"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.ID}}"},
};
constexpr FlagSpec kInfoFlags[] = {
    {"verbose", Kind::kBool, "full ids"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.ID}}"},
};

/// The group that is meant: the one named, or the job's only one.
Result<std::string> chosen_group(const Json& groups, const std::string& named) {
  const std::vector<std::string> names = sorted_keys(groups);
  if (named.empty()) {
    if (names.size() == 1) return names[0];
    return fail(Code::kInvalid, "Group name required: the job has {} task groups", names.size());
  }
  if (std::find(names.begin(), names.end(), named) != names.end()) return named;
  return fail(Code::kNotFound, "Group {} not found within job", named);
}

Task<int> scale(Session& session) {
  const std::vector<std::string>& words = session.flags().words();
  int64_t count = 0;
  const std::string& text = words.back();
  const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (trouble != std::errc() || end != text.data() + text.size() || count < 0) {
    co_return session.error("Failed to convert count string to int: " + quoted(text));
  }
  Result<Json> stub = co_await find_job(session, words[0]);
  if (!stub) co_return session.error(stub.error().message);
  Result<ApiReply> status = co_await session.get(job_path(*stub) + "/scale");
  if (!status) co_return session.error("querying job", status.error());
  Result<std::string> group =
      chosen_group(at(status->body, "TaskGroups"), words.size() == 3 ? words[1] : "");
  if (!group) co_return session.error(group.error().message);
  Result<ApiReply> reply = co_await session.put(
      job_path(*stub) + "/scale",
      Json::object({{"Count", count},
                    {"Target", Json::object({{"Job", stub->get_string("ID")}, {"Group", *group}})},
                    {"Message", "submitted using the command line"}}));
  if (!reply) co_return session.error("submitting scaling request", reply.error());
  if (const std::string_view warnings = reply->body.get_string("Warnings"); !warnings.empty()) {
    session.print(
        session.style().bold(session.style().yellow(fmt::format("Job Warnings:\n{}", warnings))) +
        "\n");
  }
  co_return co_await finish_with_evaluation(session, std::string(reply->body.get_string("EvalID")));
}

struct GroupEvent {
  std::string group;
  const Json* event;
};

Task<int> scaling_events(Session& session) {
  Result<Json> stub = co_await find_job(session, session.flags().words()[0]);
  if (!stub) co_return session.error(stub.error().message);
  Result<ApiReply> status = co_await session.get(job_path(*stub) + "/scale");
  if (!status) co_return session.error("listing scaling events", status.error());
  const Json& groups = at(status->body, "TaskGroups");
  std::vector<GroupEvent> events;
  for (const std::string& name : sorted_keys(groups)) {
    for (const Json& event : items(at(at(groups, name), "Events")))
      events.push_back({name, &event});
  }
  if (events.empty()) {
    session.print("No events found");
    co_return 0;
  }
  std::sort(events.begin(), events.end(), [](const GroupEvent& a, const GroupEvent& b) {
    const int64_t first = a.event->get_int("Time"), second = b.event->get_int("Time");
    return first != second ? first > second : a.group < b.group;
  });
  const bool verbose = session.verbose();
  std::vector<Row> rows{{"Task Group", "Count", "PrevCount"}};
  if (verbose) rows[0].insert(rows[0].end(), {"Error", "Message", "Eval ID"});
  rows[0].push_back("Date");
  for (const auto& [group, event] : events) {
    const Json& count = at(*event, "Count");
    Row row{group, count.is_int() ? number_text(&count) : "",
            number_text(event->find("PreviousCount"))};
    if (verbose) {
      row.push_back(event->get_bool("Error") ? "true" : "false");
      row.emplace_back(event->get_string("Message"));
      row.emplace_back(event->get_string("EvalID"));
    }
    row.push_back(time_text(event->get_int("Time"), session.clock()));
    rows.push_back(std::move(row));
  }
  session.print(columns(rows));
  co_return 0;
}

// -------------------------------------------------------------------------------- policies

std::string target_text(const Json& target) {
  std::vector<std::string> parts;
  for (const char* key : {"Namespace", "Job", "Group"}) {
    if (target.find(key)) parts.push_back(fmt::format("{}:{}", key, target.get_string(key)));
  }
  return join(parts, ",");
}

std::string policy_table(const Json& policies, bool verbose) {
  std::vector<Row> rows;
  for (const Json& policy : items(policies)) {
    rows.push_back({short_id(policy.get_string("ID"), verbose),
                    policy.get_bool("Enabled") ? "true" : "false",
                    std::string(policy.get_string("Type")), target_text(at(policy, "Target"))});
  }
  if (rows.empty()) return "No policies found";
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a[3] < b[3]; });
  rows.insert(rows.begin(), {"ID", "Enabled", "Type", "Target"});
  return columns(rows);
}

Task<int> list_policies(Session& session) {
  Query query;
  for (const char* name : {"job", "type"}) {
    if (session.flags().has(name)) query.emplace_back(name, session.flags().value_or(name, ""));
  }
  Result<ApiReply> policies = co_await session.get("/v1/scaling/policies", std::move(query));
  if (!policies) co_return session.error("listing scaling policies", policies.error());
  int code = 0;
  if (session.print_raw(policies->body, code)) co_return code;
  session.print(policy_table(policies->body, session.verbose()));
  co_return 0;
}

Task<int> policy_info(Session& session) {
  Result<Json> stub = co_await find_one(session, "/v1/scaling/policies", "scaling policy",
                                        session.flags().words()[0]);
  if (!stub) co_return session.error(stub.error().message);
  Result<ApiReply> reply =
      co_await session.get("/v1/scaling/policy/" + std::string(stub->get_string("ID")));
  if (!reply) co_return session.error("querying scaling policy", reply.error());
  int code = 0;
  if (session.print_raw(reply->body, code)) co_return code;
  const Json& policy = reply->body;
  session.print(key_values({{"ID", session.id(policy.get_string("ID"))},
                            {"Enabled", policy.get_bool("Enabled") ? "true" : "false"},
                            {"Target", target_text(at(policy, "Target"))},
                            {"Min", number_text(policy.find("Min"))},
                            {"Max", number_text(policy.find("Max"))}}));
  const Json& document = at(policy, "Policy");
  session.print("\nPolicy:");
  session.print(document.size() > 0 ? to_json(document, 4) : "<empty>");
  co_return 0;
}

constexpr Command kCommands[] = {
    {.name = "job scale",
     .usage = "[options] <job> [<group>] <count>",
     .summary = "Change the number of running allocations in a task group",
     .help = "",
     .flags = kScaleFlags,
     .run = scale,
     .min_words = 2,
     .max_words = 3},
    {.name = "job scaling-events",
     .usage = "[options] <job>",
     .summary = "Display the most recent scaling events for a job",
     .help = "",
     .flags = kEventsFlags,
     .run = scaling_events,
     .min_words = 1,
     .max_words = 1},
    {.name = "scaling policy list",
     .usage = "[options]",
     .summary = "Display all scaling policies",
     .help = "",
     .flags = kListFlags,
     .run = list_policies},
    {.name = "scaling policy info",
     .usage = "[options] <policy>",
     .summary = "Display an individual scaling policy",
     .help = "",
     .flags = kInfoFlags,
     .run = policy_info,
     .min_words = 1,
     .max_words = 1},
};

}  // namespace

std::span<const Command> scale_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
