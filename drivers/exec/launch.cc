#include "drivers/exec/launch.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "drivers/exec/cpus.h"
#include "drivers/exec/keeper.h"

namespace sluice::drivers::exec {
namespace {

constexpr size_t kExitRecordBytes = 64;
constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The numbers and words of a record, blank-separated.
std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  while (true) {
    size_t begin = text.find_first_not_of(" \n");
    if (begin == std::string_view::npos) return out;
    text.remove_prefix(begin);
    size_t end = std::min(text.find_first_of(" \n"), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

template <class T>
bool read_number(std::string_view text, T& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

[[noreturn]] void fail_child(int outcome_fd, const char* stage, int error_number) {
  LaunchFailure failure;
  failure.error_number = error_number;
  strncpy(failure.stage, stage, sizeof failure.stage - 1);
  [[maybe_unused]] ssize_t ignored = write(outcome_fd, &failure, sizeof failure);
  _exit(127);
}

/// Puts each descriptor of `from` at 3, 4, ...; everything else above is closed, but `kept`, which
/// closes on exec.
void place_descriptors(std::vector<int> from, int& kept) {
  int top = 64;
  for (int& fd : from) fd = fcntl(fd, F_DUPFD, top);
  kept = fcntl(kept, F_DUPFD_CLOEXEC, top);
  for (size_t i = 0; i < from.size(); ++i) dup2(from[i], static_cast<int>(i) + 3);
  unsigned first = static_cast<unsigned>(from.size()) + 3;
  if (first < static_cast<unsigned>(kept)) close_range(first, static_cast<unsigned>(kept) - 1, 0);
  close_range(static_cast<unsigned>(kept) + 1, ~0u, 0);
}

void reset_signals() {
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) sigaction(number, &by_default, nullptr);
  // 32 and 33 are the C library's, which refuses them; posix_spawn leaves them ignored.
  const long plain[4] = {};
  for (int number : {32, 33}) syscall(SYS_rt_sigaction, number, plain, nullptr, sizeof(long));
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

/// Limits, namespaces, root and working folder of the task, as far as it has them.
void surround(const LaunchSpec& spec, int outcome_fd) {
  const Isolation& isolation = spec.isolation;
  if (int error_number = join_cgroups(isolation); error_number != 0) {
    fail_child(outcome_fd, "join the cgroup", error_number);
  }
  for (const std::string& name : spec.own_folders) {
    if (!spec.change_user) break;
    Fd folder(
        open((spec.folder + "/" + name).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (folder && fchown(folder.get(), spec.uid, spec.gid) != 0) {
      fail_child(outcome_fd, "chown the task's folder", errno);
    }
  }
  std::string stage;
  if (int error_number = enter_root(isolation, spec.folder, stage); error_number != 0) {
    fail_child(outcome_fd, stage.c_str(), error_number);
  }
  if (!isolation.own_root && chdir(spec.folder.c_str()) != 0) {
    fail_child(outcome_fd, "chdir", errno);
  }
  if (~isolation.capabilities != 0) {
    if (int error_number = limit_capabilities(isolation.capabilities); error_number != 0) {
      fail_child(outcome_fd, "limit the capabilities", error_number);
    }
  }
}

/// In the task's process, until it has become the task.
[[noreturn]] void become_task(const LaunchSpec& spec, const LaunchParts& parts, int release_fd,
                              int outcome_fd) {
  char go = 0;
  if (read(release_fd, &go, 1) != 1)
    _exit(127);  // the keeper is gone: nobody would know our status
  setsid();
  umask(022);
  reset_signals();
  prctl(PR_SET_CHILD_SUBREAPER, 0);
  rlimit files{parts.open_files_soft, parts.open_files_hard};
  setrlimit(RLIMIT_NOFILE, &files);
  // Opened both ways: without a reader a write waits, and never meets SIGPIPE.
  int out = openat(parts.folder_fd, "stdout", O_RDWR | O_CLOEXEC);
  int err = openat(parts.folder_fd, "stderr", O_RDWR | O_CLOEXEC);
  int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (out < 0 || err < 0 || in < 0) fail_child(outcome_fd, "open the log FIFOs", errno);
  if (spec.change_user) {
    // So that the task may open /dev/stdout by name.
    if (fchown(out, spec.uid, spec.gid) != 0 || fchown(err, spec.uid, spec.gid) != 0) {
      fail_child(outcome_fd, "chown the log FIFOs", errno);
    }
  }
  if (Fd score(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC)); score) {
    [[maybe_unused]] ssize_t ignored =
        write(score.get(), parts.oom_score.data(), parts.oom_score.size());
  }
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) {
    fail_child(outcome_fd, "place the standard descriptors", errno);
  }
  int kept = outcome_fd;
  place_descriptors({}, kept);
  if (int error_number = keep_to_cpus(spec.cpus); error_number != 0) {
    fail_child(kept, "keep to the cores", error_number);
  }
  surround(spec, kept);
  if (spec.change_user) {
    if (setgroups(spec.groups.size(), spec.groups.data()) != 0) {
      fail_child(kept, "setgroups", errno);
    }
    if (setgid(spec.gid) != 0) fail_child(kept, "setgid", errno);
    if (setuid(spec.uid) != 0) fail_child(kept, "setuid", errno);
  }
  std::vector<std::string> argv{spec.command};
  argv.insert(argv.end(), spec.args.begin(), spec.args.end());
  std::vector<char*> arguments = pointers(argv);
  std::vector<char*> environment = pointers(spec.env);
  int error_number = ENOENT;
  for (const std::string& path : command_candidates(spec)) {
    execve(path.c_str(), arguments.data(), environment.data());
    if (errno != ENOENT && errno != ENOTDIR) error_number = errno;
    // As execvp(3): a file that may not be executed does not end the search.
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) break;
  }
  fail_child(kept, "exec", error_number);
}

/// In the keeper's process, until it has become the keeper.
[[noreturn]] void become_keeper(const LaunchSpec& spec, const LaunchParts& parts, int outcome_fd) {
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // kept over execve: what the task orphans becomes ours
  int release[2];
  if (pipe2(release, O_CLOEXEC) != 0) fail_child(outcome_fd, "pipe", errno);
  pid_t task = fork();
  if (task < 0) fail_child(outcome_fd, "fork", errno);
  if (task == 0) {
    close(release[1]);
    become_task(spec, parts, release[0], outcome_fd);
  }
  // Numbers as the machine sees them: in a pid namespace of our own, ours and the task's are
  // others.
  std::string self = read_small_file(AT_FDCWD, "/proc/thread-self/stat").value_or("");
  std::string children = read_small_file(AT_FDCWD, "/proc/thread-self/children").value_or("");
  PidRecord record;
  record.boot_id = read_boot_id();
  record.keeper = atoi(self.c_str());
  record.pid = atoi(children.c_str());
  if (!spec.isolation.own_processes) record.pid = task;  // also where the kernel lists no children
  auto keeper_stat = read_proc_stat(record.keeper);
  auto task_stat = read_proc_stat(record.pid);
  if (!keeper_stat || !task_stat) fail_child(outcome_fd, "read /proc", ESRCH);
  record.keeper_start = keeper_stat->start_ticks;
  record.start = task_stat->start_ticks;
  if (!replace_file(parts.folder_fd, "pid", format_pid_record(record), 0600)) {
    fail_child(outcome_fd, "write the pid record", errno);
  }
  // Room for the status now, so that a full disk does not lose it later.
  if (!replace_file(parts.folder_fd, "exit.new", std::string(kExitRecordBytes, ' '), 0600)) {
    fail_child(outcome_fd, "write the exit record", errno);
  }
  int out = openat(parts.folder_fd, "stdout", O_RDWR | O_CLOEXEC);
  int err = openat(parts.folder_fd, "stderr", O_RDWR | O_CLOEXEC);
  if (out < 0 || err < 0) fail_child(outcome_fd, "open the log FIFOs", errno);
  int kept = outcome_fd;
  place_descriptors({parts.folder_fd, release[1], out, err, parts.lock_fd}, kept);
  static_assert(kKeeperFolderFd == 3 && kKeeperLockFd == 7);
  if (chdir("/") != 0) fail_child(kept, "chdir /", errno);
  std::vector<std::string> argv{"sluice-keeper", spec.run, std::to_string(task)};
  if (spec.isolation.own_processes) argv.emplace_back("init");
  std::vector<char*> arguments = pointers(argv);
  char* no_environment[] = {nullptr};
  execve(parts.keeper_image.c_str(), arguments.data(), no_environment);
  fail_child(kept, "exec the keeper", errno);  // the task sees its pipe end and goes, too
}

}  // namespace

Result<Launched> launch(const LaunchSpec& spec, const LaunchParts& parts) {
  int outcome[2];
  if (pipe2(outcome, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Fd read_end(outcome[0]);
  Fd write_end(outcome[1]);
  // As fork(2) with flags; the process has one thread, so that nothing of the C library minds.
  unsigned long flags = SIGCHLD | (spec.isolation.own_processes ? CLONE_NEWPID : 0u);
  auto keeper = static_cast<pid_t>(syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr));
  if (keeper < 0) return fail_errno(errno, "fork");
  if (keeper == 0) become_keeper(spec, parts, write_end.get());
  fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  return Launched{keeper, std::move(read_end)};
}

std::vector<std::string> command_candidates(const LaunchSpec& spec) {
  if (spec.command.find('/') != std::string::npos) return {spec.command};
  std::string folder = spec.isolation.own_root ? std::string() : spec.folder;
  std::vector<std::string> out{folder + "/local/" + spec.command, folder + "/" + spec.command};
  std::string_view path = kDefaultPath;
  for (const std::string& variable : spec.env) {
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  }
  while (!path.empty()) {
    size_t end = std::min(path.find(':'), path.size());
    // An empty element would mean the working folder, which was searched already.
    if (end > 0) out.push_back(std::string(path.substr(0, end)) + "/" + spec.command);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return out;
}

Error launch_error(const LaunchSpec& spec, const LaunchFailure& failure) {
  std::string_view stage(failure.stage, strnlen(failure.stage, sizeof failure.stage));
  std::string what(stage);
  if (stage == "exec") what = "command " + spec.command;
  if (stage == "chdir") what = "working folder " + spec.folder;
  Code code = Code::kIo;
  if (failure.error_number == ENOENT) code = Code::kNotFound;
  if (failure.error_number == EACCES || failure.error_number == EPERM) code = Code::kDenied;
  if (failure.error_number == ENOEXEC || failure.error_number == E2BIG) code = Code::kInvalid;
  if (failure.error_number == EAGAIN || failure.error_number == ENOMEM) code = Code::kUnavailable;
  return Error{code, what + ": " + strerror(failure.error_number)};
}

std::string format_pid_record(const PidRecord& record) {
  return fmt::format("pid {} {} {} {} {}\n", record.boot_id, record.keeper, record.keeper_start,
                     record.pid, record.start);
}

std::optional<PidRecord> parse_pid_record(std::string_view text) {
  std::vector<std::string_view> part = words(text);
  PidRecord record;
  if (part.size() != 6 || part[0] != "pid" || !read_number(part[2], record.keeper) ||
      !read_number(part[3], record.keeper_start) || !read_number(part[4], record.pid) ||
      !read_number(part[5], record.start) || record.keeper <= 0 || record.pid <= 0) {
    return std::nullopt;
  }
  record.boot_id = part[1];
  return record;
}

std::optional<ExitRecord> parse_exit_record(std::string_view text) {
  std::vector<std::string_view> part = words(text);
  ExitRecord record;
  if (part.size() != 4 || part[0] != "exit" || !read_number(part[1], record.code) ||
      !read_number(part[2], record.signal) || !read_number(part[3], record.at_ns)) {
    return std::nullopt;
  }
  return record;
}

}  // namespace sluice::drivers::exec
