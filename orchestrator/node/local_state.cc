#include "orchestrator/node/local_state.h"

#include <algorithm>
#include <utility>

#include "core/json.h"
#include "core/scope.h"

namespace sluice::orchestrator {

namespace {

constexpr int64_t kFormatVersion = 1;

Json encode(const TaskState& state) {
  Json events = Json::array();
  for (const TaskEvent& event : state.events) {
    Json details = Json::object();
    for (const auto& [key, value] : event.details) details.set(key, value);
    events.push(Json::object({{"type", event.type},
                              {"time_ns", event.time_ns},
                              {"message", event.message},
                              {"details", std::move(details)},
                              {"fails_task", event.fails_task}}));
  }
  return Json::object({{"state", to_string(state.state)},
                       {"failed", state.failed},
                       {"restarts", state.restarts},
                       {"last_restart_ns", state.last_restart.ns},
                       {"started_at_ns", state.started_at.ns},
                       {"finished_at_ns", state.finished_at.ns},
                       {"events", std::move(events)}});
}

TaskState decode_state(const Json& json) {
  TaskState state;
  const std::string_view name = json.get_string("state");
  state.state = name == "running" ? TaskRunState::kRunning
                : name == "dead"  ? TaskRunState::kDead
                                  : TaskRunState::kPending;
  state.failed = json.get_bool("failed");
  state.restarts = json.get_int("restarts");
  state.last_restart.ns = json.get_int("last_restart_ns");
  state.started_at.ns = json.get_int("started_at_ns");
  state.finished_at.ns = json.get_int("finished_at_ns");
  const Json* events = json.find("events");
  if (events == nullptr || !events->is_array()) return state;
  for (const Json& item : events->as_array()) {
    TaskEvent event{.type = std::string(item.get_string("type")),
                    .time_ns = item.get_int("time_ns"),
                    .message = std::string(item.get_string("message")),
                    .details = {},
                    .fails_task = item.get_bool("fails_task")};
    const Json* details = item.find("details");
    if (details != nullptr && details->is_object()) {
      for (const JsonMember& member : details->as_object()) {
        if (member.value.is_string()) event.details[member.key] = member.value.as_string();
      }
    }
    state.events.push_back(std::move(event));
  }
  return state;
}

Json encode(const LocalTask& task) {
  Json json = Json::object({{"run", task.run},
                            {"prepared", task.prepared},
                            {"starting", task.starting},
                            {"interval_started_ns", task.history.interval_started_ns},
                            {"attempts", task.history.attempts},
                            {"state", encode(task.state)}});
  if (!task.cpus.empty()) json.set("cpus", task.cpus);
  if (task.network) {
    json.set("network", Json::object({{"address", task.network->address},
                                      {"advertised", task.network->advertised}}));
  }
  if (task.handle) {
    json.set("handle", Json::object({{"driver", task.handle->driver},
                                     {"run", task.handle->key.run},
                                     {"state", task.handle->state}}));
  }
  if (task.ended) {
    json.set("ended", Json::object({{"exit_code", task.ended->exit_code},
                                    {"signal", task.ended->signal},
                                    {"oom_killed", task.ended->oom_killed},
                                    {"error", task.ended->error},
                                    {"finished_at_ns", task.ended->finished_at_ns}}));
  }
  return json;
}

}  // namespace

bool LocalAlloc::over() const {
  return !tasks.empty() && std::all_of(tasks.begin(), tasks.end(), [](const auto& item) {
    return item.second.state.state == TaskRunState::kDead;
  });
}

std::optional<std::set<std::string>> LocalAlloc::drivers() const {
  std::set<std::string> drivers;
  for (const auto& [name, task] : tasks) {
    if (task.handle) drivers.insert(task.handle->driver);
    if (!task.starting) continue;
    const Result<AllocPtr> ordered = decode_order(*this);
    if (!ordered) return std::nullopt;
    for (const TaskConfig& config : (*ordered)->task_group().tasks) drivers.insert(config.driver);
  }
  return drivers;
}

int64_t LocalAlloc::finished_at_ns() const {
  int64_t latest = 0;
  for (const auto& [name, task] : tasks) latest = std::max(latest, task.state.finished_at.ns);
  return latest;
}

std::string encode_local_alloc(const LocalAlloc& alloc) {
  Json tasks = Json::object();
  for (const auto& [name, task] : alloc.tasks) tasks.set(name, encode(task));
  Json json = Json::object(
      {{"version", kFormatVersion}, {"alloc_id", alloc.alloc_id}, {"tasks", std::move(tasks)}});
  if (!alloc.order.empty()) {
    json.set("order", alloc.order);
    json.set("order_index", alloc.order_index);
  }
  if (alloc.healthy) {
    json.set("deployment_id", alloc.deployment_id);
    json.set("healthy", *alloc.healthy);
    json.set("healthy_at_ns", alloc.healthy_at_ns);
  }
  return to_json(json);
}

Result<LocalAlloc> decode_local_alloc(std::string_view text) {
  Result<Json> json = parse_json(text);
  if (!json) return pass(json);
  if (json->get_int("version") != kFormatVersion) {
    return fail(Code::kUnsupported, "format version {}, this program reads {}",
                json->get_int("version"), kFormatVersion);
  }
  LocalAlloc alloc{.alloc_id = std::string(json->get_string("alloc_id")),
                   .tasks = {},
                   .deployment_id = std::string(json->get_string("deployment_id")),
                   .healthy = {},
                   .healthy_at_ns = json->get_int("healthy_at_ns"),
                   .order = std::string(json->get_string("order")),
                   .order_index = static_cast<uint64_t>(json->get_int("order_index"))};
  if (const Json* healthy = json->find("healthy"))
    alloc.healthy = healthy->is_bool() && healthy->as_bool();
  const Json* tasks = json->find("tasks");
  if (tasks == nullptr || !tasks->is_object()) return fail(Code::kInvalid, "no tasks in it");
  for (const JsonMember& member : tasks->as_object()) {
    LocalTask task{.run = static_cast<uint64_t>(member.value.get_int("run")),
                   .prepared = member.value.get_bool("prepared"),
                   .starting = member.value.get_bool("starting"),
                   .handle = {},
                   .ended = {},
                   .history = {.interval_started_ns = member.value.get_int("interval_started_ns"),
                               .attempts = member.value.get_int("attempts")},
                   .state = {}};
    if (const Json* state = member.value.find("state")) task.state = decode_state(*state);
    if (const Json* handle = member.value.find("handle")) {
      const Json* own = handle->find("state");
      task.handle = TaskHandle{.key = {.alloc_id = alloc.alloc_id,
                                       .task = member.key,
                                       .run = static_cast<uint64_t>(handle->get_int("run"))},
                               .driver = std::string(handle->get_string("driver")),
                               .state = own != nullptr ? *own : Json()};
    }
    task.cpus = member.value.get_string("cpus");
    if (const Json* network = member.value.find("network")) {
      task.network = TaskNetwork{.address = std::string(network->get_string("address")),
                                 .advertised = network->get_bool("advertised")};
    }
    if (const Json* ended = member.value.find("ended")) {
      task.ended = TaskExit{.exit_code = ended->get_int("exit_code"),
                            .signal = ended->get_int("signal"),
                            .oom_killed = ended->get_bool("oom_killed"),
                            .error = std::string(ended->get_string("error")),
                            .finished_at_ns = ended->get_int("finished_at_ns")};
    }
    alloc.tasks.emplace(member.key, std::move(task));
  }
  return alloc;
}

Result<std::string> LocalState::load_node_id() {
  Result<void> made = env_.disk.make_folders(folder_ + "/allocs", 0700);
  if (!made) return pass(made);
  const std::string path = folder_ + "/node-id";
  if (env_.disk.exists(path)) {
    Result<std::string> id = env_.disk.read_file(path, 64);
    if (!id) return pass(id);
    if (id->ends_with('\n')) id->pop_back();
    if (id->size() != 36) return fail(Code::kInvalid, "{} does not hold a node id", path);
    return *id;
  }
  std::string id = make_uuid(env_.random);
  Result<void> written = env_.disk.write_file(path, id + "\n", 0600);
  if (!written) return pass(written);
  return id;
}

Result<LocalCluster> LocalState::load_cluster() {
  const std::string path = folder_ + "/cluster.json";
  if (!env_.disk.exists(path)) return LocalCluster{};
  Result<std::string> text = env_.disk.read_file(path, 4096);
  if (!text) return pass(text);
  Result<Json> json = parse_json(*text);
  if (!json) return pass(json, "{}", path);
  return LocalCluster{.cluster_id = std::string(json->get_string("cluster_id")),
                      .term = static_cast<uint64_t>(json->get_int("term")),
                      .index = static_cast<uint64_t>(json->get_int("index"))};
}

Result<void> LocalState::save_cluster(const LocalCluster& cluster) {
  const Json json = Json::object(
      {{"cluster_id", cluster.cluster_id}, {"term", cluster.term}, {"index", cluster.index}});
  return env_.disk.write_file(folder_ + "/cluster.json", to_json(json), 0600);
}

Result<std::map<std::string, LocalAlloc>> LocalState::load_allocs() {
  std::map<std::string, LocalAlloc> allocs;
  Result<std::vector<std::string>> names = env_.disk.list(folder_ + "/allocs");
  if (!names) return pass(names);
  for (const std::string& name : *names) {
    if (!name.ends_with(".json")) continue;  // a temporary file of a write that was cut off
    const std::string path = folder_ + "/allocs/" + name;
    Result<std::string> text = env_.disk.read_file(path, kFileBytes);
    if (!text) return pass(text);
    Result<LocalAlloc> alloc = decode_local_alloc(*text);
    if (!alloc) return pass(alloc, "{}", path);
    allocs.emplace(alloc->alloc_id, std::move(*alloc));
  }
  return allocs;
}

Task<Result<void>> LocalState::save(const LocalAlloc& alloc) {
  co_return co_await on_pool(env_.executor,
                             [&disk = env_.disk, path = alloc_path(alloc.alloc_id),
                              text = encode_local_alloc(alloc)]() -> Result<void> {
                               return disk.write_file(path, text, 0600);
                             });
}

}  // namespace sluice::orchestrator
