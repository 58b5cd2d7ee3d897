#include "app/upgrade.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <iterator>
#include <utility>

#include "core/json.h"

extern char** environ;

namespace sluice {

namespace {

/// The control loop's listeners, beside the reactors'.
constexpr std::string_view kControlPrefix = "control ";

constexpr JsonLimits kStateLimits{
    .max_bytes = size_t{1} << 30, .max_depth = 16, .max_values = size_t{1} << 26};

}  // namespace

Result<Origin> own_origin(std::string verb, std::vector<std::string> arguments) {
  Origin origin{
      .program = {}, .verb = std::move(verb), .arguments = std::move(arguments), .environment = {}};
  std::array<char, PATH_MAX> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size < 0) return fail_errno(errno, "/proc/self/exe");
  origin.program.assign(path.data(), static_cast<size_t>(size));
  for (char** entry = environ; *entry != nullptr; ++entry) {
    // The channel is this process's alone.
    const std::string_view text = *entry;
    if (!text.starts_with(Predecessor::kVariable)) origin.environment.emplace_back(text);
  }
  return origin;
}

void Upgrade::start(const Origin& origin, const OfferedSockets& sockets, const std::string& state) {
  SuccessorOptions options{
      .program = origin.program, .arguments = {origin.verb}, .environment = origin.environment};
  std::ranges::copy(origin.arguments, std::back_inserter(options.arguments));
  log_.info("SIGUSR2: starting {}", origin.program);
  log_.flush();
  auto started = Successor::start(loop_, options, sockets, state,
                                  [this](Result<void> outcome) { on_outcome(std::move(outcome)); });
  if (!started) {
    log_.error("upgrade: {}; this process goes on", started.error().message);
    loop_.post([this] { hooks_.failed(); });
    return;
  }
  successor_ = std::move(*started);
  successor_pid_ = successor_->pid();
}

void Upgrade::abandon() {
  successor_.reset();  // which kills it: it is not ready yet
}

void Upgrade::on_outcome(Result<void> outcome) {
  if (!successor_) {
    if (outcome) ::kill(successor_pid_, SIGTERM);
    return;
  }
  const pid_t pid = successor_->pid();
  (outcome ? serving_ : successor_) = std::move(successor_);
  successor_.reset();
  if (!outcome) {
    log_.error("upgrade: {}; this process goes on", outcome.error().message);
    hooks_.failed();
    return;
  }
  log_.info("upgrade: process {} serves now; this one ends what it has under way", pid);
  hooks_.served();
}

Result<Socket> copy_of(int socket) {
  const int copy = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail_errno(errno, "copy a descriptor");
  return Socket(copy);
}

void offer_control_sockets(const std::vector<std::pair<Address, int>>& listening,
                           OfferedSockets& sockets) {
  for (const auto& [at, fd] : listening) {
    sockets[std::string(kControlPrefix) + to_string(at)].push_back(fd);
  }
}

Result<Balancer::Inheritance> take_over(Predecessor& predecessor, UvNetwork& network) {
  Balancer::Inheritance from;
  from.sockets = std::make_shared<HandedSockets>();
  for (auto& [name, sockets] : predecessor.sockets()) {
    if (!name.starts_with(kControlPrefix)) {
      from.sockets->emplace(name, std::move(sockets));
      continue;
    }
    Result<Address> at = parse_address(name.substr(kControlPrefix.size()));
    if (!at || sockets.empty()) return fail(Code::kInvalid, "{}: no such listener", name);
    network.inherit(*at, std::move(sockets.front()));
  }
  Result<Json> state = parse_json(predecessor.state(), kStateLimits);
  if (!state) return pass(state, "the predecessor's state");
  from.state = std::move(*state);
  return from;
}

}  // namespace sluice
