#include "core/uv_process.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "core/fd.h"
#include "core/scope.h"
#include "core/uv_network.h"

namespace sluice {

namespace {

constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

struct Pipe {
  Fd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

/// What the parent keeps of a started program, until it is somebody's. Whoever asked for it may
/// have been cancelled meanwhile: then its session ends with this.
struct Started {
  pid_t pid = 0;
  Fd input, output, errors;

  Started() = default;
  Started(Started&& other) noexcept
      : pid(std::exchange(other.pid, 0)),
        input(std::move(other.input)),
        output(std::move(other.output)),
        errors(std::move(other.errors)) {}
  ~Started() {
    if (pid <= 0) return;
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
};

/// Where a program of that name is, by the PATH of its own environment.
std::vector<std::string> candidates(const ProcessSpec& spec) {
  const std::string& name = spec.argv[0];
  if (name.find('/') != std::string::npos) return {name};
  std::string_view path = kDefaultPath;
  for (const std::string& variable : spec.env) {
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  }
  std::vector<std::string> found;
  while (!path.empty()) {
    const size_t colon = path.find(':');
    const std::string_view folder = path.substr(0, colon);
    path = colon == std::string_view::npos ? std::string_view() : path.substr(colon + 1);
    if (!folder.empty()) found.push_back(std::string(folder) + "/" + name);
  }
  return found;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// The child's side, between fork and exec: system calls alone, for other threads' locks may be
/// held. Never returns; the error's number goes through `report`.
[[noreturn]] void become(const ProcessSpec& spec, char* const* argv, char* const* env,
                         const std::vector<std::string>& paths, const std::array<int, 3>& standard,
                         int report) {
  const auto give_up = [&](int error) {
    (void)!::write(report, &error, sizeof error);
    ::_exit(127);
  };
  ::setsid();
  if (spec.terminal && ::ioctl(standard[0], TIOCSCTTY, 0) != 0) give_up(errno);
  for (int i = 0; i < 3; ++i) {
    if (::dup2(standard[static_cast<size_t>(i)], i) < 0) give_up(errno);
  }
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (spec.user) {
    // The kernel's calls: the C library's would look for this process's other threads.
    const ProcessUser& user = *spec.user;
    if (::syscall(SYS_setgroups, user.groups.size(), user.groups.data()) != 0 ||
        ::syscall(SYS_setgid, user.gid) != 0 || ::syscall(SYS_setuid, user.uid) != 0) {
      give_up(errno);
    }
  }
  if (!spec.folder.empty() && ::chdir(spec.folder.c_str()) != 0) give_up(errno);
  int error = ENOENT;
  for (const std::string& path : paths) {
    ::execve(path.c_str(), argv, env);
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
  }
  give_up(error);
  __builtin_unreachable();
}

struct Ends {
  Fd child_in, child_out, child_err;
  Started ours;
};

Result<Ends> make_pipes() {
  Ends ends;
  Result<Pipe> in = make_pipe(), out = make_pipe(), err = make_pipe();
  for (auto* pipe : {&in, &out, &err}) {
    if (!*pipe) return pass(*pipe);
  }
  ends.child_in = std::move(in->read);
  ends.ours.input = std::move(in->write);
  ends.child_out = std::move(out->write);
  ends.ours.output = std::move(out->read);
  ends.child_err = std::move(err->write);
  ends.ours.errors = std::move(err->read);
  return ends;
}

Result<Ends> make_terminal(const ProcessSpec& spec) {
  Ends ends;
  Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  char name[128];
  if (master.get() < 0 || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0 ||
      ::ptsname_r(master.get(), name, sizeof name) != 0) {
    return fail_errno(errno, "open a terminal");
  }
  Fd slave(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (slave.get() < 0) return fail_errno(errno, "open a terminal");
  winsize size{};
  size.ws_row = spec.rows;
  size.ws_col = spec.columns;
  ::ioctl(slave.get(), TIOCSWINSZ, &size);
  ends.ours.input = Fd(::fcntl(master.get(), F_DUPFD_CLOEXEC, 3));
  ends.ours.output = std::move(master);
  ends.child_out = Fd(::fcntl(slave.get(), F_DUPFD_CLOEXEC, 3));
  ends.child_err = Fd(::fcntl(slave.get(), F_DUPFD_CLOEXEC, 3));
  ends.child_in = std::move(slave);
  if (ends.ours.input.get() < 0 || ends.child_err.get() < 0) {
    return fail_errno(errno, "open a terminal");
  }
  return ends;
}

/// Blocks for the fork and until the program runs.
Result<Started> start_program(ProcessSpec spec) {
  Result<Ends> ends = spec.terminal ? make_terminal(spec) : make_pipes();
  if (!ends) return pass(ends);
  Result<Pipe> report = make_pipe();
  if (!report) return pass(report);
  const std::vector<std::string> paths = candidates(spec);
  std::vector<std::string> arguments = spec.argv, variables = spec.env;
  const std::vector<char*> argv = pointers(arguments), env = pointers(variables);
  const std::array<int, 3> standard{ends->child_in.get(), ends->child_out.get(),
                                    ends->child_err.get()};
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "fork");
  if (pid == 0) become(spec, argv.data(), env.data(), paths, standard, report->write.get());
  report->write.reset();
  int error = 0;
  ssize_t got;
  do {
    got = ::read(report->read.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got == sizeof error) {
    ::waitpid(pid, nullptr, 0);
    if (error == ENOENT) return fail(Code::kNotFound, "{}: no such program", spec.argv[0]);
    return fail_errno(error, spec.argv[0]);
  }
  ends->ours.pid = pid;
  return std::move(ends->ours);
}

ProcessExit exit_of(int status) {
  if (WIFSIGNALED(status)) return {.code = 128 + WTERMSIG(status), .signal = WTERMSIG(status)};
  return {.code = WEXITSTATUS(status)};
}

/// The poll on a process's pidfd; lives until its close callback.
struct ExitWatch {
  uv_poll_t poll;
  int descriptor = -1;
  std::move_only_function<void()> on_exit;
};

class UvProcess final : public Process {
 public:
  UvProcess(UvLoop& loop, pid_t pid, std::unique_ptr<Stream> input, std::unique_ptr<Stream> output,
            std::unique_ptr<Stream> errors, int terminal)
      : loop_(loop),
        pid_(pid),
        input_(std::move(input)),
        output_(std::move(output)),
        errors_(std::move(errors)),
        terminal_(terminal),
        ended_(loop) {}

  Result<void> watch() {
    const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    if (descriptor < 0) return fail_errno(errno, "pidfd_open");
    watch_ = new ExitWatch{.poll = {}, .descriptor = descriptor, .on_exit = [this] { reap(); }};
    watch_->poll.data = watch_;
    CHECK(uv_poll_init(loop_.raw(), &watch_->poll, descriptor) == 0);
    uv_poll_start(&watch_->poll, UV_READABLE, [](uv_poll_t* poll, int, int) {
      static_cast<ExitWatch*>(poll->data)->on_exit();
    });
    return {};
  }

  ~UvProcess() override {
    unwatch();
    if (terminal_ >= 0) ::close(terminal_);
    if (ended_.is_set()) return;
    // Its whole session; the dead child itself is waited for elsewhere, for that may take a moment.
    ::kill(-pid_, SIGKILL);
    loop_.post_to_pool([pid = pid_] { ::waitpid(pid, nullptr, 0); }, [] {});
  }

  Stream& input() override { return *input_; }
  Stream& output() override { return *output_; }
  Stream* errors() override { return errors_.get(); }

  Result<void> resize(uint16_t rows, uint16_t columns) override {
    if (terminal_ < 0) return fail(Code::kInvalid, "there is no terminal");
    winsize size{};
    size.ws_row = rows;
    size.ws_col = columns;
    if (::ioctl(terminal_, TIOCSWINSZ, &size) != 0) return fail_errno(errno, "terminal size");
    return {};
  }

  void signal(int number) override {
    if (!ended_.is_set()) ::kill(-pid_, number);
  }

  Task<ProcessExit> wait() override {
    co_await ended_.wait();
    co_return exit_;
  }

 private:
  void reap() {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return;
    exit_ = exit_of(status);
    unwatch();
    ended_.set();
  }

  void unwatch() {
    ExitWatch* watch = std::exchange(watch_, nullptr);
    if (watch == nullptr) return;
    uv_poll_stop(&watch->poll);
    uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll), [](uv_handle_t* handle) {
      auto* closed = static_cast<ExitWatch*>(handle->data);
      ::close(closed->descriptor);
      delete closed;
    });
  }

  UvLoop& loop_;
  const pid_t pid_;
  std::unique_ptr<Stream> input_, output_, errors_;
  int terminal_;
  ExitWatch* watch_ = nullptr;
  Event ended_;
  ProcessExit exit_;
};

Task<void> read_all(Stream& from, size_t limit_bytes, std::string& into) {
  std::array<char, 16 * 1024> buffer;
  while (true) {
    Result<size_t> got = co_await from.read(buffer);
    if (!got || *got == 0) co_return;  // also the end of a terminal, which is an error
    into.append(buffer.data(), std::min(*got, limit_bytes - into.size()));
  }
}

Task<Result<ProcessOutput>> run_to_end(Processes& processes, Executor& executor, ProcessSpec spec,
                                       size_t limit_bytes) {
  Result<std::unique_ptr<Process>> process = co_await processes.start(std::move(spec));
  if (!process) co_return pass(process);
  (void)(*process)->input().shutdown_write();
  ProcessOutput output;
  {
    Scope reading(executor);
    reading.spawn(read_all((*process)->output(), limit_bytes, output.output));
    if (Stream* errors = (*process)->errors()) {
      reading.spawn(read_all(*errors, limit_bytes, output.errors));
    }
    co_await reading.join();
  }
  output.exit = co_await (*process)->wait();
  co_return output;
}

}  // namespace

Task<Result<std::unique_ptr<Process>>> UvProcesses::start(ProcessSpec spec) {
  if (spec.argv.empty() || spec.argv[0].empty()) co_return fail(Code::kInvalid, "no command");
  const std::string name = spec.argv[0];
  const bool terminal = spec.terminal;
  auto begin = [spec = std::move(spec)]() mutable {
    return std::make_shared<Result<Started>>(start_program(std::move(spec)));
  };
  std::shared_ptr<Result<Started>> started = co_await on_pool(loop_, std::move(begin));
  if (!*started) co_return pass(*started);
  Started& ours = **started;
  // The sizes go to a descriptor of its own: the stream's is libuv's.
  const int size_end = terminal ? ::fcntl(ours.output.get(), F_DUPFD_CLOEXEC, 3) : -1;
  auto input = adopt_stream(loop_, ours.input.release(), name);
  auto output = adopt_stream(loop_, ours.output.release(), name);
  Result<std::unique_ptr<Stream>> errors = std::unique_ptr<Stream>();
  if (!terminal) errors = adopt_stream(loop_, ours.errors.release(), name);
  if (!input || !output || !errors) {
    if (size_end >= 0) ::close(size_end);
    co_return fail(Code::kIo, "{}: cannot open its streams", name);
  }
  auto process = std::make_unique<UvProcess>(loop_, std::exchange(ours.pid, 0), *std::move(input),
                                             *std::move(output), *std::move(errors), size_end);
  Result<void> watched = process->watch();
  if (!watched) co_return pass(watched);
  co_return process;
}

Task<Result<ProcessOutput>> run_process(Processes& processes, Executor& executor, ProcessSpec spec,
                                        int64_t timeout_ms, size_t limit_bytes) {
  co_return co_await with_timeout(executor, timeout_ms,
                                  run_to_end(processes, executor, std::move(spec), limit_bytes));
}

}  // namespace sluice
