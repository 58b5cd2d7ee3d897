#include "drivers/docker/credentials.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "core/ascii.h"
#include "core/disk.h"
#include "core/scope.h"

namespace sluice::drivers {
namespace {

constexpr size_t kConfigFileBytes = 1 << 20;
constexpr size_t kHelperBytes = 64 << 10;

/// What helpers of every kind say for "no such registry here".
constexpr std::string_view kNotFound = "credentials not found";

bool valid_helper(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return ascii::is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  });
}

/// The helper's end of one pipe a direction, as one socket pair: it reads the registry's name and
/// writes its answer.
struct Helper {
  pid_t pid = -1;
  int fd = -1;

  Helper() = default;
  Helper(const Helper&) = delete;
  ~Helper() {
    if (fd >= 0) ::close(fd);
    if (pid > 0) {
      ::kill(pid, SIGKILL);
      (void)wait();
    }
  }
  int wait() {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    pid = -1;
    return status;
  }
};

Result<void> start(const std::string& program, Helper& helper) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return fail_errno(errno, program);
  }
  helper.fd = ends[0];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  std::string name = program, verb = "get";
  char* arguments[] = {name.data(), verb.data(), nullptr};
  const int error =
      ::posix_spawnp(&helper.pid, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error != 0) {
    helper.pid = -1;
    return fail_errno(error, program);
  }
  return {};
}

Result<std::string> talk(Helper& helper, const std::string& program, const std::string& registry,
                         int64_t quiet_ms) {
  // One that ends without reading is judged by what it says and how it ends.
  (void)::send(helper.fd, registry.data(), registry.size(), MSG_NOSIGNAL);
  ::shutdown(helper.fd, SHUT_WR);
  std::string answer;
  while (true) {
    pollfd watched{.fd = helper.fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&watched, 1, static_cast<int>(quiet_ms));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return fail(Code::kTimeout, "{}: silent for {} ms", program, quiet_ms);
    std::array<char, 4096> part;
    const ssize_t size = ::read(helper.fd, part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return answer;
    answer.append(part.data(), static_cast<size_t>(size));
    if (answer.size() > kHelperBytes) {
      return fail(Code::kLimit, "{}: says more than {} bytes", program, kHelperBytes);
    }
  }
}

/// The blocking part of find.
Result<std::optional<RegistryAuth>> look(const CredentialsOptions& options, const ImageRef& ref) {
  std::string helper;
  PosixDisk disk;
  if (!options.config_file.empty() &&
      (options.config_file_named || disk.exists(options.config_file))) {
    auto text = disk.read_file(options.config_file, kConfigFileBytes);
    if (!text) return pass(text, "Docker's config file");
    auto json = parse_json(*text);
    if (!json) return fail(Code::kInvalid, "{}: it is not JSON", options.config_file);
    auto found = config_file_auth(*json, ref);
    if (!found) return pass(found, "{}", options.config_file);
    if (found->auth) return std::move(found->auth);
    helper = std::move(found->helper);
  }
  if (helper.empty()) helper = options.helper;
  if (helper.empty()) return std::nullopt;
  auto said = ask_credential_helper(helper, registry_key(ref), options.helper_quiet_ms);
  if (!said) return pass(said);
  if (!*said) return std::nullopt;
  auto auth = helper_auth(**said, ref);
  if (!auth) return pass(auth, "docker-credential-{}", helper);
  return *std::move(auth);
}

}  // namespace

Result<std::optional<std::string>> ask_credential_helper(const std::string& name,
                                                         const std::string& registry,
                                                         int64_t quiet_ms) {
  if (!valid_helper(name)) return fail(Code::kInvalid, "credential helper \"{}\": no name", name);
  const std::string program = "docker-credential-" + name;
  Helper helper;
  auto started = start(program, helper);
  if (!started) return pass(started, "credential helper");
  auto answer = talk(helper, program, registry, quiet_ms);
  if (!answer) return pass(answer);
  const int status = helper.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return *std::move(answer);
  if (answer->find(kNotFound) != std::string::npos) return std::nullopt;
  while (answer->ends_with('\n')) answer->pop_back();
  return fail(Code::kInvalid, "{} get {}: failed{}{}", program, registry,
              answer->empty() ? "" : ": ", answer->substr(0, 300));
}

Task<Result<std::optional<RegistryAuth>>> Credentials::find(const DockerAuth& of_task,
                                                            const ImageRef& ref) {
  if (auto own = task_auth(of_task, ref)) co_return own;
  // The work may go on after this task was cancelled: it owns what it touches.
  co_return co_await on_pool(executor_, [options = options_, ref] { return look(options, ref); });
}

}  // namespace sluice::drivers
