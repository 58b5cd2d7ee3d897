#include "drivers/docker/session.h"

#include <array>

#include "core/json_strings.h"
#include "core/scope.h"
#include "drivers/docker/frames.h"

namespace sluice::drivers {

namespace {

constexpr size_t kReadBytes = 16 * 1024;
constexpr int64_t kExitPollMs = 20;

std::string size_query(uint16_t rows, uint16_t columns) {
  return "?h=" + std::to_string(rows) + "&w=" + std::to_string(columns);
}

}  // namespace

Task<Result<std::unique_ptr<orchestrator::ExecSession>>> DockerSession::open(
    Executor& executor, DockerApi& api, std::string container_id,
    orchestrator::ExecRequest request) {
  const std::string doing =
      "run " + request.command.front() + " in container " + container_id.substr(0, 12);
  const bool terminal = request.terminal;
  auto made = co_await api.call({.method = "POST",
                                 .target = "/containers/" + container_id + "/exec",
                                 .body = Json::object({{"AttachStdin", true},
                                                       {"AttachStdout", true},
                                                       {"AttachStderr", true},
                                                       {"Tty", terminal},
                                                       {"Cmd", string_list(request.command)}}),
                                 .doing = doing});
  if (!made) co_return pass(made);
  std::string id(made->get_string("Id"));
  std::string early;
  auto stream = co_await api.hijack({.method = "POST",
                                     .target = "/exec/" + id + "/start",
                                     .body = Json::object({{"Detach", false}, {"Tty", terminal}}),
                                     .doing = doing},
                                    early);
  if (!stream) co_return pass(stream);
  auto session = std::make_unique<DockerSession>(executor, api, std::move(id), terminal,
                                                 *std::move(stream), std::move(early));
  // A command that is over already has no size.
  (void)co_await session->resize(request.rows, request.columns);
  co_return std::unique_ptr<orchestrator::ExecSession>(std::move(session));
}

DockerSession::DockerSession(Executor& executor, DockerApi& api, std::string id, bool terminal,
                             std::unique_ptr<Stream> stream, std::string early_bytes)
    : executor_(executor),
      api_(api),
      id_(std::move(id)),
      terminal_(terminal),
      stream_(std::move(stream)),
      unread_(std::move(early_bytes)) {}

Result<void> DockerSession::take_frames() {
  if (terminal_) {
    if (!unread_.empty()) pieces_.push_back({.errors = false, .bytes = std::move(unread_)});
    unread_.clear();
    return {};
  }
  for (;;) {
    Result<std::optional<LogFrame>> frame = parse_log_frame(unread_);
    if (!frame) return pass(frame);
    if (!*frame) return {};
    // An empty piece says that the stream has ended; an empty frame does not.
    if (!(*frame)->payload.empty()) {
      pieces_.push_back({.errors = (*frame)->stream == LogStream::kStderr,
                         .bytes = std::string((*frame)->payload)});
    }
    unread_.erase(0, (*frame)->size);
  }
}

Task<Result<std::optional<orchestrator::ExecSession::Piece>>> DockerSession::read() {
  for (;;) {
    if (Result<void> taken = take_frames(); !taken) co_return pass(taken);
    if (!pieces_.empty()) {
      Piece piece = std::move(pieces_.front());
      pieces_.pop_front();
      co_return std::optional(std::move(piece));
    }
    if (ended_) co_return std::optional<Piece>();
    std::array<char, kReadBytes> buffer;
    Result<size_t> got = co_await stream_->read(buffer);
    if (!got) co_return pass(got);
    unread_.append(buffer.data(), *got);
    if (*got > 0) continue;
    ended_ = true;
    pieces_.push_back({.errors = false, .bytes = {}});
    if (!terminal_) pieces_.push_back({.errors = true, .bytes = {}});
  }
}

Task<Result<void>> DockerSession::write(std::string_view input) {
  return stream_->write(input);
}

Result<void> DockerSession::end_input() {
  return stream_->shutdown_write();
}

Task<Result<void>> DockerSession::resize(uint16_t rows, uint16_t columns) {
  if (!terminal_) co_return Result<void>();
  auto done = co_await api_.call({.method = "POST",
                                  .target = "/exec/" + id_ + "/resize" + size_query(rows, columns),
                                  .doing = "resize a terminal"});
  if (!done) co_return pass(done);
  co_return Result<void>();
}

Task<Result<int64_t>> DockerSession::wait() {
  for (;;) {
    auto state =
        co_await api_.call({.target = "/exec/" + id_ + "/json", .doing = "look at a command"});
    if (!state) co_return pass(state);
    // The output's end comes a moment before Docker has noted the exit.
    if (!state->get_bool("Running")) co_return state->get_int("ExitCode");
    co_await sleep_for(executor_, kExitPollMs);
  }
}

}  // namespace sluice::drivers
