#include "drivers/exec/raw_exec.h"

#include "drivers/exec/session.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sluice::drivers::exec {
namespace {

using orchestrator::DriverHealth;
using orchestrator::FoundTask;
using orchestrator::TaskExit;
using orchestrator::TaskHandle;
using orchestrator::TaskKey;
using orchestrator::TaskSpec;
using orchestrator::TaskStats;

constexpr int64_t kCallTimeoutMs = 10'000;
constexpr int64_t kStartTimeoutMs = 30'000;
constexpr int kMaxGroups = 1024;
constexpr std::string_view kDefaultKillSignal = "SIGINT";  // as Nomad's

Message request_for(std::string_view op, const TaskKey& key) {
  Message request;
  request.add("op", op).add("alloc", key.alloc_id).add("task", key.task);
  request.add("run", static_cast<int64_t>(key.run));
  return request;
}

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

/// Blocks: name services may ask the network.
Result<User> find_user(const std::string& name) {
  std::vector<char> buffer(64 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  int error_number = getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr && error_number != 0) return fail_errno(error_number, "user " + name);
  if (found == nullptr) return fail(Code::kInvalid, "no such user: {}", name);
  User user{found->pw_uid, found->pw_gid, std::vector<gid_t>(kMaxGroups)};
  int count = kMaxGroups;
  if (getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0) count = kMaxGroups;
  user.groups.resize(static_cast<size_t>(count));
  return user;
}

TaskHandle handle_of(const Message& reply) {
  TaskHandle handle;
  handle.key.alloc_id = reply.get("alloc");
  handle.key.task = reply.get("task");
  handle.key.run = static_cast<uint64_t>(reply.get_int("run"));
  handle.driver = reply.get("driver");
  handle.state = Json::object({{"boot_id", reply.get("boot")},
                               {"pid", reply.get_int("pid")},
                               {"start_ticks", reply.get_int("start")}});
  return handle;
}

std::string_view kind_name(Json::Kind kind) {
  switch (kind) {
    case Json::Kind::kNull: return "null";
    case Json::Kind::kBool: return "a boolean";
    case Json::Kind::kInt:
    case Json::Kind::kDouble: return "a number";
    case Json::Kind::kString: return "a string";
    case Json::Kind::kArray: return "a list";
    case Json::Kind::kObject: return "a block";
  }
  return "";
}

}  // namespace

Task<DriverHealth> RawExecDriver::fingerprint() {
  DriverHealth health;
  health.detected = true;
  health.healthy = supervisor_.trouble().empty();
  health.description = health.healthy ? "Healthy" : supervisor_.trouble();
  health.attributes["driver.raw_exec"] = "1";
  co_return health;
}

Result<void> check_command(std::string_view driver, std::string_view key, const Json& value) {
  if (value.is_null()) return {};
  if (key == "command") {
    if (value.is_string()) return {};
    return fail(Code::kInvalid, "{}: command is {}, not a string", driver, kind_name(value.kind()));
  }
  if (!value.is_array()) {
    return fail(Code::kInvalid, "{}: {} is {}, not a list", driver, key, kind_name(value.kind()));
  }
  for (const Json& item : value.as_array()) {
    if (item.is_string()) continue;
    return fail(Code::kInvalid, "{}: {} holds {}, not a string", driver, key,
                kind_name(item.kind()));
  }
  return {};
}

Result<void> RawExecDriver::validate(const Json& config) const {
  if (!config.is_object()) {
    return fail(Code::kInvalid, "raw_exec: config is {}", kind_name(config.kind()));
  }
  for (const JsonMember& member : config.as_object()) {
    if (member.key != "command" && member.key != "args") {
      return fail(Code::kInvalid, "raw_exec: unknown option \"{}\" (known: command, args)",
                  member.key);
    }
    Result<void> checked = check_command("raw_exec", member.key, member.value);
    if (!checked) return checked;
  }
  if (config.get_string("command").empty()) {
    return fail(Code::kInvalid, "raw_exec: command is missing");
  }
  return {};
}

void RawExecDriver::surround(const TaskSpec&, Message&) const {}

