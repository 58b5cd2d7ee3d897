// The part of the docker driver that waits for a run's end, and judges whether it was one: a
// container that ended because dockerd did is started again.
#include <fmt/format.h>

#include <utility>

#include "drivers/docker/driver.h"
#include "drivers/docker/run.h"

namespace sluice::drivers {

using orchestrator::TaskExit;
using orchestrator::TaskHandle;

namespace {

constexpr int64_t kHearOfLossMs = 200;
constexpr int64_t kClockSlackNs = 1'000'000'000;
// Docker follows SIGTERM by SIGKILL after ten seconds, where the container says nothing else.
constexpr int64_t kEndsAfterKillNs = 60'000'000'000;

}  // namespace

/// Until all of its output is written, or nothing has moved for log_stall_ms. While Docker is away
/// what it keeps is not lost.
Task<void> DockerDriver::await_logs(Run& run) {
  if (!run.logs || run.stalled == run.logs.get()) co_return;
  auto finished = [](Event& event) -> Task<Result<void>> {
    co_await event.wait();
    co_return Result<void>();
  };
  for (;;) {
    const uint64_t progress = run.logs->progress();
    auto drained =
        co_await with_timeout(env_.executor, options_.log_stall_ms, finished(run.logs->finished()));
    if (drained) co_return;
    if (connected_.is_set() && run.logs->progress() == progress) break;
  }
  run.stalled = run.logs.get();
  run.output_missing = fmt::format(
      "The end of the task's output may be missing: for {} ms no more of it could be written",
      options_.log_stall_ms);
  log_.warn("docker: task {}: {}", run.key.task, run.output_missing);
}

/// Whether the dockerd that runs now found it ended: it was started by an earlier one, and its end
/// was at the latest that one's. What dockerd says of itself holds no time of its start; but the
/// default bridge network is made anew whenever it starts (and not where containers outlive it,
/// which live-restore does).
Task<bool> DockerDriver::of_an_earlier_dockerd(const ContainerState& state) {
  auto info = co_await api_.call({.target = "/info", .doing = "ask for Docker's state"});
  if (!info || info->get_bool("LiveRestoreEnabled")) co_return false;
  auto bridge =
      co_await api_.call({.target = "/networks/bridge", .doing = "ask since when dockerd runs"});
  if (!bridge) co_return false;  // dockerd --bridge=none: it cannot be told
  const int64_t begun_ns = parse_time_ns(bridge->get_string("Created")).value_or(0);
  co_return state.started_at_ns < begun_ns;
}

/// Whether it ended because dockerd did: dockerd ends its containers by SIGTERM when it is told to
/// end (after it has closed its socket, and with events that say so), and after a crash those that
/// it finds, while it comes up.
///
/// While no agent watched, a task's own end and the one that dockerd gave it look the same: dockerd
/// keeps no events of before its start, and notes in the container's state neither its signal nor
/// its own end. A task that ended by itself before dockerd did is then started once more without
/// using up an attempt: once a start of dockerd, for from then on it is that one's. Not one whose
/// work may be done (`oneshot` and a success): that must not be done twice.
Task<bool> DockerDriver::ended_with_docker(Run& run, const ContainerState& state) {
  if (run.stop_asked || state.oom_killed) co_return false;
  const bool done = run.oneshot && state.exit_code == 0;
  if (run.seen_running == 0) co_return !done && co_await of_an_earlier_dockerd(state);
  const auto in_gap = [&] {
    return run.seen_running < connection_ && state.finished_at_ns >= lost_at_ns_ - kClockSlackNs;
  };
  // That Docker went away, or what it did meanwhile, may not have been heard of yet.
  const bool signalled = run.kill_at_ns != 0 && run.kill_connection == connection_;
  if (signalled || (run.kill_at_ns == 0 && in_gap())) {
    co_await sleep_for(env_.executor, kHearOfLossMs);
  }
  co_await connected_.wait();
  const bool killed = run.kill_at_ns != 0 && run.kill_connection < connection_ &&
                      state.finished_at_ns >= run.kill_at_ns - kClockSlackNs &&
                      state.finished_at_ns <= run.kill_at_ns + kEndsAfterKillNs;
  co_return killed || (in_gap() && !done);
}

Task<bool> DockerDriver::start_again(Run& run) {
  run.kill_at_ns = 0;
  run.seen_running = connection_;
  co_await await_logs(run);
  auto started = co_await start_container(run.container_id, container_name(run.key));
  if (!started) {
    log_.warn("docker: task {}, whose container ended with dockerd: {}", run.key.task,
              started.error().message);
    co_return false;
  }
  log_.info("docker: started the container of task {} again, which had ended with dockerd",
            run.key.task);
  if (run.logs) run.logs = std::make_unique<LogPump>(env_, log_, api_, run.log_options);
  run.stalled = nullptr;
  co_return true;
}

Task<Result<TaskExit>> DockerDriver::wait(const TaskHandle& handle) {
  const std::string id = container_of(handle);
  Use run(*this, handle.key, id);
  while (true) {
    const uint64_t seen = run->changes;
    auto state = co_await inspect(id);
    if (!state && state.error().code == Code::kNotFound) {
      TaskExit exit{.exit_code = -1, .finished_at_ns = env_.executor.wall_ns()};
      exit.error = fmt::format("container {} was removed behind our back", short_id(id));
      co_return exit;
    }
    if (state && state->running) run->seen_running = connection_;
    if (state && state->ended()) {
      if (co_await ended_with_docker(*run, *state) && co_await start_again(*run)) continue;
      co_await await_logs(*run);
      TaskExit exit{.exit_code = state->exit_code,
                    .oom_killed = state->oom_killed,
                    .finished_at_ns = state->finished_at_ns,
                    .output_missing = run->output_missing};
      if (!state->error.empty()) exit.error = state->error;
      co_return exit;
    }
    if (!state && state.error().code != Code::kUnavailable) co_return pass(state);
    if (run->changes == seen) co_await run->changed.wait();
  }
}

}  // namespace sluice::drivers
