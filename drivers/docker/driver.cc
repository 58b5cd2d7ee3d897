#include "drivers/docker/driver.h"

#include <utility>

#include "drivers/docker/config.h"
#include "drivers/docker/run.h"
#include "drivers/docker/session.h"

namespace sluice::drivers {

using orchestrator::TaskEvents;
using orchestrator::TaskHandle;
using orchestrator::TaskKey;
using orchestrator::TaskSpec;

namespace {

constexpr int64_t kAfterKillMs = 30'000;
constexpr int kNameAttempts = 5;
constexpr int64_t kNameRetryMs = 200;

}  // namespace

DockerDriver::DockerDriver(Env env, Log& log, DockerOptions options)
    : env_(env),
      log_(log),
      options_(std::move(options)),
      api_(env_.executor, env_.network, options_.socket),
      image_gc_(env_, log_, api_, options_.image_gc),
      images_(env_.executor, api_, image_gc_, options_.credentials),
      connected_(env_.executor),
      tried_(env_.executor),
      scope_(env_.executor) {
  scope_.spawn(watch_events());
  scope_.spawn(look_again());
}

DockerDriver::~DockerDriver() {
  scope_.cancel_all();
}

Result<void> DockerDriver::validate(const Json& config) const {
  auto decoded = decode_docker_config(config);
  if (!decoded) return pass(decoded);
  auto image = parse_image_ref(decoded->image);
  // A name that is still to be interpolated cannot be judged yet.
  if (!image && decoded->image.find("${") == std::string::npos) return pass(image);
  return {};
}

Task<Result<ContainerState>> DockerDriver::inspect(std::string id) {
  auto body = co_await api_.call(
      {.target = "/containers/" + id + "/json", .doing = "inspect container " + short_id(id)});
  if (!body) co_return pass(body);
  co_return parse_inspect(*body, options_.owner);
}

/// The container of exactly this run.
Task<Result<std::optional<ContainerState>>> DockerDriver::find(const TaskKey& key) {
  std::string filters = label_filters(options_.owner, &key);
  auto found =
      co_await api_.call({.target = "/containers/json?all=true&filters=" + query_value(filters),
                          .doing = fmt::format("look for containers of task {}", key.task)});
  if (!found) co_return pass(found);
  if (!found->is_array()) co_return std::nullopt;
  for (const Json& item : found->as_array()) {
    const Json* labels = item.find("Labels");
    if (!labels || key_of_labels(*labels, options_.owner) != key) continue;
    auto state = co_await inspect(std::string(item.get_string("Id")));
    if (!state && state.error().code == Code::kNotFound) continue;
    if (!state) co_return pass(state);
    co_return *std::move(state);
  }
  co_return std::nullopt;
}

void DockerDriver::take_up(Run& run, const TaskSpec& spec, bool tty) {
  run.oneshot = spec.oneshot;
  if (run.logs) return;
  run.log_options = {.folder = spec.log_folder,
                     .task = spec.key.task,
                     .max_files = spec.log_max_files,
                     .max_file_bytes = spec.log_max_file_bytes,
                     .container_id = run.container_id,
                     .tty = tty};
  run.logs = std::make_unique<LogPump>(env_, log_, api_, run.log_options);
}

TaskHandle DockerDriver::handle_of(const TaskSpec& spec, const ContainerState& state) const {
  return {.key = spec.key,
          .driver = std::string(name()),
          .state = Json::object({{kContainerId, state.id}, {"image_id", state.image}})};
}

/// Makes the name free: a container of ours from an earlier run goes, one of somebody else is an
/// error.
Task<Result<void>> DockerDriver::clear_name(std::string name, const TaskKey& key,
                                            const TaskEvents& on_event) {
  auto holder = co_await inspect(name);
  if (!holder && holder.error().code == Code::kNotFound) co_return Result<void>();
  if (!holder) co_return pass(holder);
  if (!holder->key) {
    co_return fail(Code::kConflict,
                   "container name \"{}\" is taken by container {}, which is not ours; remove or "
                   "rename it",
                   name, short_id(holder->id));
  }
  if (holder->key->run > key.run) {
    co_return fail(Code::kConflict, "container \"{}\" already runs start {} of the task, after {}",
                   name, holder->key->run, key.run);
  }
  on_event(fmt::format("Removing the container of an earlier start ({})", short_id(holder->id)));
  co_return co_await remove_container(holder->id);
}

Task<Result<std::string>> DockerDriver::create(const TaskSpec& spec, const DockerConfig& config,
                                               const TaskEvents& on_event) {
  const std::string name = container_name(spec.key);
  auto body = create_body(spec, config, options_.policy);
  if (!body) co_return pass(body);
  Result<Json> created;
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    created = co_await api_.call({.method = "POST",
                                  .target = "/containers/create?name=" + query_value(name),
                                  .body = *body,
                                  .doing = "create container " + name});
    if (created) co_return std::string(created->get_string("Id"));
    if (created.error().code != Code::kConflict) co_return pass(created);
    if (auto cleared = co_await clear_name(name, spec.key, on_event); !cleared) {
      co_return pass(cleared);
    }
    if (attempt > 0) co_await sleep_for(env_.executor, kNameRetryMs << attempt);
  }
  co_return pass(created);
}

