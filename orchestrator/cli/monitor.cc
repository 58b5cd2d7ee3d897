#include "orchestrator/cli/monitor.h"

#include <fmt/format.h>

#include "core/scope.h"
#include "orchestrator/cli/format_job.h"
#include "orchestrator/cli/format_plan.h"

namespace sluice::orchestrator::cli {
namespace {

/// Each line of the text behind four blanks.
std::string indented(std::string_view text) {
  std::string out;
  while (true) {
    const size_t end = text.find('\n');
    if (end != 0 && !text.empty()) out += "    ";
    out += text.substr(0, end);
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

bool is_over(std::string_view eval_status) {
  return eval_status == "complete" || eval_status == "failed" || eval_status == "canceled";
}

void say(Session& session, std::string_view text) {
  session.print(session.style().bold(fmt::format("==> {}", text)));
}

/// True if instances could not be placed.
bool print_end(Session& session, const Json& eval) {
  const std::string id = quoted(session.id(eval.get_string("ID")));
  const std::string status = quoted(eval.get_string("Status"));
  const Json& failed = at(eval, "FailedTGAllocs");
  if (failed.size() == 0) {
    const std::string_view why = eval.get_string("StatusDescription");
    const bool bad = eval.get_string("Status") == "failed" && !why.empty();
    say(session, fmt::format("Evaluation {} finished with status {}{}", id, status,
                             bad ? fmt::format(": {}", why) : ""));
    return false;
  }
  say(session, fmt::format("Evaluation {} finished with status {} but failed to place all "
                           "allocations:",
                           id, status));
  for (const std::string& group : sorted_keys(failed)) {
    const Json& metric = at(failed, group);
    const int64_t more = metric.get_int("CoalescedFailures");
    session.print(indented(fmt::format("Task Group {} (failed to place {} {}):\n{}", quoted(group),
                                       more + 1, more > 0 ? "allocations" : "allocation",
                                       format_alloc_metric(metric, false, "  "))));
  }
  if (const std::string_view blocked = eval.get_string("BlockedEval"); !blocked.empty()) {
    session.print(
        indented(fmt::format("Evaluation {} waiting for additional capacity to place remainder",
                             quoted(session.id(blocked)))));
  }
  return true;
}

}  // namespace

void EvalNews::update_allocs(const Json& eval, const Json& allocations,
                             std::vector<std::string>& lines) {
  for (const Json& alloc : items(allocations)) {
    const std::string alloc_id(alloc.get_string("ID"));
    const std::string status(alloc.get_string("ClientStatus"));
    const auto known = allocs_.find(alloc_id);
    if (known != allocs_.end()) {
      if (known->second == status) continue;
      const std::string_view why = alloc.get_string("ClientDescription");
      lines.push_back(fmt::format("Allocation {} status changed: {} -> {}{}", id(alloc_id),
                                  quoted(known->second), quoted(status),
                                  why.empty() ? "" : fmt::format(" ({})", why)));
      known->second = status;
      continue;
    }
    allocs_[alloc_id] = status;
    const bool changed = alloc.get_int("CreateIndex") < eval.get_int("CreateIndex");
    if (!changed && alloc.get_string("DesiredStatus") != "run") continue;
    lines.push_back(fmt::format("Allocation {} {}: node {}, group {}", id(alloc_id),
                                changed ? "modified" : "created", id(alloc.get_string("NodeID")),
                                quoted(alloc.get_string("TaskGroup"))));
  }
}

std::vector<std::string> EvalNews::update(const Json& eval, const Json& allocations) {
  std::vector<std::string> lines;
  const auto once = [&](bool& said, std::string_view value, auto&& line) {
    if (said || value.empty()) return;
    said = true;
    lines.push_back(line());
  };
  const std::string_view node = eval.get_string("NodeID");
  const std::string_view job = eval.get_string("JobID");
  const std::string_view deployment = eval.get_string("DeploymentID");
  once(node_said_, node, [&] { return fmt::format("Evaluation triggered by node {}", id(node)); });
  once(job_said_, job, [&] { return fmt::format("Evaluation triggered by job {}", quoted(job)); });
  once(deployment_said_, deployment,
       [&] { return fmt::format("Evaluation within deployment: {}", id(deployment)); });
  update_allocs(eval, allocations, lines);
  const std::string status(eval.get_string("Status"));
  if (status != "pending" && status != status_) {
    lines.push_back(
        fmt::format("Evaluation status changed: {} -> {}", quoted(status_), quoted(status)));
  }
  status_ = status;
  return lines;
}

Task<int> monitor_evaluation(Session& session, std::string eval_id, bool with_deployment) {
  bool unplaced = false, failed = false;
  std::string deployment;
  for (bool next = false; !eval_id.empty(); next = true) {
    say(session, fmt::format("Monitoring {}evaluation {}", next ? "next " : "",
                             quoted(session.id(eval_id))));
    EvalNews news(session.verbose(), with_deployment);
    Json eval;
    while (true) {
      Result<ApiReply> reply = co_await session.get("/v1/evaluation/" + eval_id);
      if (!reply && reply.error().code == Code::kNotFound) {
        co_return session.error(fmt::format("No evaluation with id {} found", quoted(eval_id)));
      }
      if (!reply) co_return session.error("reading evaluation", reply.error());
      eval = std::move(reply->body);
      Result<ApiReply> allocs = co_await session.get("/v1/evaluation/" + eval_id + "/allocations");
      if (!allocs) co_return session.error("reading allocations", allocs.error());
      for (const std::string& line : news.update(eval, allocs->body)) {
        session.print(indented(line));
      }
      if (is_over(eval.get_string("Status"))) break;
      co_await sleep_for(session.env().executor, session.env().poll_ms);
    }
    unplaced = print_end(session, eval) || unplaced;
    failed = failed || eval.get_string("Status") == "failed";
    if (!eval.get_string("DeploymentID").empty()) deployment = eval.get_string("DeploymentID");
    eval_id = eval.get_string("NextEval");
  }
  if (unplaced) co_return 2;
  if (failed) co_return 1;
  if (with_deployment && !deployment.empty()) {
    co_return co_await monitor_deployment(session, deployment);
  }
  co_return 0;
}

Task<int> monitor_deployment(Session& session, std::string deployment_id) {
  say(session, fmt::format("Monitoring deployment {}", quoted(session.id(deployment_id))));
  std::string shown;
  uint64_t index = 0;
  while (true) {
    Result<ApiReply> reply =
        index == 0 ? co_await session.get("/v1/deployment/" + deployment_id)
                   : co_await session.get_after("/v1/deployment/" + deployment_id, index);
    if (!reply) co_return session.error("reading deployment", reply.error());
    if (reply->index == index) {
      // Nothing new within the wait, or an agent that sends no index: do not ask in a tight loop.
      co_await sleep_for(session.env().executor, session.env().poll_ms);
    }
    index = reply->index;
    const Json& deployment = reply->body;
    std::string text =
        format_deployment(deployment, session.verbose(), true, session.clock(), session.style());
    if (text != shown) {
      const Clock clock = session.clock();
      session.print(indented(time_text(clock.now_ns, clock) + "\n" + text) + "\n");
      shown = std::move(text);
    }
    const std::string_view status = deployment.get_string("Status");
    const std::string id = quoted(session.id(deployment_id));
    if (status == "successful" || status == "failed" || status == "cancelled") {
      say(session, fmt::format("Deployment {} {}", id, status));
      co_return status == "successful" ? 0 : 1;
    }
    if (status == "blocked") co_return 0;
  }
}

Task<int> finish_with_evaluation(Session& session, std::string eval_id, bool with_deployment) {
  if (eval_id.empty()) co_return 0;
  if (session.flags().is_on("detach")) {
    session.print("Evaluation ID: " + eval_id);
    co_return 0;
  }
  co_return co_await monitor_evaluation(session, std::move(eval_id), with_deployment);
}

}  // namespace sluice::orchestrator::cli
