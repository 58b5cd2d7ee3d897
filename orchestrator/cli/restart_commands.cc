// `job restart` and `job start`: a job's allocations one after the other, and a stopped job again.
#include <fmt/format.h>

#include "core/scope.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/monitor.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr FlagSpec kRestartFlags[] = {
    {"group", Kind::kValue, "only this group's allocations"},
    {"task", Kind::kValue, "only this task of each"},
    {"batch-size", Kind::kCount, "how many at a time (1)"},
    {"batch-wait", Kind::kDuration, "the pause between two batches (0s)"},
    {"reschedule", Kind::kBool, "stop them, so that others are placed, instead of restarting"},
    {"yes", Kind::kBool, "ask nothing"},
};
constexpr FlagSpec kStartFlags[] = {{"detach", Kind::kBool, "return at once"}};

constexpr int64_t kReadyTimeoutMs = 300'000;

struct Running {
  std::string id, group;
};

Task<Result<std::vector<Running>>> running_allocs(Session& session, const std::string& job) {
  auto list = co_await session.get("/v1/job/" + escaped(job) + "/allocations");
  if (!list) co_return pass(list);
  const std::string group = session.flags().value_or("group", "");
  std::vector<Running> found;
  for (const Json& alloc : list->body.as_array()) {
    if (alloc.get_string("DesiredStatus") != "run" ||
        alloc.get_string("ClientStatus") != "running") {
      continue;
    }
    if (!group.empty() && alloc.get_string("TaskGroup") != group) continue;
    found.push_back(
        {std::string(alloc.get_string("ID")), std::string(alloc.get_string("TaskGroup"))});
  }
  co_return found;
}

/// How often the allocation's tasks were restarted, in all; nullopt while one does not run.
std::optional<int64_t> restarts_of(const Json& alloc) {
  const Json* states = alloc.find("TaskStates");
  if (states == nullptr || !states->is_object()) return std::nullopt;
  int64_t sum = 0;
  for (const JsonMember& state : states->as_object()) {
    const bool dead = state.value.get_string("State") == "dead" && !state.value.get_bool("Failed");
    if (state.value.get_string("State") != "running" && !dead) return std::nullopt;
    sum += state.value.get_int("Restarts");
  }
  return sum;
}

Task<Result<void>> wait_restarted(Session& session, const std::string& id, int64_t before) {
  const int64_t end_ms = session.env().executor.now_ms() + kReadyTimeoutMs;
  while (session.env().executor.now_ms() < end_ms) {
    auto alloc = co_await session.get("/v1/allocation/" + id);
    if (!alloc) co_return pass(alloc);
    if (alloc->body.get_string("ClientStatus") == "failed") {
      co_return fail(Code::kConflict, "it failed");
    }
    const auto now = restarts_of(alloc->body);
    if (now && *now > before) co_return Result<void>();
    co_await sleep_for(session.env().executor, session.env().poll_ms);
  }
  co_return fail(Code::kTimeout, "it does not run again after {} s", kReadyTimeoutMs / 1000);
}

Task<Result<void>> wait_replaced(Session& session, const std::string& id) {
  const int64_t end_ms = session.env().executor.now_ms() + kReadyTimeoutMs;
  std::string next;
  while (session.env().executor.now_ms() < end_ms) {
    auto alloc = co_await session.get("/v1/allocation/" + (next.empty() ? id : next));
    if (!alloc) co_return pass(alloc);
    if (next.empty()) {
      next = alloc->body.get_string("NextAllocation");
    } else if (alloc->body.get_string("ClientStatus") == "running") {
      co_return Result<void>();
    }
    co_await sleep_for(session.env().executor, session.env().poll_ms);
  }
  co_return fail(Code::kTimeout, "no other runs in its place after {} s", kReadyTimeoutMs / 1000);
}

