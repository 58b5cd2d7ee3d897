// The verbs on allocations: status, logs, restart, stop, signal; and eval status.
#include <fmt/format.h>

#include "core/scope.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/format_alloc.h"
#include "orchestrator/cli/format_job.h"
#include "orchestrator/cli/frames.h"
#include "orchestrator/cli/monitor.h"
#include "orchestrator/cli/pages.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr size_t kMinIdCharacters = 2;
constexpr int64_t kTailLineBytes = 120;  // what -n takes a line for when it looks back

constexpr FlagSpec kStatusFlags[] = {
    {"short", Kind::kBool, "the tasks in one table"},
    {"stats", Kind::kBool, "accepted: resource use is always shown"},
    {"verbose", Kind::kBool, "full ids, times and placement scores"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.ID}}"},
};
constexpr FlagSpec kEvalStatusFlags[] = {
    {"monitor", Kind::kBool, "follow it to its end"},
    {"verbose", Kind::kBool, "full ids and times"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.ID}}"},
};
constexpr FlagSpec kLogsFlags[] = {
    {"f", Kind::kBool, "follow"},
    {"tail", Kind::kBool, "the end only"},
    {"n", Kind::kCount, "with -tail: this many lines (10)"},
    {"c", Kind::kCount, "with -tail: this many bytes"},
    {"stderr", Kind::kBool, "standard error instead of standard output"},
    {"stdout", Kind::kBool, "standard output (the default)"},
    {"job", Kind::kBool, "the argument is a job; takes one of its running allocations"},
    {"task", Kind::kValue, "the task"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kStopFlags[] = {
    {"detach", Kind::kBool, "return at once with the evaluation's id"},
    {"no-shutdown-delay", Kind::kBool, "skip the shutdown_delay of its group and tasks"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kRestartFlags[] = {
    {"task", Kind::kValue, "only this task"},
    {"all-tasks", Kind::kBool, "all tasks, those that have ended too"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kSignalFlags[] = {
    {"s", Kind::kValue, "the signal (SIGKILL)"},
    {"task", Kind::kValue, "only this task"},
    {"verbose", Kind::kBool, "full ids"},
};

Task<Result<Json>> find_alloc(Session& session, std::string prefix) {
  if (prefix.size() < kMinIdCharacters) {
    co_return fail(Code::kInvalid, "Alloc ID must contain at least two characters.");
  }
  Result<Json> stub = co_await find_one(session, "/v1/allocations", "allocation", prefix);
  if (!stub) co_return pass(stub);
  Result<ApiReply> alloc =
      co_await session.get("/v1/allocation/" + std::string(stub->get_string("ID")));
  if (!alloc) co_return pass(alloc, "Error querying allocation");
  co_return std::move(alloc->body);
}

Task<int> alloc_status(Session& session) {
  const Flags& flags = session.flags();
  int code = 0;
  if (flags.words().empty()) {
    Result<ApiReply> all = co_await session.get("/v1/allocations");
    if (!all) co_return session.error("querying allocations", all.error());
    if (!session.print_raw(all->body, code)) {
      session.print(format_alloc_list(all->body, session.verbose(), session.clock()));
    }
    co_return code;
  }
  Result<Json> alloc = co_await find_alloc(session, flags.words()[0]);
  if (!alloc) co_return session.error(alloc.error().message);
  if (session.print_raw(*alloc, code)) co_return code;
  Json stats;
  const std::string id(alloc->get_string("ID"));
  if (alloc->get_string("ClientStatus") == "running") {
    // Usage is a courtesy: its absence is no error of the status.
    Result<ApiReply> reply = co_await session.get("/v1/client/allocation/" + id + "/stats");
    if (reply) stats = std::move(reply->body);
  }
  int64_t followup_ns = 0;
  if (const std::string_view eval = alloc->get_string("FollowupEvalID"); !eval.empty()) {
    Result<ApiReply> reply = co_await session.get("/v1/evaluation/" + std::string(eval));
    if (reply) followup_ns = parse_time(reply->body.get_string("WaitUntil")).value_or(0);
  }
  session.print(format_alloc_status(*alloc, stats, followup_ns,
                                    {session.verbose(), flags.is_on("short")}, session.clock(),
                                    session.style()));
  co_return 0;
}

Task<int> eval_list(Session& session) {
  int code = 0;
  Result<ApiReply> all = co_await get_page(session, "/v1/evaluations");
  if (!all) co_return session.error("querying evaluations", all.error());
  if (!session.print_raw(all->body, code)) {
    session.print(format_eval_list(all->body, session.verbose()));
    print_next_page(session, "eval list", *all);
  }
  co_return code;
}

Task<int> eval_status(Session& session) {
  const Flags& flags = session.flags();
  int code = 0;
  if (flags.words().empty()) co_return co_await eval_list(session);
  Result<Json> stub = co_await find_one(session, "/v1/evaluations", "evaluation", flags.words()[0]);
  if (!stub) co_return session.error(stub.error().message);
  const std::string id(stub->get_string("ID"));
  if (flags.is_on("monitor")) co_return co_await monitor_evaluation(session, id, false);
  Result<ApiReply> eval = co_await session.get("/v1/evaluation/" + id);
  if (!eval) co_return session.error("querying evaluation", eval.error());
  if (!session.print_raw(eval->body, code)) {
    session.print(
        format_eval_status(eval->body, session.verbose(), session.clock(), session.style()));
  }
  co_return code;
}

/// The name of a task behind the allocation, or of -task; "": none was given.
std::string task_word(const Flags& flags) {
  return flags.words().size() > 1 ? flags.words()[1] : flags.value_or("task", "");
}

/// The task that was named, or the only one.
Result<std::string> choose_task(const Json& alloc, const std::string& named) {
  const std::vector<std::string> tasks = sorted_keys(at(alloc, "TaskResources"));
  if (!named.empty()) {
    for (const std::string& task : tasks) {
      if (task == named) return named;
    }
    return fail(Code::kNotFound, "Allocation {} has no task {}; its tasks are: {}",
                quoted(short_id(alloc.get_string("ID"))), quoted(named), join(tasks, ", "));
  }
  if (tasks.size() == 1) return tasks[0];
  return fail(Code::kInvalid,
              "Allocation {} is running the following tasks:\n  * {}\n\nPlease specify the task.",
              quoted(short_id(alloc.get_string("ID"))), join(tasks, "\n  * "));
}

/// A running allocation of the job, else its newest.
Task<Result<Json>> alloc_of_job(Session& session, std::string job_prefix) {
  Result<Json> job = co_await find_job(session, job_prefix);
  if (!job) co_return pass(job);
  Result<ApiReply> allocs =
      co_await session.get(job_path(*job) + "/allocations", {{"all", "false"}});
  if (!allocs) co_return pass(allocs);
  const Json* best = nullptr;
  for (const Json& alloc : items(allocs->body)) {
    const bool running = alloc.get_string("ClientStatus") == "running";
    const bool have = best && best->get_string("ClientStatus") == "running";
    if (!best || (running && !have) ||
        (running == have && alloc.get_int("CreateIndex") > best->get_int("CreateIndex"))) {
      best = &alloc;
    }
  }
  if (!best) {
    co_return fail(Code::kNotFound, "Job {} has no allocations", quoted(job->get_string("ID")));
  }
  co_return co_await find_alloc(session, std::string(best->get_string("ID")));
}

/// The last `count` lines of the log: read back far enough, cut at line ends.
Task<int> tail_lines(Session& session, std::string alloc_id, Query query, int64_t count) {
  query.emplace_back("plain", "true");
  query.emplace_back("origin", "end");
  std::string text;
  for (int64_t back = count * kTailLineBytes;; back *= 4) {
    Query wider = query;
    wider.emplace_back("offset", std::to_string(back));
    Result<std::unique_ptr<HttpExchange>> exchange =
        co_await session.stream("/v1/client/fs/logs/" + alloc_id, wider);
    if (!exchange) co_return session.error("reading logs", exchange.error());
    constexpr size_t kMaxTailBytes = 64 * 1024 * 1024;
    Result<std::string> read = co_await (*exchange)->read_all(kMaxTailBytes);
    if (!read) co_return session.error("reading logs", read.error());
    const bool whole = read->size() < static_cast<size_t>(back);
    text = std::move(*read);
    const auto last = last_lines(text, count);
    if (last || whole) {
      session.env().terminal.out(last.value_or(text));
      co_return 0;
    }
  }
}

Task<int> alloc_logs(Session& session) {
  const Flags& flags = session.flags();
  const std::string& word = flags.words()[0];
  Result<Json> alloc = flags.is_on("job") ? co_await alloc_of_job(session, word)
                                          : co_await find_alloc(session, word);
  if (!alloc) co_return session.error(alloc.error().message);
  Result<std::string> task = choose_task(*alloc, task_word(flags));
  if (!task) co_return session.error(task.error().message);
  const std::string id(alloc->get_string("ID"));
  const bool follow = flags.is_on("f");
  Query query{{"task", *task}, {"type", flags.is_on("stderr") ? "stderr" : "stdout"}};
  const bool tail = flags.is_on("tail") || flags.has("n") || flags.has("c");
  const int64_t lines = flags.number_or("n", 10);
  if (tail && !flags.has("c")) {
    if (!follow) co_return co_await tail_lines(session, id, query, lines);
    query.emplace_back("origin", "end");
    query.emplace_back("offset", std::to_string(lines * kTailLineBytes));
  } else if (tail) {
    query.emplace_back("origin", "end");
    query.emplace_back("offset", std::to_string(flags.number_or("c", 0)));
  } else {
    query.emplace_back("origin", "start");
    query.emplace_back("offset", "0");
  }
  query.emplace_back("follow", follow ? "true" : "false");
  co_return co_await print_frames(session, "/v1/client/fs/logs/" + id, std::move(query),
                                  "reading logs");
}

Task<int> alloc_stop(Session& session) {
  Result<Json> alloc = co_await find_alloc(session, session.flags().words()[0]);
  if (!alloc) co_return session.error(alloc.error().message);
  const std::string id(alloc->get_string("ID"));
  Query query;
  if (session.flags().is_on("no-shutdown-delay")) query.emplace_back("no_shutdown_delay", "true");
  Result<ApiReply> reply =
      co_await session.put("/v1/allocation/" + id + "/stop", Json::object(), std::move(query));
  if (!reply) co_return session.error("stopping allocation", reply.error());
  const std::string eval_id(reply->body.get_string("EvalID"));
  if (session.flags().is_on("detach")) {
    session.print(eval_id);
    co_return 0;
  }
  co_return co_await monitor_evaluation(session, eval_id);
}

/// The task that was named, or "": all of them.
Result<std::string> one_or_all_tasks(const Json& alloc, const std::string& named) {
  if (named.empty()) return named;
  return choose_task(alloc, named);
}

Task<int> alloc_restart(Session& session) {
  const Flags& flags = session.flags();
  Result<Json> alloc = co_await find_alloc(session, flags.words()[0]);
  if (!alloc) co_return session.error(alloc.error().message);
  Result<std::string> task = one_or_all_tasks(*alloc, task_word(flags));
  if (!task) co_return session.error(task.error().message);
  const std::string id(alloc->get_string("ID"));
  Result<ApiReply> reply = co_await session.put(
      "/v1/client/allocation/" + id + "/restart",
      Json::object({{"TaskName", *task}, {"AllTasks", flags.is_on("all-tasks")}}));
  if (!reply) co_return session.error("restarting allocation", reply.error());
  co_return 0;
}

Task<int> alloc_signal(Session& session) {
  const Flags& flags = session.flags();
  Result<Json> alloc = co_await find_alloc(session, flags.words()[0]);
  if (!alloc) co_return session.error(alloc.error().message);
  Result<std::string> task = one_or_all_tasks(*alloc, task_word(flags));
  if (!task) co_return session.error(task.error().message);
  const std::string id(alloc->get_string("ID"));
  Result<ApiReply> reply = co_await session.put(
      "/v1/client/allocation/" + id + "/signal",
      Json::object({{"Task", *task}, {"Signal", flags.value_or("s", "SIGKILL")}}));
  if (!reply) co_return session.error("signalling allocation", reply.error());
  co_return 0;
}

}  // namespace

Task<Result<Json>> find_alloc_for(Session& session, std::string word, bool of_job) {
  if (of_job) co_return co_await alloc_of_job(session, word);
  co_return co_await find_alloc(session, word);
}

namespace {

constexpr Command kCommands[] = {
    {.name = "alloc status",
     .usage = "[options] [<allocation>]",
     .summary = "Display allocation status information and metadata",
     .help = "",
     .flags = kStatusFlags,
     .run = alloc_status,
     .max_words = 1},
    {.name = "alloc logs",
     .usage = "[options] <allocation> [<task>]",
     .summary = "Streams the logs of a task",
     .help = "With -job, the first argument is a job.",
     .flags = kLogsFlags,
     .run = alloc_logs,
     .min_words = 1,
     .max_words = 2},
    {.name = "alloc stop",
     .usage = "[options] <allocation>",
     .summary = "Stop and reschedule a running allocation",
     .help = "",
     .flags = kStopFlags,
     .run = alloc_stop,
     .min_words = 1,
     .max_words = 1},
    {.name = "alloc restart",
     .usage = "[options] <allocation> [<task>]",
     .summary = "Restart a running allocation",
     .help = "",
     .flags = kRestartFlags,
     .run = alloc_restart,
     .min_words = 1,
     .max_words = 2},
    {.name = "alloc signal",
     .usage = "[options] <allocation> [<task>]",
     .summary = "Signal a running allocation",
     .help = "",
     .flags = kSignalFlags,
     .run = alloc_signal,
     .min_words = 1,
     .max_words = 2},
    {.name = "eval list",
     .usage = "[options]",
     .summary = "List the evaluations",
     .help = "",
     .flags = kPageFlags,
     .run = eval_list},
    {.name = "eval status",
     .usage = "[options] [<evaluation>]",
     .summary = "Display evaluation status and placement failure reasons",
     .help = "",
     .flags = kEvalStatusFlags,
     .run = eval_status,
     .max_words = 1},
};

}  // namespace

std::span<const Command> alloc_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
