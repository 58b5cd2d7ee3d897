#include "drivers/exec/raw_exec.h"

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

Result<void> RawExecDriver::validate(const Json& config) const {
  if (!config.is_object())
    return fail(Code::kInvalid, "raw_exec: config is {}", kind_name(config.kind()));
  for (const JsonMember& member : config.as_object()) {
    if (member.key == "command") {
      if (!member.value.is_string() && !member.value.is_null()) {
        return fail(Code::kInvalid, "raw_exec: command is {}, not a string",
                    kind_name(member.value.kind()));
      }
    } else if (member.key == "args") {
      if (member.value.is_null()) continue;
      if (!member.value.is_array()) {
        return fail(Code::kInvalid, "raw_exec: args is {}, not a list",
                    kind_name(member.value.kind()));
      }
      for (const Json& arg : member.value.as_array()) {
        if (arg.is_string()) continue;
        return fail(Code::kInvalid, "raw_exec: args holds {}, not a string", kind_name(arg.kind()));
      }
    } else {
      return fail(Code::kInvalid, "raw_exec: unknown option \"{}\" (known: command, args)",
                  member.key);
    }
  }
  if (config.get_string("command").empty())
    return fail(Code::kInvalid, "raw_exec: command is missing");
  return {};
}

Task<Result<TaskHandle>> RawExecDriver::start(const TaskSpec& spec, orchestrator::TaskEvents) {
  Result<void> valid = validate(spec.config);
  if (!valid) co_return pass(valid);
  if (spec.key.task.find('/') != std::string::npos) {
    co_return fail(Code::kInvalid, "raw_exec: task name {} holds a slash", spec.key.task);
  }
  for (const std::string& folder : {spec.task_folder, spec.log_folder}) {
    Result<void> made = env_.disk.make_folders(folder, 0755);
    if (!made) co_return pass(made);
  }
  Message request = request_for("start", spec.key);
  request.add("cluster", cluster_id_).add("node", node_id_).add("driver", name());
  request.add("command", spec.config.get_string("command"));
  if (const Json* args = spec.config.find("args"); args != nullptr && args->is_array()) {
    for (const Json& arg : args->as_array()) request.add("arg", std::string_view(arg.as_string()));
  }
  for (const auto& [key, value] : spec.env) request.add("env", std::string_view(key + "=" + value));
  request.add("folder", spec.task_folder).add("log_prefix", spec.log_folder + "/" + spec.key.task);
  request.add("log_max_files", spec.log_max_files).add("log_max_bytes", spec.log_max_file_bytes);
  if (!spec.user.empty()) {
    auto look = [user = spec.user] { return find_user(user); };
    Result<User> user = co_await on_pool(env_.executor, look);
    if (!user) co_return pass(user);
    request.add("uid", int64_t{user->uid}).add("gid", int64_t{user->gid});
    for (gid_t group : user->groups) request.add("group", int64_t{group});
  }
  Result<Message> reply = co_await supervisor_.call(std::move(request), kStartTimeoutMs);
  if (!reply) co_return pass(reply, "raw_exec");
  co_return handle_of(*reply);
}

Task<Result<void>> RawExecDriver::recover(const TaskHandle& handle, const TaskSpec&) {
  if (!supervisor_.has_runs()) co_return fail(Code::kNotFound, "raw_exec: no run is there");
  Result<Message> reply =
      co_await supervisor_.call(request_for("status", handle.key), kCallTimeoutMs);
  if (!reply) co_return pass(reply, "raw_exec");
  bool same = reply->get("cluster") == cluster_id_ && reply->get("node") == node_id_ &&
              handle_of(*reply).state == handle.state;
  if (!same) co_return fail(Code::kNotFound, "raw_exec: the run there is not the handle's process");
  co_return Result<void>();
}

Task<Result<TaskExit>> RawExecDriver::wait(const TaskHandle& handle) {
  Result<Message> reply =
      co_await supervisor_.call(request_for("wait", handle.key), SupervisorClient::kNoTimeout);
  if (!reply) co_return pass(reply, "raw_exec");
  TaskExit exit;
  exit.exit_code = reply->get_int("code");
  exit.signal = reply->get_int("signal");
  exit.error = reply->get("lost");
  exit.finished_at_ns = reply->get_int("at_ns");
  co_return exit;
}

Task<Result<void>> RawExecDriver::stop(const TaskHandle& handle, const std::string& kill_signal,
                                       int64_t kill_timeout_ms) {
  std::optional<int> number = signal_number(kill_signal.empty() ? kDefaultKillSignal : kill_signal);
  if (!number) co_return fail(Code::kInvalid, "raw_exec: unknown kill_signal {}", kill_signal);
  if (!supervisor_.has_runs()) co_return Result<void>();
  Message request = request_for("stop", handle.key);
  request.add("signal", int64_t{*number}).add("timeout_ms", std::max<int64_t>(0, kill_timeout_ms));
  Result<Message> reply =
      co_await supervisor_.call(std::move(request), SupervisorClient::kNoTimeout);
  if (!reply && reply.error().code != Code::kNotFound) co_return pass(reply, "raw_exec");
  co_return Result<void>();
}

Task<Result<void>> RawExecDriver::signal(const TaskHandle& handle, const std::string& signal_name) {
  std::optional<int> number = signal_number(signal_name);
  if (!number) co_return fail(Code::kInvalid, "raw_exec: unknown signal {}", signal_name);
  Message request = request_for("signal", handle.key);
  request.add("signal", int64_t{*number});
  Result<Message> reply = co_await supervisor_.call(std::move(request), kCallTimeoutMs);
  if (!reply) co_return pass(reply, "raw_exec");
  co_return Result<void>();
}

Task<Result<void>> RawExecDriver::remove(const TaskHandle& handle) {
  usage_.erase(handle.key);
  if (!supervisor_.has_runs()) co_return Result<void>();
  Result<Message> reply =
      co_await supervisor_.call(request_for("remove", handle.key), kCallTimeoutMs);
  if (!reply && reply.error().code != Code::kNotFound) co_return pass(reply, "raw_exec");
  co_return Result<void>();
}

Task<Result<std::vector<FoundTask>>> RawExecDriver::list() {
  std::vector<FoundTask> found;
  if (!supervisor_.has_runs()) co_return found;
  Result<Message> reply = co_await supervisor_.call(Message().add("op", "list"), kCallTimeoutMs);
  if (!reply) co_return pass(reply, "raw_exec");
  for (std::string_view body : reply->all("entry")) {
    Result<Message> entry = Message::parse(body);
    if (!entry) co_return pass(entry, "raw_exec");
    if (entry->get("driver") != name() || entry->get("cluster") != cluster_id_ ||
        entry->get("node") != node_id_) {
      continue;
    }
    found.push_back({handle_of(*entry), entry->get_int("running") == 1});
  }
  co_return found;
}

Task<Result<TaskStats>> RawExecDriver::stats(const TaskHandle& handle) {
  Result<Message> reply =
      co_await supervisor_.call(request_for("stats", handle.key), kCallTimeoutMs);
  if (!reply) co_return pass(reply, "raw_exec");
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

Task<Result<std::string>> RawExecDriver::address(const TaskHandle&) {
  co_return std::string();
}

}  // namespace sluice::drivers::exec
