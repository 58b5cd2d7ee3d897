#include "orchestrator/api/client.h"

#include <fmt/format.h>

#include <charconv>

#include "core/base64.h"
#include "core/scope.h"
#include "orchestrator/api/call.h"
#include "orchestrator/api/host_stats.h"
#include "orchestrator/api/log_files.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/node/node_agent.h"

namespace sluice::orchestrator::api {
Result<LocalAllocation> local_alloc(Call& call, const std::string& id) {
  LocalAllocation found;
  found.alloc = call.server().snapshot().alloc(id);
  if (!found.alloc) return fail(Code::kNotFound, "Unknown allocation \"{}\"", id);
  NodeAgent* node = call.parts().node;
  if (node == nullptr || node->node().id != found.alloc->node_id) {
    return fail(Code::kNotFound,
                "Allocation {} is on node {}, which this agent cannot reach; ask its own agent",
                id.substr(0, 8), found.alloc->node_id.substr(0, 8));
  }
  found.runner = node->find(id);
  return found;
}

Result<NodeAgent*> local_node(Call& call) {
  NodeAgent* node = call.parts().node;
  const std::string wanted = call.query("node_id");
  if (node == nullptr || (!wanted.empty() && wanted != node->node().id)) {
    return fail(Code::kNotFound, "this agent does not run node {}", wanted);
  }
  return node;
}

Result<AllocRunner*> running_alloc(Call& call, const std::string& id) {
  Result<LocalAllocation> local = local_alloc(call, id);
  if (!local) return pass(local);
  if (local->runner == nullptr || local->runner->finished()) {
    return fail(Code::kInvalid, "Allocation {} is not running", id.substr(0, 8));
  }
  return local->runner;
}

std::string alloc_folder(Call& call, const std::string& id) {
  return call.parts().node->context().options.data_folder + "/alloc/" + id;
}

namespace {

constexpr size_t kFrameBytes = 64 * 1024;
constexpr int64_t kFollowPollMs = 100;
constexpr int64_t kHeartbeatMs = 1'000;

// ----------------------------------------------------------------------------------- logs

struct LogQuery {
  std::string task;
  std::string type;
  bool from_end = false;
  bool follow = false;
  bool plain = false;
  uint64_t offset = 0;
};

Result<LogQuery> read_log_query(const Call& call, const Allocation& alloc) {
  LogQuery query;
  query.task = call.query("task");
  query.type = call.query("type");
  query.follow = call.query_on("follow");
  query.plain = call.query_on("plain");
  if (query.task.empty()) return fail(Code::kInvalid, "must provide task name");
  if (query.type != "stdout" && query.type != "stderr") {
    return fail(Code::kInvalid, "log type must be \"stdout\" or \"stderr\"");
  }
  const std::string origin = call.query("origin", "start");
  if (origin != "start" && origin != "end") {
    return fail(Code::kInvalid, "origin must be \"start\" or \"end\"");
  }
  query.from_end = origin == "end";
  const std::string offset = call.query("offset", "0");
  const auto [end, trouble] =
      std::from_chars(offset.data(), offset.data() + offset.size(), query.offset);
  if (trouble != std::errc() || end != offset.data() + offset.size()) {
    return fail(Code::kInvalid, "error parsing offset: \"{}\" is no number of bytes", offset);
  }
  if (!alloc.task_group().task(query.task)) {
    return fail(Code::kNotFound, "unknown task name \"{}\"", query.task);
  }
  const auto state = alloc.task_states.find(query.task);
  if (state == alloc.task_states.end() || state->second.started_at.ns == 0) {
    return fail(Code::kNotFound, "task \"{}\" not started yet. No logs available", query.task);
  }
  return query;
}

/// True once no more output can come.
bool task_over(Call& call, const std::string& alloc_id, const std::string& task) {
  const AllocPtr alloc = call.server().snapshot().alloc(alloc_id);
  if (!alloc || alloc->client_terminal()) return true;
  const auto state = alloc->task_states.find(task);
  return state != alloc->task_states.end() && state->second.state == TaskRunState::kDead;
}

std::string frame_of(const LogFiles::Piece& piece) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.member("Data", base64_encode(piece.bytes));
  out.member("File", "alloc/logs/" + piece.file);
  out.member("Offset", piece.offset);
  out.end_object();
  return text;
}

/// Sends the log until its end, or for as long as the task may write where `follow` is set.
Task<void> stream_log(Call& call, std::string alloc_id, LogQuery query,
                      std::shared_ptr<LogFiles> files) {
  HttpResponseWriter& writer = call.writer();
  writer.cancel_on_close();
  if (!co_await writer.start(200, query.plain ? "text/plain; charset=utf-8" : "application/json")) {
    co_return;
  }
  int64_t quiet_ms = 0;
  bool last_look = false;
  while (true) {
    auto read = [files] { return files->read(kFrameBytes); };
    Result<LogFiles::Piece> piece = co_await on_pool(call.executor(), std::move(read));
    if (!piece) {
      call.parts().log.warn("logs of alloc {}: {}", alloc_id, piece.error().message);
      co_return;  // cut short, so that the client sees that it is not whole
    }
    if (!piece->bytes.empty()) {
      quiet_ms = 0;
      if (!co_await writer.write(query.plain ? piece->bytes : frame_of(*piece))) co_return;
      continue;
    }
    if (!query.follow || last_look) break;
    // What came between the last read and the task's end is seen by one more look.
    last_look = task_over(call, alloc_id, query.task);
    if (last_look) continue;
    co_await sleep_for(call.executor(), kFollowPollMs);
    quiet_ms += kFollowPollMs;
    if (quiet_ms >= kHeartbeatMs) {
      quiet_ms = 0;
      if (!query.plain && !co_await writer.write("{}")) co_return;
    }
  }
  (void)co_await writer.finish();
}

Task<void> logs(Call& call) {
  const std::string id = call.param(0);
  Result<LocalAllocation> local = local_alloc(call, id);
  if (!local) {
    co_await call.refuse(local.error());
    co_return;
  }
  Result<LogQuery> query = read_log_query(call, *local->alloc);
  if (!query) {
    co_await call.refuse(query.error());
    co_return;
  }
  const std::string folder = alloc_folder(call, id) + "/alloc/logs";
  auto files = std::make_shared<LogFiles>(folder, query->task + "." + query->type);
  auto seek = [files, from_end = query->from_end, offset = query->offset] {
    return from_end ? files->seek_from_end(offset) : files->seek_from_start(offset);
  };
  Result<void> sought = co_await on_pool(call.executor(), std::move(seek));
  if (!sought) {
    co_await call.refuse(sought.error());
    co_return;
  }
  co_await stream_log(call, id, std::move(*query), std::move(files));
}

// -------------------------------------------------------------------- restart, signal, stats

/// The runners that the body's task name means: that one, or all that run.
Result<std::vector<TaskRunner*>> chosen_tasks(AllocRunner& runner, std::string_view name) {
  std::vector<TaskRunner*> tasks;
  if (!name.empty()) {
    TaskRunner* task = runner.task(name);
    if (task == nullptr) return fail(Code::kNotFound, "unknown task name \"{}\"", name);
    if (!task->running()) return fail(Code::kInvalid, "Task not running");
    tasks.push_back(task);
    return tasks;
  }
  for (const auto& task : runner.tasks()) {
    if (task->running()) tasks.push_back(task.get());
  }
  return tasks;
}

constexpr MemberKind kRestartBody[] = {{"TaskName", Json::Kind::kString},
                                       {"AllTasks", Json::Kind::kBool}};

Task<void> restart(Call& call, const Json& body) {
  Result<AllocRunner*> runner = running_alloc(call, call.param(0));
  if (!runner) {
    co_await call.refuse(runner.error());
    co_return;
  }
  const std::string_view named = body.get_string("TaskName");
  const bool whole = body.get_bool("AllTasks");
  if (whole && !named.empty()) {
    co_await call.refuse(400, "AllTasks and TaskName do not go together");
    co_return;
  }
  if (whole) {
    (*runner)->restart_all("User requested restart");
    co_await call.reply_empty();
    co_return;
  }
  Result<std::vector<TaskRunner*>> tasks = chosen_tasks(**runner, named);
  if (!tasks) {
    co_await call.refuse(tasks.error());
    co_return;
  }
  std::vector<std::string> names;
  for (const TaskRunner* task : *tasks) names.push_back(task->name());
  (*runner)->restart(std::move(names), "User requested restart");
  co_await call.reply_empty();
}

constexpr MemberKind kSignalBody[] = {{"Task", Json::Kind::kString},
                                      {"TaskName", Json::Kind::kString},
                                      {"Signal", Json::Kind::kString}};

Task<void> signal(Call& call, const Json& body) {
  Result<AllocRunner*> runner = running_alloc(call, call.param(0));
  if (!runner) {
    co_await call.refuse(runner.error());
    co_return;
  }
  std::string_view name = body.get_string("Task");
  if (name.empty()) name = body.get_string("TaskName");
  const std::string wanted(body.get_string("Signal", "SIGKILL"));
  Result<std::vector<TaskRunner*>> tasks = chosen_tasks(**runner, name);
  if (!tasks) {
    co_await call.refuse(tasks.error());
    co_return;
  }
  std::vector<std::string> names;
  for (const TaskRunner* task : *tasks) names.push_back(task->name());
  for (const std::string& each : names) {
    // Looked up anew: sending a signal waits, and the allocation may end meanwhile.
    Result<AllocRunner*> now = running_alloc(call, call.param(0));
    TaskRunner* task = now ? (*now)->task(each) : nullptr;
    if (task == nullptr) continue;
    Result<void> sent = co_await task->signal(wanted);
    if (!sent) {
      co_await call.refuse(sent.error());
      co_return;
    }
  }
  co_await call.reply_empty();
}

struct TaskUsage {
  std::string task;
  TaskStats stats;
};

void write_usage(JsonWriter& out, const TaskStats& stats, int64_t cpu_mhz) {
  out.begin_object();
  out.key("CpuStats").begin_object();
  out.member("Percent", stats.cpu_percent);
  out.member("TotalTicks", stats.cpu_percent / 100 * static_cast<double>(cpu_mhz));
  out.key("Measured").begin_array().value("Percent").value("Total Ticks").end_array();
  out.end_object();
  out.key("MemoryStats").begin_object();
  out.member("RSS", stats.memory_rss_bytes).member("Usage", stats.memory_rss_bytes);
  out.key("Measured").begin_array().value("RSS").end_array();
  out.end_object();
  out.key("DeviceStats").null();
  out.end_object();
}

Task<void> alloc_stats(Call& call) {
  Result<AllocRunner*> runner = running_alloc(call, call.param(0));
  if (!runner) {
    co_await call.refuse(404, runner.error().message);
    co_return;
  }
  NodeContext& context = call.parts().node->context();
  struct Running {
    std::string task, driver;
    TaskHandle handle;
  };
  std::vector<Running> running;
  for (const auto& task : (*runner)->tasks()) {
    if (task->running() && task->local().handle) {
      running.push_back({task->name(), task->config().driver, *task->local().handle});
    }
  }
  std::vector<TaskUsage> usage;
  for (const Running& each : running) {
    TaskDriver* driver = context.driver(each.driver);
    if (driver == nullptr) continue;
    Result<TaskStats> stats = co_await driver->stats(each.handle);
    if (stats) usage.push_back({each.task, *stats});
  }
  const int64_t per_core = context.node.core_mhz();
  const int64_t now_ns = call.executor().wall_ns();
  co_await call.reply_with([&](JsonWriter& out) {
    TaskStats sum;
    out.begin_object().key("Tasks").begin_object();
    for (const TaskUsage& each : usage) {
      sum.cpu_percent += each.stats.cpu_percent;
      sum.memory_rss_bytes += each.stats.memory_rss_bytes;
      out.key(each.task).begin_object().key("ResourceUsage");
      write_usage(out, each.stats, per_core);
      out.member("Timestamp", now_ns).key("Pids").null().end_object();
    }
    out.end_object().key("ResourceUsage");
    write_usage(out, sum, per_core);
    out.member("Timestamp", now_ns);
    out.end_object();
  });
}

Task<void> host_stats(Call& call) {
  Result<NodeAgent*> local = local_node(call);
  if (!local) {
    co_await call.refuse(local.error());
    co_return;
  }
  NodeAgent* node = *local;
  auto read = [&disk = call.parts().env.disk, folder = node->context().options.data_folder] {
    return read_host_stats(disk, folder);
  };
  const HostStats stats = co_await on_pool(call.executor(), std::move(read));
  const int64_t cpu_mhz = node->node().cpu_mhz;
  co_await call.reply_with(
      [&](JsonWriter& out) { write_host_stats(out, stats, cpu_mhz, call.executor().wall_ns()); });
}

std::string_view check_word(std::optional<CheckStatus> status) {
  if (!status) return "pending";
  return *status == CheckStatus::kCritical ? "failure" : "success";
}

/// By check id, in the words of the client library's AllocCheckStatus.
Task<void> alloc_checks(Call& call) {
  Result<LocalAllocation> local = local_alloc(call, call.param(0));
  if (!local) {
    co_await call.refuse(local.error());
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_object();
    if (local->runner != nullptr) {
      const std::string& group = local->alloc->group;
      for (const AllocRunner::CheckView& view : local->runner->checks()) {
        const std::string id = view.check->service_id + "/" + view.check->check_id;
        out.key(id).begin_object().member("ID", id);
        out.member("Check", view.check->check.name);
        out.member("Group", group).member("Task", view.check->task);
        out.member("Service", view.service).member("Mode", "healthiness");
        out.member("Status", check_word(view.status)).member("StatusCode", 0);
        out.member("Output", view.output).member("Timestamp", view.since_ns / 1'000'000'000);
        out.end_object();
      }
    }
    out.end_object();
  });
}

constexpr Route kRoutes[] = {
    {"GET", "/v1/client/fs/logs/:id", logs},
    {"PUT", "/v1/client/allocation/:id/restart", with_body<restart, kRestartBody>},
    {"PUT", "/v1/client/allocation/:id/signal", with_body<signal, kSignalBody>},
    {"GET", "/v1/client/allocation/:id/stats", alloc_stats},
    {"GET", "/v1/client/allocation/:id/checks", alloc_checks},
    {"GET", "/v1/allocation/:id/checks", alloc_checks},
    {"GET", "/v1/client/stats", host_stats},
};

}  // namespace

std::span<const Route> client_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
