#include "core/handover.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "core/check.h"

namespace sluice {

namespace {

constexpr size_t kFdsAMessage = 250;  // the kernel takes 253 (SCM_MAX_FD)
constexpr size_t kMessageBytes = 512;
constexpr size_t kMaxSockets = 64 * 1024;
constexpr off_t kStateBytes = off_t{1} << 30;
constexpr std::string_view kSocketWord = "socket ";
constexpr std::string_view kStateWord = "state";
constexpr std::string_view kEndWord = "end";
constexpr std::string_view kReadyWord = "ready";

/// One message with its descriptors. It never waits: a channel that is full has no reader.
Result<void> send(const Socket& channel, std::string_view text, std::span<const int> fds) {
  CHECK(fds.size() <= kFdsAMessage && text.size() <= kMessageBytes);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kFdsAMessage)> control{};
  iovec part{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  if (::sendmsg(channel.fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    return fail_errno(errno, "hand over");
  }
  return {};
}

/// Empty text: the other end is gone.
struct Message {
  std::string text;
  std::vector<Socket> fds;  // any kind of descriptor
};

Result<Message> receive_message(const Socket& channel) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kFdsAMessage)> control{};
  std::array<char, kMessageBytes> text{};
  iovec part{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(channel.fd(), &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return fail_errno(errno, "take over");
  Message out{.text = std::string(text.data(), static_cast<size_t>(got)), .fds = {}};
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::array<int, kFdsAMessage> fds{};
    std::memcpy(fds.data(), CMSG_DATA(header), count * sizeof(int));
    for (size_t i = 0; i < count; ++i) out.fds.emplace_back(fds[i]);
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return fail(Code::kLimit, "take over: a message was cut; descriptors have run out");
  }
  return out;
}

Result<Socket> memory_file(const std::string& bytes) {
  Socket file(::memfd_create("sluice-handover", MFD_CLOEXEC));
  if (!file.open()) return fail_errno(errno, "hand over: memfd");
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t put = ::write(file.fd(), bytes.data() + done, bytes.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return fail_errno(errno, "hand over: memfd");
    done += static_cast<size_t>(put);
  }
  return file;
}

Result<std::string> read_memory_file(const Socket& file) {
  struct stat facts{};
  if (::fstat(file.fd(), &facts) != 0) return fail_errno(errno, "take over: memfd");
  if (facts.st_size > kStateBytes) return fail(Code::kLimit, "take over: the state is too large");
  std::string bytes(static_cast<size_t>(facts.st_size), '\0');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t got =
        ::pread(file.fd(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(Code::kIo, "take over: the state is cut short");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

Result<void> send_all(const Socket& channel, const OfferedSockets& sockets,
                      const std::string& state) {
  for (const auto& [name, fds] : sockets) {
    std::span<const int> left(fds);
    while (!left.empty()) {
      const auto some = left.first(std::min(left.size(), kFdsAMessage));
      Result<void> sent = send(channel, std::string(kSocketWord) + name, some);
      if (!sent) return sent;
      left = left.subspan(some.size());
    }
  }
  Result<Socket> file = memory_file(state);
  if (!file) return pass(file);
  const int fd = file->fd();
  Result<void> sent = send(channel, kStateWord, {&fd, 1});
  if (!sent) return sent;
  return send(channel, kEndWord, {});
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

std::string handover_name(const SocketAddress& at) {
  return "tcp " + at.text();
}

// ---- the old process

/// libuv's handle, which lives until its close callback.
struct Successor::Watch {
  uv_poll_t poll;
  Successor* owner;
  Executor::Ticket timer = Executor::Ticket::kNone;
};

Successor::Successor(UvLoop& loop, Outcome outcome) : loop_(loop), outcome_(std::move(outcome)) {}

Result<std::unique_ptr<Successor>> Successor::start(UvLoop& loop, const SuccessorOptions& options,
                                                    const OfferedSockets& sockets,
                                                    const std::string& state, Outcome outcome) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(errno, "hand over: socketpair");
  }
  std::unique_ptr<Successor> successor(new Successor(loop, std::move(outcome)));
  successor->channel_ = Socket(ends[0]);
  const Socket far_end(ends[1]);
  // It waits in the channel, whoever reads it and when.
  Result<void> done = send_all(successor->channel_, sockets, state);
  if (done) done = successor->spawn(options, far_end.fd());
  if (!done) return pass(done);
  successor->watch(options.ready_ms);
  return successor;
}

Result<void> Successor::spawn(const SuccessorOptions& options, int far_end) {
  std::vector<std::string> words = {options.program};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> variables = options.environment;
  variables.push_back(fmt::format("{}={}", Predecessor::kVariable, Predecessor::kFd));
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  // Onto itself it only loses its FD_CLOEXEC; every other descriptor has that.
  posix_spawn_file_actions_adddup2(&files, far_end, Predecessor::kFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t all;
  sigset_t none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const int error = ::posix_spawn(&pid_, options.program.c_str(), &files, &attributes,
                                  pointers(words).data(), pointers(variables).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error == 0) return {};
  pid_ = -1;
  return fail_errno(error, "start " + options.program);
}

void Successor::watch(int64_t ready_ms) {
  watch_ = std::make_unique<Watch>();
  watch_->owner = this;
  watch_->poll.data = watch_.get();
  CHECK(uv_poll_init(loop_.raw(), &watch_->poll, channel_.fd()) == 0);
  const int started = uv_poll_start(
      &watch_->poll, UV_READABLE | UV_DISCONNECT,
      [](uv_poll_t* poll, int, int) { static_cast<Watch*>(poll->data)->owner->on_readable(); });
  CHECK(started == 0);
  watch_->timer = loop_.post_after(ready_ms, [this, ready_ms] {
    watch_->timer = Executor::Ticket::kNone;
    end(fail(Code::kTimeout, "process {} was not ready within {} ms", pid_, ready_ms));
  });
}

void Successor::on_readable() {
  Result<Message> message = receive_message(channel_);
  if (message && message->text == kReadyWord) {
    ready_ = true;
    return end({});
  }
  const pid_t pid = pid_;
  end(fail(Code::kUnavailable, "process {} {} before it was ready", pid, reap()));
}

void Successor::end(Result<void> outcome) {
  if (std::exchange(ended_, true)) return;
  if (!ready_) (void)reap();
  uv_poll_stop(&watch_->poll);
  // Posted: the callback that is running must not destroy what it runs in.
  loop_.post([outcome = std::move(outcome), tell = std::move(outcome_)]() mutable {
    tell(std::move(outcome));
  });
}

std::string Successor::reap() {
  if (pid_ <= 0) return "ended";
  int status = 0;
  // One that closed the channel is ending, or of no use.
  pid_t got = 0;
  for (int look = 0; look < 50 && got == 0; ++look) {
    got = ::waitpid(pid_, &status, WNOHANG);
    if (got == 0) ::usleep(2'000);
  }
  if (got == 0) {
    ::kill(pid_, SIGKILL);
    (void)::waitpid(pid_, &status, 0);
  }
  pid_ = -1;
  if (WIFEXITED(status)) return fmt::format("ended with status {}", WEXITSTATUS(status));
  return fmt::format("was ended by signal {}", WTERMSIG(status));
}

Successor::~Successor() {
  if (watch_ == nullptr) return;
  if (watch_->timer != Executor::Ticket::kNone) loop_.cancel(watch_->timer);
  uv_poll_stop(&watch_->poll);
  Watch* watch = watch_.release();
  uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll),
           [](uv_handle_t* closed) { delete static_cast<Watch*>(closed->data); });
  if (!ready_) (void)reap();
}

// ---- the new process

Result<std::unique_ptr<Predecessor>> Predecessor::find() {
  if (::getenv(kVariable) == nullptr) return nullptr;
  ::unsetenv(kVariable);
  Socket channel(kFd);
  int kind = 0;
  socklen_t size = sizeof kind;
  ucred maker{};
  socklen_t maker_size = sizeof maker;
  const bool good = ::getsockopt(kFd, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 &&
                    kind == SOCK_SEQPACKET &&
                    ::getsockopt(kFd, SOL_SOCKET, SO_PEERCRED, &maker, &maker_size) == 0;
  if (!good) return fail(Code::kInvalid, "{}: descriptor {} is no channel", kVariable, kFd);
  if (maker.pid != ::getppid() || maker.uid != ::geteuid()) {
    return fail(Code::kInvalid, "{}: the channel is of process {}, not of the parent", kVariable,
                maker.pid);
  }
  ::fcntl(kFd, F_SETFD, FD_CLOEXEC);
  std::unique_ptr<Predecessor> predecessor(new Predecessor(std::move(channel)));
  Result<void> received = predecessor->receive();
  if (!received) return pass(received);
  return predecessor;
}

Result<void> Predecessor::receive() {
  size_t count = 0;
  for (;;) {
    Result<Message> message = receive_message(channel_);
    if (!message) return pass(message);
    const std::string_view text = message->text;
    if (text.empty()) return fail(Code::kUnavailable, "take over: the predecessor is gone");
    if (text == kEndWord) return {};
    if (text == kStateWord && message->fds.size() == 1) {
      Result<std::string> state = read_memory_file(message->fds[0]);
      if (!state) return pass(state);
      state_ = std::move(*state);
      continue;
    }
    if (!text.starts_with(kSocketWord)) {
      return fail(Code::kInvalid, "take over: unknown message '{}'", text);
    }
    count += message->fds.size();
    if (count > kMaxSockets) return fail(Code::kLimit, "take over: more than {} sockets", count);
    auto& sockets = sockets_[std::string(text.substr(kSocketWord.size()))];
    std::ranges::move(message->fds, std::back_inserter(sockets));
  }
}

Result<void> Predecessor::say_ready() {
  return send(channel_, kReadyWord, {});
}

struct Predecessor::Watch {
  uv_poll_t poll;
  UvLoop* loop;
  std::move_only_function<void()> gone;
};

Predecessor::Predecessor(Socket channel) : channel_(std::move(channel)) {}

void Predecessor::when_gone(UvLoop& loop, std::move_only_function<void()> gone) {
  CHECK(watch_ == nullptr);
  watch_ = new Watch{.poll = {}, .loop = &loop, .gone = std::move(gone)};
  watch_->poll.data = watch_;
  CHECK(uv_poll_init(loop.raw(), &watch_->poll, channel_.fd()) == 0);
  // It says nothing more: whatever comes is its end.
  const int started =
      uv_poll_start(&watch_->poll, UV_READABLE | UV_DISCONNECT, [](uv_poll_t* poll, int, int) {
        auto* watch = static_cast<Watch*>(poll->data);
        uv_poll_stop(poll);
        watch->loop->post(std::move(watch->gone));
      });
  CHECK(started == 0);
}

Predecessor::~Predecessor() {
  if (watch_ == nullptr) return;
  uv_poll_stop(&watch_->poll);
  uv_close(reinterpret_cast<uv_handle_t*>(&watch_->poll),
           [](uv_handle_t* closed) { delete static_cast<Watch*>(closed->data); });
}

}  // namespace sluice