Task<Result<void>> DockerDriver::start_container(const std::string& id, const std::string& name) {
  auto started = co_await api_.call({.method = "POST",
                                     .target = "/containers/" + id + "/start",
                                     .doing = "start container " + name});
  if (!started) co_return pass(started);
  co_return Result<void>();
}

Task<Result<TaskHandle>> DockerDriver::start(const TaskSpec& spec, TaskEvents on_event) {
  auto config = decode_docker_config(spec.config);
  if (!config) co_return pass(config);
  if (!co_await connected()) {
    co_return fail(Code::kUnavailable, "Docker does not answer on {}", to_string(options_.socket));
  }
  auto found = co_await find(spec.key);
  if (!found) co_return pass(found);
  std::string id;
  std::optional<ImageGc::Need> needed;
  if (*found) {
    id = (*found)->id;
  } else {
    auto ref = parse_image_ref(config->image);
    if (!ref) co_return pass(ref);
    needed.emplace(image_gc_, ref->text());
    auto image = co_await images_.ensure(*config, on_event);
    if (!image) co_return pass(image);
    auto created = co_await create(spec, *config, on_event);
    if (!created) co_return pass(created);
    id = *std::move(created);
  }
  if (!*found || (*found)->status == "created") {
    auto started = co_await start_container(id, container_name(spec.key));
    if (!started) {
      // What did not start is not kept; where Docker went away it is found by its labels next time.
      if (started.error().code != Code::kUnavailable) (void)co_await remove_container(id);
      co_return pass(started);
    }
  }
  auto state = co_await inspect(id);
  if (!state) co_return pass(state);
  Use run(*this, spec.key, state->id);
  if (state->running) run->seen_running = connection_;
  take_up(*run, spec, state->tty);
  co_return handle_of(spec, *state);
}

Task<Result<void>> DockerDriver::recover(const TaskHandle& handle, const TaskSpec& spec) {
  auto state = co_await inspect(container_of(handle));
  if (!state) co_return pass(state);
  if (!state->key || *state->key != handle.key) {
    co_return fail(Code::kNotFound, "container {} is not that of task {}", short_id(state->id),
                   handle.key.task);
  }
  Use run(*this, handle.key, state->id);
  take_up(*run, spec, state->tty);
  co_return Result<void>();
}

Task<Result<void>> DockerDriver::kill(std::string id, std::string signal) {
  auto killed = co_await api_.call(
      {.method = "POST",
       .target = fmt::format("/containers/{}/kill?signal={}", id, query_value(signal)),
       .doing = fmt::format("send {} to container {}", signal, short_id(id))});
  if (!killed) co_return pass(killed);
  co_return Result<void>();
}

