// The supervisor's answers. Each request is level-triggered: said again, it finds what the first
// one made.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/check.h"
#include "drivers/exec/cpus.h"
#include "drivers/exec/keeper.h"
#include "drivers/exec/supervisor.h"

namespace sluice::drivers::exec {
namespace {

constexpr size_t kMaxRunNameBytes = 200;

void append_encoded(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '_' || c == '-';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
}

Message done() {
  return Message().add("ok", 1);
}

}  // namespace

Result<std::string> run_name(const Message& request) {
  if (request.get("alloc").empty() || request.get("task").empty() ||
      request.get_int("run", -1) < 0) {
    return fail(Code::kInvalid, "a request needs alloc, task and run");
  }
  std::string name;
  append_encoded(name, request.get("alloc"));
  name += '.' + std::to_string(request.get_int("run")) + '.';
  append_encoded(name, request.get("task"));
  if (name.size() > kMaxRunNameBytes) {
    return fail(Code::kLimit, "names of alloc and task take {} bytes, more than {}", name.size(),
                kMaxRunNameBytes);
  }
  return name;
}

Result<LaunchSpec> launch_spec(const Message& request) {
  LaunchSpec spec;
  auto has_zero = [](std::string_view text) { return text.find('\0') != std::string_view::npos; };
  spec.command = request.get("command");
  if (spec.command.empty()) return fail(Code::kInvalid, "start: no command");
  if (has_zero(spec.command)) return fail(Code::kInvalid, "start: the command holds a zero byte");
  for (std::string_view arg : request.all("arg")) {
    if (has_zero(arg)) return fail(Code::kInvalid, "start: an argument holds a zero byte");
    spec.args.emplace_back(arg);
  }
  for (std::string_view variable : request.all("env")) {
    // The value is not shown: it may be secret.
    if (has_zero(variable) || variable.find('=') == std::string_view::npos ||
        variable.starts_with('=')) {
      return fail(Code::kInvalid, "start: environment variable {} is no NAME=value",
                  variable.substr(0, variable.find('=')));
    }
    spec.env.emplace_back(variable);
  }
  spec.folder = request.get("folder");
  if (!spec.folder.starts_with('/')) return fail(Code::kInvalid, "start: folder is not absolute");
  if (!request.get("log_prefix").starts_with('/')) {
    return fail(Code::kInvalid, "start: log_prefix is not absolute");
  }
  if (request.has("uid")) {
    spec.change_user = true;
    spec.uid = static_cast<uid_t>(request.get_int("uid"));
    spec.gid = static_cast<gid_t>(request.get_int("gid"));
    for (std::string_view group : request.all("group")) {
      uint32_t value = 0;
      std::from_chars(group.data(), group.data() + group.size(), value);
      spec.groups.push_back(value);
    }
  }
  Result<CpuList> cpus = parse_cpu_list(request.get("cpus"));
  if (!cpus) return pass(cpus, "start: cpus");
  spec.cpus = *std::move(cpus);
  for (std::string_view name : request.all("own_folder")) spec.own_folders.emplace_back(name);
  Isolation& isolation = spec.isolation;
  isolation.own_root = request.get_int("own_root") == 1;
  isolation.own_processes = request.get_int("own_processes") == 1;
  isolation.own_ipc = request.get_int("own_ipc") == 1;
  isolation.alloc_folder = request.get("alloc_folder");
  for (std::string_view folder : request.all("host_folder")) {
    if (!folder.starts_with('/')) return fail(Code::kInvalid, "start: host_folder is not absolute");
    isolation.host_folders.emplace_back(folder);
  }
  if (request.has("drop_capabilities")) {
    isolation.capabilities = ~static_cast<uint64_t>(request.get_int("drop_capabilities"));
  }
  return spec;
}

void Supervisor::handle(Connection& connection, const Message& request) {
  uint64_t number = connection.number;
  std::string_view op = request.get("op");
  // "hello" and "upgrade" never change, so that any agent can replace any supervisor.
  if (op == "hello") {
    reply(number, done()
                      .add("v", kWireVersion)
                      .add("build", options_.build)
                      .add("boot", boot_id_)
                      .add("pid", static_cast<int64_t>(getpid())));
    return;
  }
  if (op == "upgrade") return handle_upgrade(connection, request);
  if (request.get_int("v") != kWireVersion) {
    return reply(number,
                 error_reply({Code::kUnsupported,
                              fmt::format("this supervisor speaks version {} of its protocol",
                                          kWireVersion)}));
  }
  if (op == "watch") return;  // answered by the end of the connection, when we are gone
  if (op == "list") return reply(number, list());
  if (op == "leave") {
    bool busy =
        std::ranges::any_of(runs_, [](auto& at) { return at.second->state != State::kEnded; });
    if (busy) return reply(number, error_reply({Code::kConflict, "tasks are running"}));
    leaving_ = true;
    return reply(number, done());
  }
  if (op == "start") return handle_start(connection, request);
  Result<std::string> name = run_name(request);
  if (!name) return reply(number, error_reply(name.error()));
  auto at = runs_by_name_.find(*name);
  if (at == runs_by_name_.end()) {
    return reply(number, error_reply({Code::kNotFound, "no such run: " + *name}));
  }
  handle_run(connection, request, op, *at->second);
}

void Supervisor::handle_start(Connection& connection, const Message& request) {
  uint64_t number = connection.number;
  Result<std::string> name = run_name(request);
  if (!name) return reply(number, error_reply(name.error()));
  auto at = runs_by_name_.find(*name);
  Run* run = at == runs_by_name_.end() ? nullptr : at->second;
  if (run != nullptr && (run->record.get("cluster") != request.get("cluster") ||
                         run->record.get("node") != request.get("node"))) {
    return reply(number,
                 error_reply({Code::kConflict, "another node's run has that name: " + *name}));
  }
  if (run == nullptr) {
    Result<LaunchSpec> spec = launch_spec(request);
    if (!spec) return reply(number, error_reply(spec.error()));
    Result<Run*> started = start(request, *name, std::move(*spec));
    if (!started) return reply(number, error_reply(started.error()));
    run = *started;
  }
  if (run->state == State::kStarting) {
    run->waiters.push_back({number, Wait::kStart});
    return;
  }
  reply(number, describe(*run));
}

void Supervisor::handle_run(Connection& connection, const Message& request, std::string_view op,
                            Run& run) {
  uint64_t number = connection.number;
  if (op == "status") return reply(number, describe(run));
  if (op == "wait") {
    if (run.state == State::kEnded) return reply(number, describe_end(run));
    run.waiters.push_back({number, Wait::kEnd});
    return;
  }
  if (op == "stop") return handle_stop(connection, request, run);
  if (op == "signal") {
    auto signal = static_cast<int>(request.get_int("signal"));
    if (signal <= 0 || signal >= NSIG) {
      return reply(number, error_reply({Code::kInvalid, "no such signal"}));
    }
    if (run.state == State::kEnded) {
      return reply(number, error_reply({Code::kNotFound, "the task has ended"}));
    }
    send(run, signal);
    return reply(number, done());
  }
  if (op == "stats") return reply(number, stats(run));
  if (op == "confine") return reply(number, confine(run, request.get("cpus")));
  if (op == "remove") {
    if (run.state != State::kEnded) {
      return reply(number, error_reply({Code::kConflict, "the task is running: " + run.name}));
    }
    forget(run);
    return reply(number, done());
  }
  reply(number, error_reply({Code::kUnsupported, "unknown request: " + std::string(op)}));
}

void Supervisor::handle_stop(Connection& connection, const Message& request, Run& run) {
  if (run.state == State::kEnded) return reply(connection.number, done());
  auto signal = static_cast<int>(request.get_int("signal"));
  if (signal <= 0 || signal >= NSIG) {
    return reply(connection.number, error_reply({Code::kInvalid, "no such signal"}));
  }
  if (run.state == State::kStarting) {
    return reply(connection.number,
                 error_reply({Code::kUnavailable, "the task is still starting"}));
  }
  run.waiters.push_back({connection.number, Wait::kStop});
  send(run, signal | kKeeperGroupFlag);
  set_timer(std::clamp<int64_t>(request.get_int("timeout_ms"), 0, INT32_MAX), Timer::What::kKill,
            run.number);
}

void Supervisor::handle_upgrade(Connection& connection, const Message& request) {
  std::string path(request.get("path"));
  std::string build(request.get("build"));
  bool starting =
      std::ranges::any_of(runs_, [](auto& at) { return static_cast<bool>(at.second->outcome); });
  if (starting) {
    // The outcome of a start is known to this process alone until it is in the folder: not now.
    return reply(connection.number, error_reply({Code::kUnavailable, "a task is just starting"}));
  }
  if (access(path.c_str(), X_OK) != 0) {
    return reply(connection.number, error_reply({Code::kInvalid, "no executable: " + path}));
  }
  log("upgrade from build " + options_.build + " to " + build);
  // The client hears of it by the new process's build; a reply would come from the one that goes.
  std::string resume = std::to_string(options_.lock.get()) + "," +
                       std::to_string(options_.listener.get()) + "," +
                       std::to_string(options_.open_files_soft) + "," +
                       std::to_string(options_.open_files_hard) + "," + options_.oom_score;
  fcntl(options_.lock.get(), F_SETFD, 0);
  fcntl(options_.listener.get(), F_SETFD, 0);
  execl(path.c_str(), "sluice-supervisor", "--dir", options_.folder.c_str(), "--build",
        build.c_str(), "--resume", resume.c_str(), nullptr);
  std::string why = strerror(errno);
  fcntl(options_.lock.get(), F_SETFD, FD_CLOEXEC);
  fcntl(options_.listener.get(), F_SETFD, FD_CLOEXEC);
  log("upgrade failed: " + why);
  reply(connection.number, error_reply({Code::kIo, "exec " + path + ": " + why}));
}

Message Supervisor::describe(const Run& run) const {
  Message out = done();
  for (const char* key : {"alloc", "task", "run", "cluster", "node", "driver"}) {
    out.add(key, run.record.get(key));
  }
  out.add("boot", run.pids.boot_id).add("pid", run.pids.pid);
  out.add("start", static_cast<int64_t>(run.pids.start));
  out.add("running", run.state == State::kEnded ? 0 : 1);
  for (const std::string& missing : run.missing) out.add("missing", std::string_view(missing));
  return out;
}

Message Supervisor::describe_end(const Run& run) const {
  Message out = describe(run);
  out.add("code", run.exit.code).add("signal", run.exit.signal).add("at_ns", run.exit.at_ns);
  if (!run.exit_error.empty()) out.add("lost", run.exit_error);
  if (cgroups_saw_oom(run.cgroups)) out.add("oom", 1);
  return out;
}

Message Supervisor::stats(const Run& run) const {
  uint64_t cpu_ticks = 0;
  uint64_t rss_pages = 0;
  pid_t root = run.state == State::kRunning ? run.pids.keeper : run.pids.pid;
  for (pid_t pid : process_tree(root)) {
    std::optional<ProcStat> stat = read_proc_stat(pid);
    if (!stat || pid == run.pids.keeper) continue;
    cpu_ticks += stat->cpu_ticks;
    rss_pages += stat->rss_pages;
  }
  Message out = done();
  out.add("cpu_ms", static_cast<int64_t>(cpu_ticks) * 1000 / sysconf(_SC_CLK_TCK));
  out.add("rss_bytes", static_cast<int64_t>(rss_pages) * sysconf(_SC_PAGESIZE));
  for (const Output* output : {&run.out, &run.err}) {
    if (!output->files || output->files->dropped_bytes() == 0) continue;
    out.add("dropped_bytes", output->files->dropped_bytes());
    out.add("log_trouble", output->files->trouble());
  }
  return out;
}

Message Supervisor::confine(const Run& run, std::string_view text) const {
  const Result<CpuList> cpus = parse_cpu_list(text);
  if (!cpus) return error_reply(cpus.error());
  if (run.state == State::kEnded) return error_reply({Code::kNotFound, "the task has ended"});
  pid_t root = run.state == State::kRunning ? run.pids.keeper : run.pids.pid;
  if (int error_number = keep_tree_to_cpus(root, run.pids.keeper, *cpus); error_number != 0) {
    return error_reply({Code::kIo, fmt::format("sched_setaffinity: {}", strerror(error_number))});
  }
  return done();
}

Message Supervisor::list() const {
  Message out = done();
  for (const auto& [number, run] : runs_) out.add("entry", describe(*run).body());
  return out;
}

}  // namespace sluice::drivers::exec
