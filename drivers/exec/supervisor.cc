#include "drivers/exec/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/check.h"
#include "drivers/exec/images.h"
#include "drivers/exec/keeper.h"
#include "drivers/exec/supervisor_clock.h"

namespace sluice::drivers::exec {
namespace {

constexpr int64_t kCopyBudgetBytes = 256 * 1024;  // a turn: other tasks wait meanwhile
constexpr int64_t kLogFileBytes = 1 << 20;
constexpr size_t kReadBytes = 16 * 1024;

}  // namespace

Supervisor::Supervisor(SupervisorOptions options)
    : options_(std::move(options)), boot_id_(read_boot_id()) {
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, nullptr);
  signals_ = Fd(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  notify_ = Fd(open("notify", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  CHECK(epoll_ && signals_ && notify_ && options_.listener && options_.lock);
  watch(options_.listener.get(), Kind::kListener, 0, EPOLLIN);
  watch(notify_.get(), Kind::kNotify, 0, EPOLLIN);
  watch(signals_.get(), Kind::kSignal, 0, EPOLLIN);
  idle_since_ms_ = monotonic_ms();
}

int Supervisor::run() {
  Result<std::string> image =
      install_image(options_.folder + "/bin", "sluice-keeper", keeper_image());
  if (!image) {
    log("the keeper cannot be installed: " + image.error().message);
    return 1;
  }
  keeper_image_ = std::move(*image);
  log("started, build " + options_.build);
  load();
  reap();
  while (!leaving_) {
    epoll_event events[64];
    int count = epoll_wait(epoll_.get(), events, 64, static_cast<int>(wait_ms()));
    for (int i = 0; i < count; ++i) dispatch(events[i].data.u64, events[i].events);
    run_timers();
    bool idle = connections_.empty() && std::ranges::all_of(runs_, [](auto& at) {
                  return at.second->state == State::kEnded;
                });
    if (!idle) idle_since_ms_ = monotonic_ms();
    if (idle && monotonic_ms() - idle_since_ms_ >= kIdleExitMs) leaving_ = true;
  }
  log("leaving: no task runs");
  unlink("socket");
  return 0;
}

void Supervisor::watch(int fd, Kind kind, uint64_t number, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = static_cast<uint64_t>(kind) << 56 | number;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0 && errno == EEXIST) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  }
}

void Supervisor::unwatch(Fd& fd) {
  // Removed by hand: a child that has just been forked may still hold the same open file.
  if (fd) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
  fd.reset();
}

void Supervisor::dispatch(uint64_t tag, uint32_t events) {
  auto kind = static_cast<Kind>(tag >> 56);
  uint64_t number = tag & ((uint64_t{1} << 56) - 1);
  if (kind == Kind::kListener) return accept_connections();
  if (kind == Kind::kNotify) return read_notify();
  if (kind == Kind::kSignal) return reap();
  if (kind == Kind::kConnection) {
    auto at = connections_.find(number);
    if (at == connections_.end()) return;
    if ((events & EPOLLOUT) != 0 && !flush(*at->second)) return;
    if ((events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) read_connection(*at->second);
    return;
  }
  auto at = runs_.find(number);
  if (at == runs_.end()) return;  // forgotten earlier in this turn
  Run& run = *at->second;
  if (kind == Kind::kOutcome) return outcome_ready(run);
  if (kind == Kind::kStdout) return copy_output(run, run.out, kCopyBudgetBytes);
  if (kind == Kind::kStderr) return copy_output(run, run.err, kCopyBudgetBytes);
  if (kind == Kind::kKeeper) return keeper_gone(run);
  if (kind == Kind::kTask) return orphan_ended(run);
}

void Supervisor::accept_connections() {
  for (;;) {
    Fd fd(accept4(options_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    ucred peer{};
    socklen_t size = sizeof peer;
    bool known = getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    if (!known || (peer.uid != 0 && peer.uid != geteuid())) {
      log("refused a connection of user " + std::to_string(peer.uid));
      continue;
    }
    if (connections_.size() >= kMaxConnections) continue;
    auto connection = std::make_unique<Connection>();
    connection->number = ++last_number_;
    connection->fd = std::move(fd);
    watch(connection->fd.get(), Kind::kConnection, connection->number, EPOLLIN | EPOLLRDHUP);
    connections_.emplace(connection->number, std::move(connection));
  }
}

void Supervisor::read_connection(Connection& connection) {
  char buffer[kReadBytes];
  ssize_t count = read(connection.fd.get(), buffer, sizeof buffer);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return close_connection(connection.number);
  connection.in.append(buffer, static_cast<size_t>(count));
  serve(connection);
}

void Supervisor::serve(Connection& connection) {
  uint64_t number = connection.number;
  while (!connection.busy) {
    auto bytes = frame_bytes(connection.in, kMaxRequestBytes);
    if (!bytes) {
      log("closed a connection: " + bytes.error().message);
      return close_connection(number);
    }
    if (!*bytes || connection.in.size() < **bytes) {
      if (connection.in.empty()) connection.in.shrink_to_fit();
      return;
    }
    auto request = Message::parse(
        std::string_view(connection.in).substr(kFrameHeadBytes, **bytes - kFrameHeadBytes));
    connection.in.erase(0, **bytes);
    if (!request) {
      log("closed a connection: " + request.error().message);
      return close_connection(number);
    }
    connection.busy = true;
    handle(connection, *request);
    if (!connections_.contains(number)) return;
  }
  // A client that talks on while its answer is due is bounded, too.
  if (connection.in.size() > kMaxRequestBytes + kFrameHeadBytes) close_connection(number);
}

void Supervisor::reply(uint64_t connection, const Message& message) {
  auto at = connections_.find(connection);
  if (at == connections_.end()) return;  // it has gone; what it asked for is done all the same
  at->second->busy = false;
  at->second->out += message.frame();
  flush(*at->second);
}

bool Supervisor::flush(Connection& connection) {
  while (!connection.out.empty()) {
    ssize_t count =
        ::send(connection.fd.get(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) {
      close_connection(connection.number);
      return false;
    }
    connection.out.erase(0, static_cast<size_t>(count));
  }
  if (connection.writing != !connection.out.empty()) {
    connection.writing = !connection.out.empty();
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | (connection.writing ? EPOLLOUT : 0u);
    event.data.u64 = static_cast<uint64_t>(Kind::kConnection) << 56 | connection.number;
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd.get(), &event);
  }
  return true;
}

void Supervisor::close_connection(uint64_t number) {
  auto at = connections_.find(number);
  if (at == connections_.end()) return;
  unwatch(at->second->fd);
  connections_.erase(at);
}

void Supervisor::set_timer(int64_t delay_ms, Timer::What what, uint64_t run) {
  timers_.emplace(monotonic_ms() + delay_ms, Timer{what, run, {}, 0});
}

void Supervisor::run_timers() {
  int64_t now_ms = monotonic_ms();
  while (!timers_.empty() && timers_.begin()->first <= now_ms) {
    Timer timer = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    if (timer.what == Timer::What::kRemoveCgroups) {
      remove_cgroups_of(std::move(timer.cgroups), timer.tries);
      continue;
    }
    auto at = runs_.find(timer.run);
    if (at == runs_.end() || at->second->state == State::kEnded) continue;
    if (timer.what == Timer::What::kKill) send(*at->second, kKeeperTreeRequest);
    if (timer.what == Timer::What::kLook) look(*at->second);
  }
}

int64_t Supervisor::wait_ms() const {
  int64_t wait = kIdleExitMs;
  if (!timers_.empty()) wait = std::min(wait, timers_.begin()->first - monotonic_ms());
  return std::max<int64_t>(0, wait);
}

void Supervisor::log(const std::string& line) {
  struct stat info;
  if (log_ && fstat(log_.get(), &info) == 0 && info.st_size > kLogFileBytes) {
    rename("supervisor.log", "supervisor.log.old");
    log_.reset();
  }
  if (!log_) log_ = Fd(open("supervisor.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const time_t now_s = wall_ns() / 1'000'000'000;
  tm parts{};
  gmtime_r(&now_s, &parts);
  char time[32];
  strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%SZ ", &parts);
  std::string text = std::string(time) + line + "\n";
  [[maybe_unused]] ssize_t ignored = write(log_.get(), text.data(), text.size());
}

}  // namespace sluice::drivers::exec