/// Ready once the container does not run.
Task<Result<void>> DockerDriver::ended(Run& run) {
  while (true) {
    const uint64_t seen = run.changes;
    auto state = co_await inspect(run.container_id);
    if (!state && state.error().code == Code::kNotFound) co_return Result<void>();
    if (!state) co_return pass(state);
    if (!state->running) co_return Result<void>();
    if (run.changes == seen) co_await run.changed.wait();
  }
}

Task<Result<bool>> DockerDriver::ended_within(Run& run, int64_t limit_ms) {
  auto done = co_await with_timeout(env_.executor, limit_ms, ended(run));
  if (done) co_return true;
  if (done.error().code == Code::kTimeout) co_return false;
  co_return pass(done);
}

Task<Result<void>> DockerDriver::stop(const TaskHandle& handle, const std::string& kill_signal,
                                      int64_t kill_timeout_ms) {
  Use run(*this, handle.key, container_of(handle));
  run->stop_asked = true;
  auto state = co_await inspect(run->container_id);
  if (!state && state.error().code == Code::kNotFound) co_return Result<void>();
  if (!state) co_return pass(state);
  if (!state->running) co_return Result<void>();
  const std::string first = kill_signal.empty() ? "SIGTERM" : kill_signal;
  for (const std::string& name : {first, std::string("SIGKILL")}) {
    auto killed = co_await kill(run->container_id, name);
    // It may have ended by itself meanwhile; then there is nothing to tell.
    bool gone = !killed &&
                (killed.error().code == Code::kNotFound || killed.error().code == Code::kConflict);
    if (!killed && !gone) {
      // A signal that Docker does not know must not keep the task alive.
      if (name == "SIGKILL" || killed.error().code == Code::kUnavailable) co_return pass(killed);
      log_.warn("docker: {}; sending SIGKILL", killed.error().message);
      continue;
    }
    auto done = co_await ended_within(*run, name == "SIGKILL" ? kAfterKillMs : kill_timeout_ms);
    if (!done) co_return pass(done);
    if (*done) co_return Result<void>();
  }
  co_return fail(Code::kTimeout, "container {} still runs {} ms after SIGKILL",
                 short_id(run->container_id), kAfterKillMs);
}

Task<Result<void>> DockerDriver::signal(const TaskHandle& handle, const std::string& name) {
  co_return co_await kill(container_of(handle), name);
}

Task<Result<std::unique_ptr<orchestrator::ExecSession>>> DockerDriver::exec(
    const TaskHandle& handle, const TaskSpec&, orchestrator::ExecRequest request) {
  co_return co_await DockerSession::open(env_.executor, api_, container_of(handle),
                                         std::move(request));
}

/// Until it is gone. Somebody else may be removing it at the same time.
Task<Result<void>> DockerDriver::remove_container(std::string id) {
  for (int attempt = 0;; ++attempt) {
    auto removed = co_await api_.call({.method = "DELETE",
                                       .target = "/containers/" + id + "?v=true&force=true",
                                       .doing = "remove container " + short_id(id)});
    if (removed || removed.error().code == Code::kNotFound) co_return Result<void>();
    bool again = removed.error().code == Code::kConflict || removed.error().code == Code::kInternal;
    if (!again || attempt + 1 >= kNameAttempts) co_return pass(removed);
    co_await sleep_for(env_.executor, kNameRetryMs << attempt);
  }
}

Task<Result<void>> DockerDriver::remove(const TaskHandle& handle) {
  const std::string id = container_of(handle);
  Use run(*this, handle.key, id);
  auto state = co_await inspect(id);
  if (state && state->ended()) co_await await_logs(*run);
  auto removed = co_await remove_container(id);
  if (!removed) co_return pass(removed);
  run->removed = true;
  run->logs.reset();
  run->look();
  co_return Result<void>();
}

Task<Result<orchestrator::TaskNetwork>> DockerDriver::network(const TaskHandle& handle) {
  auto state = co_await inspect(container_of(handle));
  if (!state) co_return pass(state);
  co_return state->network;
}

}  // namespace sluice::drivers
