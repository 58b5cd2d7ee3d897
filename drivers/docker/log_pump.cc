#include "drivers/docker/log_pump.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/civil_time.h"
#include "drivers/docker/container.h"

namespace sluice::drivers {
namespace {

constexpr int64_t kCheckpointEveryMs = 2'000;
constexpr int64_t kRetryMinMs = 100;
constexpr int64_t kRetryMaxMs = 1'000;
constexpr int64_t kDiskRetryMs = 1'000;
// Behind by so much, and by more than the agent's start or a slow moment explains.
constexpr int64_t kFarNs = 500'000'000;
constexpr uint64_t kFarBytes = 1 << 20;
constexpr int64_t kNearNs = 100'000'000;
constexpr int64_t kQuietMs = 250;
constexpr int64_t kHoldRetryMs = 1'000;

std::string time_text(int64_t unix_ns) {
  return date_time_text(to_civil(unix_ns / 1'000'000'000)) + "Z";
}

}  // namespace

LogPump::LogPump(Env& env, Log& log, DockerApi& api, LogCopyOptions options)
    : env_(env),
      log_(log),
      api_(api),
      options_(std::move(options)),
      finished_(env.executor),
      scope_(env.executor) {
  scope_.spawn(run());
}

Task<std::unique_ptr<LogCopy>> LogPump::open_copy() {
  bool said = false;
  while (true) {
    auto copy =
        co_await on_pool(env_.executor, [options = options_] { return LogCopy::open(options); });
    if (copy) co_return *std::move(copy);
    if (!said && copy.error().code != Code::kConflict) {
      log_.warn("docker: logs of task {}: {}; trying again", options_.task, copy.error().message);
      said = true;
    }
    co_await sleep_for(env_.executor,
                       copy.error().code == Code::kConflict ? kRetryMinMs : kDiskRetryMs);
  }
}

/// Does not give up: while the disk is full the stream waits, and Docker keeps what it has.
Task<Result<void>> LogPump::write(std::string bytes) {
  bool checkpoint = env_.executor.now_ms() >= checkpoint_at_ms_;
  if (checkpoint) checkpoint_at_ms_ = env_.executor.now_ms() + kCheckpointEveryMs;
  const int64_t now_ns = env_.executor.wall_ns();
  using Back = std::pair<std::unique_ptr<LogCopy>, Result<void>>;
  for (bool said = false;; said = true) {
    Back back = co_await on_pool(env_.executor, [copy = std::move(copy_), bytes = std::move(bytes),
                                                 checkpoint, now_ns]() mutable {
      Result<void> done = copy->feed(bytes, now_ns);
      if (done && checkpoint) done = copy->checkpoint();
      return Back(std::move(copy), std::move(done));
    });
    copy_ = std::move(back.first);
    bytes.clear();
    if (const auto gap = copy_->take_gap()) say_gap(*gap);
    if (back.second || back.second.error().code == Code::kInvalid ||
        back.second.error().code == Code::kLimit) {
      co_return std::move(back.second);
    }
    if (!said)
      log_.error("docker: logs of task {}: {}", options_.task, back.second.error().message);
    co_await sleep_for(env_.executor, kDiskRetryMs);
  }
}

/// Docker keeps two files of a limited size, and nobody held the task while no agent was there.
void LogPump::say_gap(const LogCopy::Gap& gap) {
  log_.warn(
      "docker: logs of task {}: output is lost between {} and {}: Docker had rotated it away "
      "before "
      "it was copied",
      options_.task, time_text(gap.from_ns), time_text(gap.to_ns));
}

Task<Result<bool>> LogPump::container_ended() {
  auto body = co_await api_.call({.target = "/containers/" + options_.container_id + "/json",
                                  .doing = "inspect container " + options_.container_id});
  if (!body) {
    if (body.error().code == Code::kNotFound) co_return true;
    co_return pass(body);
  }
  auto state = parse_inspect(*body, {});
  if (!state) co_return pass(state);
  co_return state->ended();
}

Task<LogPump::Outcome> LogPump::copy_stream(bool follow) {
  std::string since = copy_->begin_stream();
  std::string target =
      fmt::format("/containers/{}/logs?stdout=true&stderr=true&timestamps=true&follow={}{}{}",
                  options_.container_id, follow, since.empty() ? "" : "&since=", since);
  auto stream = co_await api_.stream(
      {.target = std::move(target), .doing = "read the logs of task " + options_.task});
  if (!stream) {
    Code code = stream.error().code;
    if (code == Code::kUnavailable) co_return Outcome::kAgain;
    // Gone, or just going: there is nothing more to be had.
    const bool removed = code == Code::kNotFound || code == Code::kConflict;
    if (!removed) log_.warn("docker: {}", stream.error().message);
    co_return Outcome::kNeverAgain;
  }
  stream_bytes_ = 0;
  while (true) {
    auto bytes = co_await (*stream)->read();
    if (!bytes) co_return Outcome::kAgain;
    if (bytes->empty()) co_return Outcome::kDone;
    ++progress_;
    stream_bytes_ += bytes->size();
    if (auto written = co_await write(*std::move(bytes)); !written) {
      log_.warn("docker: logs of task {}: {}", options_.task, written.error().message);
      co_return Outcome::kAgain;
    }
    ++progress_;
    if (follow) co_await keep_near();
  }
}

/// Holds the task where it is too far ahead, and lets it go again.
Task<void> LogPump::keep_near() {
  const int64_t behind_ns = env_.executor.wall_ns() - copy_->newest_ns();
  if (behind_ns < kNearNs) held_.reset();
  if (!held_ && behind_ns > kFarNs && stream_bytes_ > kFarBytes) co_await hold();
}

Task<void> LogPump::hold() {
  if (env_.executor.now_ms() < hold_again_at_ms_) co_return;
  std::string early;  // not read, as all that follows
  auto attached = co_await api_.hijack({.method = "POST",
                                        .target = "/containers/" + options_.container_id +
                                                  "/attach?stream=true&stdout=true&stderr=true",
                                        .doing = "attach to task " + options_.task},
                                       early);
  if (!attached) {  // it may have ended
    hold_again_at_ms_ = env_.executor.now_ms() + kHoldRetryMs;
    co_return;
  }
  log_.debug("docker: task {} waits for its output to be copied", options_.task);
  held_ = *std::move(attached);
  if (!watching_) scope_.spawn(let_go_when_quiet());
}

/// Once it waits, all that it wrote has come, and nothing tells that but that no more comes.
Task<void> LogPump::let_go_when_quiet() {
  watching_ = true;
  while (held_) {
    const uint64_t seen = progress_;
    co_await sleep_for(env_.executor, kQuietMs);
    if (seen == progress_) held_.reset();
  }
  watching_ = false;
}

Task<void> LogPump::run() {
  copy_ = co_await open_copy();
  int64_t delay_ms = kRetryMinMs;
  Outcome outcome = Outcome::kAgain;
  while (outcome != Outcome::kNeverAgain) {
    int64_t begun_ms = env_.executor.now_ms();
    outcome = co_await copy_stream(/*follow=*/true);
    held_.reset();
    if (outcome == Outcome::kNeverAgain) break;
    auto ended = co_await container_ended();
    if (ended && *ended) {
      // A following stream may end a little before the last lines are in Docker's file.
      outcome = co_await copy_stream(/*follow=*/false);
      if (outcome != Outcome::kAgain) break;
    }
    if (env_.executor.now_ms() - begun_ms > kRetryMaxMs) delay_ms = kRetryMinMs;
    co_await sleep_for(env_.executor, delay_ms);
    delay_ms = std::min(delay_ms * 2, kRetryMaxMs);
  }
  checkpoint_at_ms_ = 0;
  (void)co_await write("");
  if (copy_->mismatches() > 0) {
    log_.warn(
        "docker: logs of task {}: Docker no longer had {} stretches that were copied before; "
        "lines may be there twice",
        options_.task, copy_->mismatches());
  }
  copy_.reset();
  finished_.set();
}

}  // namespace sluice::drivers