Task<Result<void>> restart_one(Session& session, const std::string& id) {
  if (session.flags().is_on("reschedule")) {
    auto stopped = co_await session.put("/v1/allocation/" + id + "/stop", Json::object());
    if (!stopped) co_return pass(stopped);
    co_return co_await wait_replaced(session, id);
  }
  auto alloc = co_await session.get("/v1/allocation/" + id);
  if (!alloc) co_return pass(alloc);
  const int64_t before = restarts_of(alloc->body).value_or(0);
  auto done =
      co_await session.put("/v1/client/allocation/" + id + "/restart",
                           Json::object({{"TaskName", session.flags().value_or("task", "")}}));
  if (!done) co_return pass(done);
  co_return co_await wait_restarted(session, id, before);
}

Task<void> restart_into(Session& session, std::string id, Result<void>& into) {
  into = co_await restart_one(session, id);
}

Task<int> job_restart(Session& session) {
  const std::string job = session.flags().words()[0];
  auto allocs = co_await running_allocs(session, job);
  if (!allocs) co_return session.error("reading the job's allocations", allocs.error());
  if (allocs->empty()) {
    session.print(fmt::format("No running allocation of job \"{}\" to restart", job));
    co_return 0;
  }
  const auto size =
      static_cast<size_t>(std::max<int64_t>(session.flags().number_or("batch-size", 1), 1));
  const int64_t pause_ms = session.flags().number_or("batch-wait", 0) / 1'000'000;
  for (size_t begin = 0; begin < allocs->size(); begin += size) {
    const size_t end = std::min(begin + size, allocs->size());
    if (begin > 0 && pause_ms > 0) co_await sleep_for(session.env().executor, pause_ms);
    std::vector<Result<void>> results(end - begin);
    {
      Scope batch(session.env().executor);
      for (size_t i = begin; i < end; ++i) {
        const Running& one = (*allocs)[i];
        session.print(fmt::format("Restarting allocation \"{}\" of group \"{}\"",
                                  session.id(one.id), one.group));
        batch.spawn(restart_into(session, one.id, results[i - begin]));
      }
      co_await batch.join();
    }
    for (size_t i = begin; i < end; ++i) {
      const Result<void>& result = results[i - begin];
      if (result) continue;
      co_return session.error(fmt::format("Error restarting allocation \"{}\": {}",
                                          session.id((*allocs)[i].id), result.error().message));
    }
  }
  session.print(fmt::format("Job \"{}\": {} allocations restarted", job, allocs->size()));
  co_return 0;
}

/// The version that ran before the stop, again.
Task<int> job_start(Session& session) {
  const std::string job = session.flags().words()[0];
  auto found = co_await session.get("/v1/job/" + escaped(job));
  if (!found) co_return session.error("reading the job", found.error());
  if (!found->body.get_bool("Stop")) {
    co_return session.error(fmt::format("Job \"{}\" is not stopped", job));
  }
  Json body = found->body;
  body.set("Stop", false);
  auto reply = co_await session.put("/v1/jobs", Json::object({{"Job", std::move(body)}}));
  if (!reply) co_return session.error("starting the job", reply.error());
  const std::string eval(reply->body.get_string("EvalID"));
  if (eval.empty()) {
    session.print("Job started");
    co_return 0;
  }
  co_return co_await finish_with_evaluation(session, eval);
}

constexpr Command kCommands[] = {
    {.name = "job restart",
     .usage = "[options] <job>",
     .summary = "Restart a job's allocations, one after the other",
     .help = "Each leaves the balancers first and gets traffic again once its checks pass.",
     .flags = kRestartFlags,
     .run = job_restart,
     .min_words = 1,
     .max_words = 1},
    {.name = "job start",
     .usage = "[options] <job>",
     .summary = "Start a stopped job again",
     .help = "",
     .flags = kStartFlags,
     .run = job_start,
     .min_words = 1,
     .max_words = 1},
};

}  // namespace

std::span<const Command> restart_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
