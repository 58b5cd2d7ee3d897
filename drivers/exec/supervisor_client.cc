#include "drivers/exec/supervisor_client.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "drivers/exec/images.h"

namespace sluice::drivers::exec {
namespace {

constexpr int64_t kConnectTimeoutMs = 5'000;
constexpr int64_t kCallTimeoutMs = 10'000;
constexpr int64_t kFirstPauseMs = 50;
constexpr int64_t kLongestPauseMs = 5'000;
constexpr int kUpgradeLooks = 100;  // of 50 ms
constexpr int kBusyExit = 3;        // another supervisor has the folder: as good
constexpr std::string_view kSocketName = "/socket";
constexpr size_t kSocketPathBytes = 107;  // sockaddr_un

std::string image_name() {
  static const std::string name = "sluice-supervisor-" + image_id(supervisor_image());
  return name;
}

/// In a pool thread: installs and executes the supervisor, and waits until it listens.
Result<void> spawn_supervisor(const std::string& folder) {
  auto image = install_image(folder + "/bin", image_name(), supervisor_image());
  if (!image) return pass(image, "install the supervisor");
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  // A session of its own: what ends the agent does not reach it.
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  std::string build = image_id(supervisor_image());
  std::array<const char*, 6> argv = {"sluice-supervisor", "--dir",       folder.c_str(),
                                     "--build",           build.c_str(), nullptr};
  // Nothing of the agent's environment, which may hold tokens; sanitizers take their options there.
  std::array<std::string, 2> kept;
  std::array<char*, 3> environment{};
  size_t count = 0;
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS"}) {
    const char* value = getenv(name);
    if (value == nullptr) continue;
    kept[count] = std::string(name) + "=" + value;
    environment[count] = kept[count].data();
    ++count;
  }
  pid_t pid = 0;
  int error_number = posix_spawn(&pid, image->c_str(), &files, &attributes,
                                 const_cast<char* const*>(argv.data()), environment.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error_number != 0) return fail_errno(error_number, "exec " + *image);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno == EINTR) continue;
    return {};  // SIGCHLD is ignored: connecting tells
  }
  if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == kBusyExit))
    return {};
  return fail(Code::kUnavailable,
              "the supervisor did not start (status {:#x}); see {}/supervisor.log", status, folder);
}

Result<Message> checked(Message reply) {
  std::optional<Error> error = reply_error(reply);
  if (error) return std::unexpected(std::move(*error));
  return reply;
}

/// The peer went away or is not there: another try may reach its successor.
bool may_retry(const Error& error) {
  return error.code == Code::kClosed || error.code == Code::kIo || error.code == Code::kUnavailable;
}

}  // namespace

SupervisorClient::SupervisorClient(Env& env, Log& log, std::string folder)
    : env_(env),
      log_(log),
      folder_(std::move(folder)),
      started_(env.executor),
      scope_(env.executor) {}

Result<void> SupervisorClient::prepare() {
  if (folder_fd_) return {};
  Result<void> made = env_.disk.make_folders(folder_, 0700);
  if (!made) return made;
  folder_fd_ = Fd(open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder_fd_) return fail_errno(errno, "open " + folder_);
  return {};
}

bool SupervisorClient::has_runs() {
  Result<std::vector<std::string>> names = env_.disk.list(folder_ + "/runs");
  return names && !names->empty();
}

Task<Result<std::unique_ptr<Stream>>> SupervisorClient::dial() {
  Result<void> prepared = prepare();
  if (!prepared) co_return pass(prepared);
  Address address;
  address.path = folder_ + std::string(kSocketName);
  if (address.path.size() > kSocketPathBytes) {
    address.path = fmt::format("/proc/self/fd/{}{}", folder_fd_.get(), kSocketName);
  }
  co_return co_await env_.network.connect(address, kConnectTimeoutMs);
}

Task<Result<std::unique_ptr<Stream>>> SupervisorClient::connect() {
  Result<std::unique_ptr<Stream>> stream = co_await dial();
  if (!stream) {
    Result<void> started = co_await ensure_started();
    if (!started) co_return pass(started);
    stream = co_await dial();
    if (!stream) co_return fail(Code::kUnavailable, "supervisor: {}", stream.error().message);
  }
  if (!build_checked_) {
    build_checked_ = true;
    co_await check_build();
    stream = co_await dial();
  }
  if (stream && !watching_) {
    watching_ = true;
    scope_.spawn(keep_watch());
  }
  co_return stream;
}

Task<Result<void>> SupervisorClient::ensure_started() {
  if (starting_) {
    co_await started_.wait();
    co_return Result<void>();
  }
  struct Guard {
    SupervisorClient& client;
    ~Guard() {
      client.starting_ = false;
      client.started_.set();
    }
  };
  starting_ = true;
  started_.clear();
  Guard guard{*this};
  Result<void> prepared = prepare();
  if (!prepared) co_return prepared;
  auto work = [folder = folder_] { return spawn_supervisor(folder); };
  Result<void> spawned = co_await on_pool(env_.executor, work);
  std::string trouble = spawned ? std::string() : spawned.error().message;
  if (!trouble.empty() && trouble != trouble_) log_.error("exec: {}", trouble);
  trouble_ = std::move(trouble);
  if (!spawned) co_return fail(Code::kUnavailable, "{}", spawned.error().message);
  build_checked_ = false;  // where one had the folder already, it may be another build
  co_return Result<void>();
}

