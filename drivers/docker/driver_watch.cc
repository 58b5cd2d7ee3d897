// The part of the docker driver that looks: Docker's health, its events, what is there.
#include <algorithm>
#include <utility>

#include "drivers/docker/driver.h"
#include "drivers/docker/run.h"

namespace sluice::drivers {

using orchestrator::DriverHealth;
using orchestrator::FoundTask;
using orchestrator::TaskHandle;
using orchestrator::TaskStats;

/// Whether Docker is there; at first it gets a moment to say so.
Task<bool> DockerDriver::connected() {
  auto wait = [](Event& event) -> Task<Result<void>> {
    co_await event.wait();
    co_return Result<void>();
  };
  if (!tried_.is_set()) {
    (void)co_await with_timeout(env_.executor, options_.connect_wait_ms, wait(tried_));
  }
  co_return connected_.is_set();
}

Task<DriverHealth> DockerDriver::fingerprint() {
  DriverHealth health;
  health.detected = options_.expected || connection_ > 0;
  const bool followed = co_await connected();
  // Asks without negotiating: the version that is spoken changes only where the events are watched.
  auto version = co_await api_.call({.target = "/version", .doing = "ask for Docker's version"});
  if (!version) {
    health.description = version.error().message;
    co_return health;
  }
  health.detected = true;
  auto info = co_await api_.call({.target = "/info", .doing = "ask for Docker's state"});
  if (!info) {
    health.description = info.error().message;
    co_return health;
  }
  health.healthy = followed;
  health.description = followed ? "Healthy" : "Docker answers; its events are not followed yet";
  auto& attributes = health.attributes;
  attributes["driver.docker"] = "1";
  attributes["driver.docker.version"] = version->get_string("Version");
  attributes["driver.docker.api_version"] = version->get_string("ApiVersion");
  attributes["driver.docker.os_type"] = info->get_string("OSType");
  attributes["driver.docker.cgroup_version"] = info->get_string("CgroupVersion");
  attributes["driver.docker.privileged.enabled"] =
      options_.policy.allow_privileged ? "true" : "false";
  attributes["driver.docker.volumes.enabled"] =
      options_.policy.allow_host_volumes ? "true" : "false";
  co_return health;
}

Task<Result<std::vector<FoundTask>>> DockerDriver::list() {
  auto containers = co_await api_.call(
      {.target = "/containers/json?all=true&filters=" + query_value(label_filters(options_.owner)),
       .doing = "list our containers"});
  if (!containers) co_return pass(containers);
  std::vector<FoundTask> found;
  if (!containers->is_array()) co_return found;
  for (const Json& item : containers->as_array()) {
    const Json* labels = item.find("Labels");
    auto key = labels ? key_of_labels(*labels, options_.owner) : std::nullopt;
    if (!key) continue;
    std::string_view state = item.get_string("State");
    found.push_back({.handle = {.key = *key,
                                .driver = std::string(name()),
                                .state = Json::object({{kContainerId, item.get_string("Id")},
                                                       {"image_id", item.get_string("ImageID")}})},
                     .running = state != "exited" && state != "dead" && state != "created"});
  }
  co_return found;
}

Task<Result<TaskStats>> DockerDriver::stats(const TaskHandle& handle) {
  const std::string id = container_of(handle);
  auto answer =
      co_await api_.call({.target = "/containers/" + id + "/stats?stream=false",
                          .doing = "ask for the statistics of container " + short_id(id)});
  if (!answer) co_return pass(answer);
  co_return parse_stats(*answer);
}

Task<Result<void>> DockerDriver::confine(const TaskHandle& handle, const Json& config,
                                         const std::string& cpus) {
  auto decoded = decode_docker_config(config);
  if (!decoded) co_return pass(decoded);
  if (!decoded->cpuset_cpus.empty()) co_return Result<void>();  // the job has chosen
  const std::string id = container_of(handle);
  auto updated = co_await api_.call({.method = "POST",
                                     .target = "/containers/" + id + "/update",
                                     .body = Json::object({{"CpusetCpus", cpus}}),
                                     .doing = "change the cores of container " + short_id(id)});
  if (!updated) co_return pass(updated);
  co_return Result<void>();
}

Task<Result<orchestrator::HealthReport>> DockerDriver::health_change(
    const TaskHandle& handle, orchestrator::TaskHealth seen) {
  const std::string id = container_of(handle);
  Use run(*this, handle.key, id);
  while (true) {
    const uint64_t changes = run->changes;
    auto state = co_await inspect(id);
    if (!state && state.error().code != Code::kUnavailable) co_return pass(state);
    if (state && state->running && state->health.health != seen) co_return state->health;
    if (run->changes == changes) co_await run->changed.wait();
  }
}

void DockerDriver::look_at_all() {
  for (const auto& [key, run] : runs_) run->look();
}

Task<void> DockerDriver::look_again() {
  while (true) {
    co_await sleep_for(env_.executor, options_.look_again_ms);
    look_at_all();
  }
}

void DockerDriver::on_event(const Json& event) {
  const Json* actor = event.find("Actor");
  if (!actor) return;
  std::string_view id = actor->get_string("ID");
  const std::string_view action = event.get_string("Action");
  const Json* attributes = actor->find("Attributes");
  const std::string_view signal = attributes ? attributes->get_string("signal") : "";
  for (const auto& [key, run] : runs_) {
    if (run->container_id != id) continue;
    if (action == "kill" && !run->stop_asked && (signal == "15" || signal == "9")) {
      run->kill_at_ns = event.get_int("timeNano");
      // One that was killed ends what it left while it comes up, and tells of it once it answers.
      const bool while_away = connection_ > 1 && run->kill_at_ns < connected_at_ns_;
      run->kill_connection = while_away ? connection_ - 1 : connection_;
    }
    run->look();
  }
}

Task<Result<void>> DockerDriver::read_events(HttpExchange& events) {
  constexpr size_t kMaxEventBytes = 1 << 20;
  std::string pending;
  while (true) {
    auto bytes = co_await events.read();
    if (!bytes) co_return pass(bytes);
    if (bytes->empty()) co_return fail(Code::kClosed, "Docker ended its stream of events");
    pending += *bytes;
    size_t begin = 0;
    for (size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (auto event = parse_json(std::string_view(pending).substr(begin, end - begin))) {
        on_event(*event);
      }
    }
    pending.erase(0, begin);
    if (pending.size() > kMaxEventBytes)
      co_return fail(Code::kLimit, "an event of Docker is too long");
  }
}

Task<void> DockerDriver::watch_events() {
  int64_t delay_ms = options_.reconnect_min_ms;
  std::string said;
  while (true) {
    Result<void> lost;
    if (auto version = co_await api_.negotiate(); !version) {
      lost = pass(version);
    } else {
      std::string target = "/events?filters=" + query_value(label_filters(options_.owner));
      if (lost_at_ns_ != 0) {
        target += fmt::format("&since={}.{:09}", lost_at_ns_ / 1'000'000'000,
                              lost_at_ns_ % 1'000'000'000);
      }
      auto events =
          co_await api_.stream({.target = std::move(target), .doing = "follow Docker's events"});
      if (!events) {
        lost = pass(events);
      } else {
        log_.info("docker: connected to Docker {}, API {}", version->engine, version->api);
        ++connection_;
        connected_at_ns_ = env_.executor.wall_ns();
        connected_.set();
        tried_.set();
        said.clear();
        delay_ms = options_.reconnect_min_ms;
        look_at_all();
        lost = co_await read_events(**events);
        lost_at_ns_ = env_.executor.wall_ns();
      }
    }
    connected_.clear();
    tried_.set();
    if (said != lost.error().message) {
      said = lost.error().message;
      log_.warn("docker: {}", said);
    }
    look_at_all();
    co_await sleep_for(env_.executor, delay_ms + static_cast<int64_t>(env_.random.below(
                                                     static_cast<uint64_t>(delay_ms / 2 + 1))));
    delay_ms = std::min(delay_ms * 2, options_.reconnect_max_ms);
  }
}

}  // namespace sluice::drivers
