// The verbs that change a job or what runs of it: stop, revert, eval, dispatch, periodic force.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/base64.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/monitor.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr size_t kPayloadBytes = 16 * 1024;

constexpr FlagSpec kStopFlags[] = {
    {"detach", Kind::kBool, "return at once with the evaluation's id"},
    {"purge", Kind::kBool, "forget the job as well"},
    {"no-shutdown-delay", Kind::kBool, "skip the shutdown_delay of its groups and tasks"},
    {"global", Kind::kBool, "accepted: there is one region"},
    {"yes", Kind::kBool, "do not ask"},
    {"y", Kind::kBool, "do not ask"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kMonitorFlags[] = {
    {"detach", Kind::kBool, "return at once with the evaluation's id"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kEvalFlags[] = {
    {"detach", Kind::kBool, "return at once with the evaluation's id"},
    {"force-reschedule", Kind::kBool, "place failed allocations again, whatever their policy says"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kDispatchFlags[] = {
    {"meta", Kind::kValue, "key=value for the new job; may be repeated"},
    {"id-prefix-template", Kind::kValue, "text for the new job's id, after \"dispatch-\""},
    {"idempotency-token", Kind::kValue, "the same token again gives the job that it gave first"},
    {"detach", Kind::kBool, "return at once with the ids"},
    {"verbose", Kind::kBool, "full ids"},
};

Task<int> stop(Session& session) {
  const Flags& flags = session.flags();
  int worst = 0;
  for (const std::string& word : flags.words()) {
    Result<Json> job = co_await find_job(session, word);
    if (!job) {
      worst = session.error(job.error().message);
      continue;
    }
    const std::string id(job->get_string("ID"));
    if (id != word && !session.confirm("Are you sure you want to stop job " + quoted(id) + "?")) {
      session.print("Cancelling job stop");
      continue;
    }
    Query query{{"purge", flags.is_on("purge") ? "true" : "false"}};
    if (flags.is_on("no-shutdown-delay")) query.emplace_back("no_shutdown_delay", "true");
    Result<ApiReply> reply = co_await session.remove(job_path(*job), std::move(query));
    if (!reply) {
      worst = session.error("deregistering job", reply.error());
      continue;
    }
    const std::string eval_id(reply->body.get_string("EvalID"));
    if (eval_id.empty()) continue;
    if (flags.is_on("detach")) {
      session.print(eval_id);
      continue;
    }
    worst = std::max(worst, co_await monitor_evaluation(session, eval_id));
  }
  co_return worst;
}

Task<int> revert(Session& session) {
  const Flags& flags = session.flags();
  const std::string& word = flags.words()[1];
  int64_t version = 0;
  const auto [end, trouble] = std::from_chars(word.data(), word.data() + word.size(), version);
  if (trouble != std::errc() || end != word.data() + word.size() || version < 0) {
    co_return session.error("Error: " + quoted(word) + " is not a version of a job");
  }
  Result<Json> job = co_await find_job(session, flags.words()[0]);
  if (!job) co_return session.error(job.error().message);
  Result<ApiReply> reply = co_await session.put(job_path(*job) + "/revert",
                                                Json::object({{"JobID", job->get_string("ID")},
                                                              {"JobVersion", version},
                                                              {"EnforcePriorVersion", nullptr}}));
  if (!reply) co_return session.error("retrieving job versions", reply.error());
  co_return co_await finish_with_evaluation(session, std::string(reply->body.get_string("EvalID")));
}

Task<int> evaluate(Session& session) {
  Result<Json> job = co_await find_job(session, session.flags().words()[0]);
  if (!job) co_return session.error(job.error().message);
  const bool force = session.flags().is_on("force-reschedule");
  Result<ApiReply> reply = co_await session.put(
      job_path(*job) + "/evaluate",
      Json::object({{"JobID", job->get_string("ID")},
                    {"EvalOptions", Json::object({{"ForceReschedule", force}})}}));
  if (!reply) co_return session.error("evaluating job", reply.error());
  const std::string eval_id(reply->body.get_string("EvalID"));
  if (session.flags().is_on("detach")) session.print("Created eval ID: " + quoted(eval_id));
  co_return session.flags().is_on("detach") ? 0 : co_await monitor_evaluation(session, eval_id);
}

Task<int> dispatch(Session& session) {
  const Flags& flags = session.flags();
  Json meta = Json::object();
  for (const std::string& pair : flags.all("meta")) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos) {
      co_return session.error("Error parsing meta value: " + quoted(pair) + ": expected key=value");
    }
    meta.set(pair.substr(0, equals), pair.substr(equals + 1));
  }
  std::string payload;
  if (flags.words().size() > 1) {
    const std::string& path = flags.words()[1];
    Result<std::string> text = path == "-" ? session.env().terminal.read_all(kPayloadBytes)
                                           : session.env().disk.read_file(path, kPayloadBytes);
    if (!text) co_return session.error("reading input data", text.error());
    payload = std::move(*text);
  }
  Result<Json> job = co_await find_job(session, flags.words()[0]);
  if (!job) co_return session.error(job.error().message);
  const std::string token = flags.value_or("idempotency-token", "");
  Result<ApiReply> reply = co_await session.put(
      job_path(*job) + "/dispatch",
      Json::object({{"Meta", std::move(meta)},
                    {"Payload", base64_encode(payload)},
                    {"IdPrefixTemplate", flags.value_or("id-prefix-template", "")}}),
      token.empty() ? Query() : Query{{"idempotency_token", token}});
  if (!reply) co_return session.error("Failed to dispatch job", reply.error());
  const std::string eval_id(reply->body.get_string("EvalID"));
  std::vector<std::pair<std::string, std::string>> head{
      {"Dispatched Job ID", std::string(reply->body.get_string("DispatchedJobID"))}};
  if (!eval_id.empty()) head.emplace_back("Evaluation ID", session.id(eval_id));
  session.print(key_values(head));
  if (eval_id.empty() || flags.is_on("detach")) co_return 0;
  session.print("");
  co_return co_await monitor_evaluation(session, eval_id);
}

Task<int> force_periodic(Session& session) {
  Result<Json> job = co_await find_job(session, session.flags().words()[0]);
  if (!job) co_return session.error(job.error().message);
  Result<ApiReply> reply = co_await session.put(job_path(*job) + "/periodic/force", Json::object());
  if (!reply) co_return session.error("forcing periodic job", reply.error());
  const std::string eval_id(reply->body.get_string("EvalID"));
  if (session.flags().is_on("detach")) session.print("Force periodic successful");
  co_return co_await finish_with_evaluation(session, eval_id);
}

constexpr Command kCommands[] = {
    {.name = "job stop",
     .usage = "[options] <job>...",
     .summary = "Stop a running job and cancel all its allocations",
     .help = "",
     .flags = kStopFlags,
     .run = stop,
     .min_words = 1,
     .max_words = 100},
    {.name = "job revert",
     .usage = "[options] <job> <version>",
     .summary = "Revert to a prior version of the job",
     .help = "",
     .flags = kMonitorFlags,
     .run = revert,
     .min_words = 2,
     .max_words = 2},
    {.name = "job eval",
     .usage = "[options] <job>",
     .summary = "Force an evaluation for the job",
     .help = "",
     .flags = kEvalFlags,
     .run = evaluate,
     .min_words = 1,
     .max_words = 1},
    {.name = "job dispatch",
     .usage = "[options] <job> [input source]",
     .summary = "Dispatch an instance of a parameterized job",
     .help = "The input is a file, or \"-\" for standard input; at most 16 KiB.",
     .flags = kDispatchFlags,
     .run = dispatch,
     .min_words = 1,
     .max_words = 2},
    {.name = "job periodic force",
     .usage = "[options] <job>",
     .summary = "Force the launch of a periodic job",
     .help = "",
     .flags = kMonitorFlags,
     .run = force_periodic,
     .min_words = 1,
     .max_words = 1},
};

}  // namespace

std::span<const Command> job_change_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