Task<Result<Message>> SupervisorClient::exchange(Stream& stream, std::string frame) {
  Result<void> written = co_await stream.write(frame);
  if (!written) co_return pass(written);
  std::string input;
  auto buffer = std::make_unique<std::array<char, 16 * 1024>>();
  for (;;) {
    Result<std::optional<size_t>> bytes = frame_bytes(input, kMaxReplyBytes);
    if (!bytes) co_return pass(bytes);
    if (*bytes && input.size() >= **bytes) {
      co_return Message::parse(
          std::string_view(input).substr(kFrameHeadBytes, **bytes - kFrameHeadBytes));
    }
    Result<size_t> count = co_await stream.read(*buffer);
    if (!count) co_return pass(count);
    if (*count == 0) co_return fail(Code::kClosed, "the supervisor closed the connection");
    input.append(buffer->data(), *count);
  }
}

Task<Result<Message>> SupervisorClient::call(Message request, int64_t timeout_ms) {
  request.add("v", kWireVersion);
  std::string frame = request.frame();
  if (frame.size() > kMaxRequestBytes) {
    co_return fail(Code::kLimit, "request of {} bytes (arguments, environment), more than {}",
                   frame.size(), kMaxRequestBytes);
  }
  std::string last = "supervisor";
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0) co_await sleep_for(env_.executor, kFirstPauseMs * attempt);
    Result<std::unique_ptr<Stream>> stream = co_await connect();
    if (!stream) {
      last = stream.error().message;
      continue;
    }
    Result<Message> reply =
        timeout_ms == kNoTimeout
            ? co_await exchange(**stream, frame)
            : co_await with_timeout(env_.executor, timeout_ms, exchange(**stream, frame));
    if (reply) co_return checked(std::move(*reply));
    if (!may_retry(reply.error())) co_return reply;
    last = reply.error().message;
  }
  co_return fail(Code::kUnavailable, "{}", last);
}

Task<Result<void>> SupervisorClient::leave() {
  Result<std::unique_ptr<Stream>> stream = co_await dial();
  if (!stream) co_return Result<void>();
  scope_.cancel_all();
  watching_ = false;
  std::string frame = Message().add("op", "leave").add("v", kWireVersion).frame();
  Result<Message> reply =
      co_await with_timeout(env_.executor, kCallTimeoutMs, exchange(**stream, frame));
  if (!reply) co_return pass(reply);
  Result<Message> answer = checked(std::move(*reply));
  if (!answer) co_return pass(answer);
  co_return Result<void>();
}

/// A supervisor of another build executes ours in its place; its tasks do not notice.
Task<void> SupervisorClient::check_build() {
  const std::string build = image_id(supervisor_image());
  bool asked = false;
  for (int look = 0; look < kUpgradeLooks; ++look) {
    if (look > 0) co_await sleep_for(env_.executor, kFirstPauseMs);
    Result<std::unique_ptr<Stream>> stream = co_await dial();
    if (!stream) co_return;
    Result<Message> hello = co_await with_timeout(
        env_.executor, kCallTimeoutMs, exchange(**stream, Message().add("op", "hello").frame()));
    if (!hello) continue;
    if (hello->get("build") == build) {
      if (asked) log_.info("exec: the supervisor runs our build now");
      co_return;
    }
    if (asked) continue;
    auto install = [folder = folder_] {
      return install_image(folder + "/bin", image_name(), supervisor_image());
    };
    Result<std::string> path = co_await on_pool(env_.executor, install);
    if (!path) break;
    stream = co_await dial();
    if (!stream) co_return;
    Message upgrade;
    upgrade.add("op", "upgrade").add("path", *path).add("build", build);
    Result<Message> reply =
        co_await with_timeout(env_.executor, kCallTimeoutMs, exchange(**stream, upgrade.frame()));
    asked = !reply;  // a reply says why not; the end of the connection is what we want
    if (reply && reply->get("error") != to_string(Code::kUnavailable)) {
      log_.warn("exec: the supervisor was not upgraded: {}", reply->get("message"));
      co_return;
    }
  }
  log_.warn("exec: the supervisor in {} was not upgraded; going on with it", folder_);
}

Task<void> SupervisorClient::keep_watch() {
  int64_t pause_ms = kFirstPauseMs;
  for (;;) {
    Result<std::unique_ptr<Stream>> stream = co_await dial();
    if (stream) {
      pause_ms = kFirstPauseMs;
      std::string frame = Message().add("op", "watch").add("v", kWireVersion).frame();
      [[maybe_unused]] Result<Message> ended = co_await exchange(**stream, frame);
    }
    if (!has_runs()) break;
    log_.warn("exec: the supervisor is gone; starting it again");
    [[maybe_unused]] Result<void> started = co_await ensure_started();
    co_await sleep_for(env_.executor, pause_ms);
    pause_ms = std::min(pause_ms * 2, kLongestPauseMs);
  }
  watching_ = false;
}

}  // namespace sluice::drivers::exec