Task<Result<TaskHandle>> RawExecDriver::start(const TaskSpec& given,
                                              orchestrator::TaskEvents on_event) {
  Result<void> valid = validate(given.config);
  if (!valid) co_return pass(valid);
  const TaskSpec spec = adapt(given);
  if (spec.key.task.find('/') != std::string::npos) {
    co_return fail(Code::kInvalid, "{}: task name {} holds a slash", name(), spec.key.task);
  }
  for (const std::string& folder : {spec.task_folder, spec.log_folder}) {
    Result<void> made = env_.disk.make_folders(folder, 0755);
    if (!made) co_return pass(made);
  }
  Message request = request_for("start", spec.key);
  request.add("cluster", spec.cluster_id.empty() ? cluster_id_ : spec.cluster_id);
  request.add("node", spec.node_id.empty() ? node_id_ : spec.node_id);
  request.add("driver", name()).add("command", spec.config.get_string("command"));
  if (const Json* args = spec.config.find("args"); args != nullptr && args->is_array()) {
    for (const Json& arg : args->as_array()) request.add("arg", std::string_view(arg.as_string()));
  }
  for (const auto& [key, value] : spec.env) request.add("env", std::string_view(key + "=" + value));
  request.add("folder", spec.task_folder).add("log_prefix", spec.log_folder + "/" + spec.key.task);
  request.add("log_max_files", spec.log_max_files).add("log_max_bytes", spec.log_max_file_bytes);
  if (!spec.cpus.empty()) request.add("cpus", std::string_view(spec.cpus));
  surround(spec, request);
  if (!spec.user.empty()) {
    auto look = [user = spec.user] { return find_user(user); };
    Result<User> user = co_await on_pool(env_.executor, look);
    if (!user) co_return pass(user);
    request.add("uid", int64_t{user->uid}).add("gid", int64_t{user->gid});
    for (gid_t group : user->groups) request.add("group", int64_t{group});
  }
  Result<Message> reply = co_await supervisor_.call(std::move(request), kStartTimeoutMs);
  if (!reply) co_return pass(reply, "{}", name());
  if (std::string missing = lacks(); !missing.empty()) {
    on_event("The machine does not allow: " + missing);
  }
  for (std::string_view missing : reply->all("missing")) {
    on_event(fmt::format("The machine does not allow: {}", missing));
  }
  co_return handle_of(*reply);
}

Task<Result<void>> RawExecDriver::recover(const TaskHandle& handle, const TaskSpec& spec) {
  if (!supervisor_.may_have_runs()) co_return fail(Code::kNotFound, "{}: no run is there", name());
  Result<Message> reply =
      co_await supervisor_.call(request_for("status", handle.key), kCallTimeoutMs);
  if (!reply) co_return pass(reply, "{}", name());
  const std::string& cluster = spec.cluster_id.empty() ? cluster_id_ : spec.cluster_id;
  const std::string& node = spec.node_id.empty() ? node_id_ : spec.node_id;
  bool same = reply->get("cluster") == cluster && reply->get("node") == node &&
              handle_of(*reply).state == handle.state;
  if (!same)
    co_return fail(Code::kNotFound, "{}: the run there is not the handle's process", name());
  co_return Result<void>();
}

Task<Result<TaskExit>> RawExecDriver::wait(const TaskHandle& handle) {
  Result<Message> reply =
      co_await supervisor_.call(request_for("wait", handle.key), SupervisorClient::kNoTimeout);
  if (!reply) co_return pass(reply, "{}", name());
  TaskExit exit;
  exit.exit_code = reply->get_int("code");
  exit.signal = reply->get_int("signal");
  exit.error = reply->get("lost");
  exit.oom_killed = reply->get_int("oom") == 1;
  exit.finished_at_ns = reply->get_int("at_ns");
  co_return exit;
}

Task<Result<void>> RawExecDriver::stop(const TaskHandle& handle, const std::string& kill_signal,
                                       int64_t kill_timeout_ms) {
  std::optional<int> number = signal_number(kill_signal.empty() ? kDefaultKillSignal : kill_signal);
  if (!number) co_return fail(Code::kInvalid, "{}: unknown kill_signal {}", name(), kill_signal);
  if (!supervisor_.may_have_runs()) co_return Result<void>();
  Message request = request_for("stop", handle.key);
  request.add("signal", int64_t{*number}).add("timeout_ms", std::max<int64_t>(0, kill_timeout_ms));
  Result<Message> reply =
      co_await supervisor_.call(std::move(request), SupervisorClient::kNoTimeout);
  if (!reply && reply.error().code != Code::kNotFound) co_return pass(reply, "{}", name());
  co_return Result<void>();
}

