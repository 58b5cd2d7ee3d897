// The supervisor: the one process of a node that starts the tasks of the exec drivers, moves their
// output into log files and knows how they ended.
//
// What for: the agent may stop, crash or be replaced while tasks run on. All that the supervisor
// knows is in its folder, too, so that it may itself be killed or replaced at any moment:
//
//   lock            flock: one supervisor a folder
//   socket          where agents ask (mode 0600; wire.h)
//   notify          FIFO: keepers say here that a status is recorded
//   bin/            the executables
//   runs/RUN/task   the start request as far as it is needed later (no environment, no arguments)
//   runs/RUN/pid    keeper and task, with boot id and start times; written before the task runs
//   runs/RUN/exit   the status; written by the keeper before anyone hears of the end
//   runs/RUN/lock   flock: held while the keeper lives
//   runs/RUN/stdout, stderr   the log FIFOs
//
// Thread: one, on epoll; the process is small (under 4 MB resident) and holds no library but the
// C++ one. Limits: kMaxRuns, kMaxConnections, and wire.h's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "drivers/exec/cgroup.h"
#include "drivers/exec/launch.h"
#include "drivers/exec/log_files.h"
#include "drivers/exec/proc.h"
#include "drivers/exec/wire.h"

namespace sluice::drivers::exec {

constexpr size_t kMaxRuns = 16 * 1024;
constexpr size_t kMaxConnections = 32 * 1024;
constexpr int64_t kIdleExitMs = 60'000;  // without a running task or a connection

struct SupervisorOptions {
  std::string folder;  // absolute
  std::string build;   // names this executable; an agent of another build upgrades us
  Fd lock;             // held
  Fd listener;
  uint64_t open_files_soft = 1024;
  uint64_t open_files_hard = 4096;
  std::string oom_score = "0";
};

class Supervisor {
 public:
  explicit Supervisor(SupervisorOptions options);
  /// Ends the process's life as a supervisor: returns its exit status.
  int run();

 private:
  enum class State : uint8_t {
    kStarting,  // the keeper or the task is not there yet
    kRunning,   // its keeper waits for it
    kOrphan,    // the keeper was killed; we watch the task ourselves
    kEnded,
  };
  enum class Kind : uint8_t {
    kListener,
    kNotify,
    kSignal,
    kConnection,
    kOutcome,
    kStdout,
    kStderr,
    kKeeper,
    kTask
  };
  enum class Wait : uint8_t { kStart, kEnd, kStop };

  struct Output {
    Fd fifo;
    std::shared_ptr<LogFiles> files;
  };
  struct Waiter {
    uint64_t connection;
    Wait what;
  };
  struct Run {
    uint64_t number = 0;
    std::string name;  // the folder's
    Message record;
    State state = State::kStarting;
    PidRecord pids;
    Fd keeper;   // pidfd
    Fd task;     // pidfd, of an orphan
    Fd outcome;  // of a start that we made
    std::string outcome_bytes;
    std::unique_ptr<LaunchSpec> spec;  // until the outcome is known, for the error's text
    Output out, err;
    ExitRecord exit;
    std::string exit_error;
    std::vector<std::string> cgroups;  // folders
    std::vector<std::string> missing;  // what the machine did not allow at the start
    int64_t known_by_ms = 0;           // an orphan's status is waited for until then
    std::vector<Waiter> waiters;
  };
  struct Connection {
    uint64_t number = 0;
    Fd fd;
    std::string in;
    std::string out;
    bool busy = false;     // a reply is due later
    bool writing = false;  // EPOLLOUT is asked for
  };
  struct Timer {
    enum class What : uint8_t { kKill, kLook, kRemoveCgroups } what;
    uint64_t run;
    std::vector<std::string> cgroups;  // of a run that is gone
    int tries = 0;
  };

  // supervisor.cc: the loop and the connections
  void dispatch(uint64_t tag, uint32_t events);
  void watch(int fd, Kind kind, uint64_t number, uint32_t events);
  void unwatch(Fd& fd);
  void accept_connections();
  void read_connection(Connection& connection);
  void serve(Connection& connection);
  void reply(uint64_t connection, const Message& message);
  bool flush(Connection& connection);
  void close_connection(uint64_t number);
  void set_timer(int64_t delay_ms, Timer::What what, uint64_t run);
  void run_timers();
  int64_t wait_ms() const;
  void log(const std::string& line);

  // supervisor_requests.cc
  void handle(Connection& connection, const Message& request);
  void handle_start(Connection& connection, const Message& request);
  void handle_run(Connection& connection, const Message& request, std::string_view op, Run& run);
  void handle_stop(Connection& connection, const Message& request, Run& run);
  void handle_upgrade(Connection& connection, const Message& request);
  Message describe(const Run& run) const;
  Message describe_end(const Run& run) const;
  Message stats(const Run& run) const;
  Message confine(const Run& run, std::string_view cpus) const;
  Message list() const;

  // supervisor_outputs.cc
  void copy_output(Run& run, Output& output, int64_t budget_bytes);
  void open_outputs(Run& run);
  void close_outputs(Run& run);

  // supervisor_runs.cc: the life of a run
  void load();
  void load_run(const std::string& name);
  struct Place {
    Fd folder;
    Fd lock;
  };
  Result<Place> make_place(const std::string& name);
  Result<Run*> start(const Message& request, std::string name, LaunchSpec spec);
  void outcome_ready(Run& run);
  void remove_cgroups_of(std::vector<std::string> folders, int tries);
  void start_failed(Run& run, const Error& error);
  void look(Run& run);
  bool adopt(Run& run);
  void keeper_gone(Run& run);
  void orphan_ended(Run& run);
  bool read_exit(Run& run);
  void ended(Run& run, bool recorded);
  void send(Run& run, int request);
  void forget(Run& run);
  void reap();
  void read_notify();
  void wake(Run& run, Wait what, const Message& message);
  std::string run_folder(const std::string& name) const {
    return options_.folder + "/runs/" + name;
  }

  SupervisorOptions options_;
  std::string boot_id_;
  std::string keeper_image_;
  Fd epoll_;
  Fd signals_;
  Fd notify_;
  Fd log_;
  PeekPipe peek_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, std::unique_ptr<Run>> runs_;
  std::map<std::string, Run*, std::less<>> runs_by_name_;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::map<std::string, std::weak_ptr<LogFiles>> files_;  // by prefix: runs of one task share them
  std::multimap<int64_t, Timer> timers_;                  // by due time
  int64_t idle_since_ms_ = 0;
  bool leaving_ = false;
};

/// The run's folder name, from the request's alloc, run and task. kInvalid, kLimit.
Result<std::string> run_name(const Message& request);
/// What a start request asks for, checked.
Result<LaunchSpec> launch_spec(const Message& request);

/// main of the supervisor's executable (supervisor_main.cc).
int supervisor_main(int argc, char** argv);

}  // namespace sluice::drivers::exec
