// The life of a run in the supervisor: started or found in the folder, watched, ended, forgotten.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "drivers/exec/keeper.h"
#include "drivers/exec/supervisor.h"
#include "drivers/exec/supervisor_clock.h"

namespace sluice::drivers::exec {
namespace {

constexpr int64_t kLookMs = 20;          // between looks at what has no event of its own
constexpr int64_t kLastBytes = 4 << 20;  // of output that are copied before the end is reported
constexpr int64_t kOrphanStatusMs = 2'000;
constexpr int kCgroupTries = 250;                  // of kLookMs
constexpr size_t kNotifyTrustedBytes = 32 * 1024;  // half a pipe

/// An ended process's status from its pidfd, which needs no parenthood (Linux 6.15 on).
std::optional<int> status_of_pidfd(int pidfd) {
  struct Info {  // struct pidfd_info of linux/pidfd.h, which Debian 12 does not have
    uint64_t mask, cgroup;
    uint32_t numbers[11];
    int32_t exit_code;
  } info{};
  constexpr uint64_t kExit = 1 << 3;
  info.mask = kExit;
  if (ioctl(pidfd, _IOWR(0xFF, 11, Info), &info) != 0 || (info.mask & kExit) == 0)
    return std::nullopt;
  return info.exit_code;
}

void remove_run_folder(const std::string& path) {
  if (DIR* folder = opendir(path.c_str())) {
    while (dirent* entry = readdir(folder)) unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
  }
  rmdir(path.c_str());
}

/// The run's flock, or nothing while a keeper holds it.
Fd try_lock(const std::string& path) {
  Fd lock(open((path + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return {};
  return lock;
}

}  // namespace

void Supervisor::load() {
  std::vector<std::string> names;
  if (DIR* folder = opendir("runs")) {
    while (dirent* entry = readdir(folder)) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    closedir(folder);
  }
  for (const std::string& name : names) load_run(name);
  log("runs found: " + std::to_string(runs_.size()));
}

void Supervisor::load_run(const std::string& name) {
  std::string path = run_folder(name);
  Fd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return;
  Result<std::string> text = read_small_file(folder.get(), "task");
  Result<Message> record = text ? Message::parse(*text) : Result<Message>(pass(text));
  if (!record || run_name(*record).value_or("") != name) {
    // Written before anything is forked: without it there is no process.
    log("removed a run folder without a record: " + name);
    remove_run_folder(path);
    return;
  }
  auto run = std::make_unique<Run>();
  run->number = ++last_number_;
  run->name = name;
  run->record = std::move(*record);
  for (std::string_view cgroup : run->record.all("cgroup")) run->cgroups.emplace_back(cgroup);
  Run& found = *run;
  runs_by_name_[name] = run.get();
  runs_.emplace(found.number, std::move(run));
  open_outputs(found);
  look(found);
}

/// Decides what a run is whose process we did not just start ourselves.
void Supervisor::look(Run& run) {
  if (run.outcome) return;
  if (run.state == State::kOrphan) {
    if (run.known_by_ms != 0) orphan_ended(run);
    return;
  }
  if (run.state != State::kStarting) return;
  // First the lock, then the records: a keeper that ends in between has written them.
  Fd lock = try_lock(run_folder(run.name));
  Fd folder(open(run_folder(run.name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Result<std::string> text = read_small_file(folder.get(), "pid");
  std::optional<PidRecord> pids = text ? parse_pid_record(*text) : std::nullopt;
  if (pids) run.pids = *pids;
  if (read_exit(run)) {
    if (!lock) run.keeper = open_process(run.pids.keeper, run.pids.keeper_start);
    if (run.keeper) watch(run.keeper.get(), Kind::kKeeper, run.number, EPOLLIN);
    return ended(run, true);
  }
  if (!pids && lock) return start_failed(run, {Code::kUnavailable, "the start was interrupted"});
  if (pids && pids->boot_id != boot_id_) {
    run.exit_error = "the machine was restarted while the task ran";
    return ended(run, false);
  }
  if (pids && lock) return keeper_gone(run);
  if (pids && adopt(run)) return;
  set_timer(kLookMs, Timer::What::kLook, run.number);
}

/// From records to a running task: by its keeper, if that lives.
bool Supervisor::adopt(Run& run) {
  run.keeper = open_process(run.pids.keeper, run.pids.keeper_start);
  if (!run.keeper) return false;
  run.state = State::kRunning;
  watch(run.keeper.get(), Kind::kKeeper, run.number, EPOLLIN);
  wake(run, Wait::kStart, describe(run));
  return true;
}

/// The run's folder with its FIFOs, locked for the keeper to be.
Result<Supervisor::Place> Supervisor::make_place(const std::string& name) {
  std::string path = run_folder(name);
  // What a failed start left: a run that is there was found by load().
  if (try_lock(path)) remove_run_folder(path);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, "mkdir " + path);
  Place place{Fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), try_lock(path)};
  if (!place.folder || !place.lock) {
    return fail(Code::kUnavailable, "{}: an earlier keeper is still there", name);
  }
  for (const char* fifo : {"stdout", "stderr"}) {
    if (mkfifoat(place.folder.get(), fifo, 0600) != 0 && errno != EEXIST) {
      return fail_errno(errno, "mkfifo");
    }
  }
  return place;
}

Result<Supervisor::Run*> Supervisor::start(const Message& request, std::string name,
                                           LaunchSpec spec) {
  if (runs_.size() >= kMaxRuns) return fail(Code::kLimit, "{} runs are there already", kMaxRuns);
  Result<Place> place = make_place(name);
  if (!place) return pass(place);
  auto run = std::make_unique<Run>();
  run->number = ++last_number_;
  run->name = name;
  for (const char* key : {"alloc", "task", "run", "cluster", "node", "driver", "log_prefix",
                          "log_max_files", "log_max_bytes"}) {
    run->record.add(key, request.get(key));
  }
  std::vector<CgroupMount> mounts;
  std::string owner(request.get("cgroup_owner"));
  if (!owner.empty()) mounts = find_cgroup_mounts();
  run->cgroups = cgroup_folders(mounts, owner, name);
  for (const std::string& cgroup : run->cgroups) {
    run->record.add("cgroup", std::string_view(cgroup));
  }
  Result<void> written = replace_file(place->folder.get(), "task", run->record.body(), 0600);
  if (!written) return pass(written);
  if (!owner.empty()) {
    CgroupLimits limits{request.get_int("memory_bytes"), request.get_int("memory_max_bytes"),
                        request.get_int("cpu_shares")};
    Cgroups made = make_cgroups(mounts, owner, name, limits);
    spec.isolation.cgroups = std::move(made.folders);
    run->missing = std::move(made.missing);
  }
  open_outputs(*run);
  spec.run = name;
  LaunchParts parts{place->folder.get(),      place->lock.get(),        keeper_image_,
                    options_.open_files_soft, options_.open_files_hard, options_.oom_score};
  Result<Launched> launched = launch(spec, parts);
  if (!launched) {
    close_outputs(*run);
    remove_run_folder(run_folder(name));
    remove_cgroups_of(std::move(run->cgroups), 0);
    return pass(launched);
  }
  spec.env.clear();  // only the error's text needs the rest
  spec.args.clear();
  run->spec = std::make_unique<LaunchSpec>(std::move(spec));
  run->outcome = std::move(launched->outcome);
  watch(run->outcome.get(), Kind::kOutcome, run->number, EPOLLIN);
  Run* started = run.get();
  runs_by_name_[name] = started;
  runs_.emplace(started->number, std::move(run));
  return started;
}

void Supervisor::outcome_ready(Run& run) {
  char buffer[sizeof(LaunchFailure)];
  ssize_t count = read(run.outcome.get(), buffer, sizeof buffer);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) {
    run.outcome_bytes.append(buffer, static_cast<size_t>(count));
    return;
  }
  unwatch(run.outcome);
  std::unique_ptr<LaunchSpec> spec = std::move(run.spec);
  if (run.outcome_bytes.size() >= sizeof(LaunchFailure)) {
    LaunchFailure failure;
    memcpy(&failure, run.outcome_bytes.data(), sizeof failure);
    return start_failed(run, launch_error(*spec, failure));
  }
  look(run);
}

void Supervisor::start_failed(Run& run, const Error& error) {
  wake(run, Wait::kStart, error_reply(error));
  run.state = State::kEnded;
  run.exit_error = error.message;
  wake(run, Wait::kEnd, describe_end(run));
  wake(run, Wait::kStop, Message().add("ok", 1));
  forget(run);
}

bool Supervisor::read_exit(Run& run) {
  Result<std::string> text = read_small_file(AT_FDCWD, (run_folder(run.name) + "/exit").c_str());
  std::optional<ExitRecord> record = text ? parse_exit_record(*text) : std::nullopt;
  if (record) run.exit = *record;
  return record.has_value();
}

void Supervisor::keeper_gone(Run& run) {
  unwatch(run.keeper);
  if (run.state == State::kEnded) {
    // It goes when it saw the FIFOs empty, so nobody holds bytes any more.
    return close_outputs(run);
  }
  if (read_exit(run)) {
    ended(run, true);
    return close_outputs(run);
  }
  log("keeper of " + run.name + " was killed; watching the task itself");
  run.state = State::kOrphan;
  run.task = open_process(run.pids.pid, run.pids.start);
  if (run.task) {
    watch(run.task.get(), Kind::kTask, run.number, EPOLLIN);
    return wake(run, Wait::kStart, describe(run));
  }
  run.exit_error = "the task's keeper was killed: its exit code is not known";
  ended(run, false);
}

/// The pidfd of an orphan is readable: it has ended. Its status comes from waiting for it, if it
/// became our child (reap), or from the kernel, once its parent has reaped it.
void Supervisor::orphan_ended(Run& run) {
  if (run.state == State::kEnded) return;
  std::optional<int> status = status_of_pidfd(run.task.get());
  if (!status) {
    if (run.known_by_ms == 0) {
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, run.task.get(), nullptr);
      run.known_by_ms = monotonic_ms() + kOrphanStatusMs;
    }
    if (monotonic_ms() < run.known_by_ms) return set_timer(kLookMs, Timer::What::kLook, run.number);
    run.exit_error = "the task's keeper was killed: its exit code is not known";
  } else {
    run.exit.code = WIFEXITED(*status) ? WEXITSTATUS(*status) : 0;
    run.exit.signal = WIFSIGNALED(*status) ? WTERMSIG(*status) : 0;
  }
  ended(run, false);
}

void Supervisor::ended(Run& run, bool recorded) {
  // The output first: who hears of the end may read the files at once.
  copy_output(run, run.out, kLastBytes);
  copy_output(run, run.err, kLastBytes);
  run.state = State::kEnded;
  if (run.exit.at_ns == 0) run.exit.at_ns = wall_ns();
  unwatch(run.task);
  if (!recorded && run.exit_error.empty()) {
    // No keeper wrote it down: so that a later supervisor knows, too.
    std::string text =
        fmt::format("exit {} {} {}\n", run.exit.code, run.exit.signal, run.exit.at_ns);
    Result<void> written = replace_file(AT_FDCWD, run_folder(run.name) + "/exit", text, 0600);
    if (!written) log(run.name + ": " + written.error().message);
  }
  if (!run.keeper) close_outputs(run);
  wake(run, Wait::kStart, describe(run));
  wake(run, Wait::kEnd, describe_end(run));
  wake(run, Wait::kStop, Message().add("ok", 1));
}

void Supervisor::send(Run& run, int request) {
  int number = request & 0xff;
  if (run.keeper && run.state == State::kRunning) {
    siginfo_t info{};
    info.si_signo = kKeeperSignal;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_int = request;
    syscall(SYS_pidfd_send_signal, run.keeper.get(), kKeeperSignal, &info, 0);
    return;
  }
  if (run.state != State::kOrphan || run.known_by_ms != 0) return;
  // Nobody holds the orphan's number for us: only what its pidfd reaches, and what is below it now.
  if ((request & kKeeperTreeFlag) != 0) {
    for (pid_t pid : process_tree(run.pids.pid)) {
      std::optional<ProcStat> stat = read_proc_stat(pid);
      Fd process = stat ? open_process(pid, stat->start_ticks) : Fd();
      if (process) syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
    }
  }
  syscall(SYS_pidfd_send_signal, run.task.get(), number, nullptr, 0);
}

void Supervisor::forget(Run& run) {
  close_outputs(run);
  unwatch(run.keeper);
  unwatch(run.outcome);
  unwatch(run.task);
  remove_run_folder(run_folder(run.name));
  remove_cgroups_of(std::move(run.cgroups), 0);
  runs_by_name_.erase(run.name);
  runs_.erase(run.number);
}

/// A group stays while a process of it is ending: tried again for a while.
void Supervisor::remove_cgroups_of(std::vector<std::string> folders, int tries) {
  if (folders.empty() || remove_cgroups(folders)) return;
  if (tries == kCgroupTries) return log("cgroup is still in use: " + folders.front());
  kill_cgroups(folders);
  timers_.emplace(monotonic_ms() + kLookMs,
                  Timer{Timer::What::kRemoveCgroups, 0, std::move(folders), tries + 1});
}

void Supervisor::reap() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
  }
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    // A task is our child only after its keeper was killed (we are the subreaper), maybe just now.
    for (auto& [number, run] : runs_) {
      if (run->pids.pid != pid || run->state == State::kEnded || run->pids.boot_id != boot_id_)
        continue;
      unwatch(run->keeper);
      run->exit.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
      run->exit.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      ended(*run, false);
      break;
    }
  }
}

void Supervisor::read_notify() {
  char buffer[16 * 1024];
  std::string text;
  for (ssize_t count; (count = read(notify_.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(count));
  }
  std::vector<Run*> named;
  if (text.size() >= kNotifyTrustedBytes) {
    // The FIFO may have been full and names lost: look at all.
    for (auto& [number, run] : runs_) named.push_back(run.get());
  }
  for (std::string_view rest = text; !rest.empty();) {
    size_t end = std::min(rest.find('\n'), rest.size());
    auto at = runs_by_name_.find(rest.substr(0, end));
    if (at != runs_by_name_.end()) named.push_back(at->second);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  for (Run* run : named) {
    if (run->state == State::kRunning && read_exit(*run)) ended(*run, true);
  }
}

void Supervisor::wake(Run& run, Wait what, const Message& message) {
  std::vector<uint64_t> connections;
  std::erase_if(run.waiters, [&](const Waiter& waiter) {
    if (waiter.what == what) connections.push_back(waiter.connection);
    return waiter.what == what;
  });
  for (uint64_t number : connections) reply(number, message);
}

}  // namespace sluice::drivers::exec