Task<Result<void>> RawExecDriver::signal(const TaskHandle& handle, const std::string& signal_name) {
  std::optional<int> number = signal_number(signal_name);
  if (!number) co_return fail(Code::kInvalid, "{}: invalid signal {}", name(), signal_name);
  Message request = request_for("signal", handle.key);
  request.add("signal", int64_t{*number});
  Result<Message> reply = co_await supervisor_.call(std::move(request), kCallTimeoutMs);
  if (!reply) co_return pass(reply, "{}", name());
  co_return Result<void>();
}

Task<Result<void>> RawExecDriver::remove(const TaskHandle& handle) {
  usage_.erase(handle.key);
  if (!supervisor_.may_have_runs()) co_return Result<void>();
  Result<Message> reply =
      co_await supervisor_.call(request_for("remove", handle.key), kCallTimeoutMs);
  if (!reply && reply.error().code != Code::kNotFound) co_return pass(reply, "{}", name());
  co_return Result<void>();
}

Task<Result<std::vector<FoundTask>>> RawExecDriver::list() {
  std::vector<FoundTask> found;
  if (!supervisor_.may_have_runs()) co_return found;
  Result<Message> reply = co_await supervisor_.call(Message().add("op", "list"), kCallTimeoutMs);
  if (!reply) co_return pass(reply, "{}", name());
  for (std::string_view body : reply->all("entry")) {
    Result<Message> entry = Message::parse(body);
    if (!entry) co_return pass(entry, "{}", name());
    if (entry->get("driver") != name() || entry->get("node") != node_id_ ||
        (!cluster_id_.empty() && entry->get("cluster") != cluster_id_)) {
      continue;
    }
    found.push_back({handle_of(*entry), entry->get_int("running") == 1});
  }
  co_return found;
}

Task<Result<TaskStats>> RawExecDriver::stats(const TaskHandle& handle) {
  Result<Message> reply =
      co_await supervisor_.call(request_for("stats", handle.key), kCallTimeoutMs);
  if (!reply) co_return pass(reply, "{}", name());
  TaskStats stats;
  stats.memory_rss_bytes = static_cast<uint64_t>(reply->get_int("rss_bytes"));
  Usage now{reply->get_int("cpu_ms"), env_.executor.now_ms()};
  auto [at, first] = usage_.try_emplace(handle.key, now);
  int64_t elapsed_ms = now.at_ms - at->second.at_ms;
  // Processes that ended meanwhile take their time with them.
  int64_t used_ms = std::max<int64_t>(0, now.cpu_ms - at->second.cpu_ms);
  if (!first && elapsed_ms > 0) {
    stats.cpu_percent = 100.0 * static_cast<double>(used_ms) / static_cast<double>(elapsed_ms);
    at->second = now;
  }
  co_return stats;
}

Task<Result<void>> RawExecDriver::confine(const TaskHandle& handle, const Json&,
                                          const std::string& cpus) {
  Message request = request_for("confine", handle.key);
  request.add("cpus", std::string_view(cpus));
  Result<Message> reply = co_await supervisor_.call(std::move(request), kCallTimeoutMs);
  if (!reply) co_return pass(reply, "{}", name());
  co_return Result<void>();
}

Task<Result<std::unique_ptr<orchestrator::ExecSession>>> RawExecDriver::exec(
    const TaskHandle&, const TaskSpec& spec, orchestrator::ExecRequest request) {
  if (env_.processes == nullptr)
    co_return fail(Code::kUnsupported, "{}: no processes here", name());
  ProcessSpec process{.argv = std::move(request.command),
                      .env = {},
                      .folder = spec.task_folder,
                      .user = {},
                      .terminal = request.terminal,
                      .rows = request.rows,
                      .columns = request.columns};
  for (const auto& [key, value] : spec.env) process.env.push_back(key + "=" + value);
  if (!spec.user.empty()) {
    auto look = [user = spec.user] { return find_user(user); };
    Result<User> user = co_await on_pool(env_.executor, look);
    if (!user) co_return pass(user);
    process.user = ProcessUser{user->uid, user->gid, std::move(user->groups)};
  }
  Result<std::unique_ptr<Process>> started = co_await env_.processes->start(std::move(process));
  if (!started) co_return pass(started, "{}", name());
  co_return std::make_unique<ProcessSession>(env_.executor, *std::move(started));
}

Task<Result<orchestrator::TaskNetwork>> RawExecDriver::network(const TaskHandle&) {
  co_return std::string();
}

}  // namespace sluice::drivers::exec
