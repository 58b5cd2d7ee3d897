// launch: from a start request to a keeper and a task that runs.
//
// The supervisor forks the keeper-to-be, which forks the task-to-be, writes down both (with start
// times), and executes the keeper's image; the keeper's first act lets the task go on to execve. So
// whatever is killed when: either the task never ran, or its process and its later status are on
// record.
//
// Owner: the supervisor, which is single-threaded; so the children may use the C library.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/cpu_list.h"
#include "drivers/exec/isolate.h"
#include "drivers/exec/proc.h"

namespace sluice::drivers::exec {

struct LaunchSpec {
  std::string run;  // the folder's name, for the keeper's command line
  std::string command;
  std::vector<std::string> args;  // without argv[0]
  std::vector<std::string> env;   // "NAME=value"; may be secret
  std::string folder;             // working folder
  bool change_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  std::vector<std::string> own_folders;  // below `folder`; given to the user, if it is changed
  CpuList cpus;                          // the cores it may run on; empty: all
  Isolation isolation;
};

struct LaunchParts {
  int folder_fd = -1;  // the run's folder, with its FIFOs
  int lock_fd = -1;    // flocked
  std::string keeper_image;
  // What the supervisor changed for itself and the task gets back.
  uint64_t open_files_soft = 1024;
  uint64_t open_files_hard = 4096;
  std::string oom_score = "0";
};

struct Launched {
  pid_t keeper = 0;
  Fd outcome;  // end of stream: the task runs; bytes: a LaunchFailure
};

/// What went wrong in a child, as it comes through the outcome pipe.
struct LaunchFailure {
  int32_t error_number = 0;
  char stage[60] = {};  // "exec", "chdir", ...
};

Result<Launched> launch(const LaunchSpec& spec, const LaunchParts& parts);
/// The places where `command` is looked for, in order: the task's own folder, then the PATH.
std::vector<std::string> command_candidates(const LaunchSpec& spec);
/// An error for the operator.
Error launch_error(const LaunchSpec& spec, const LaunchFailure& failure);

/// The record "pid" in the run's folder.
struct PidRecord {
  std::string boot_id;
  pid_t keeper = 0;
  uint64_t keeper_start = 0;
  pid_t pid = 0;
  uint64_t start = 0;
};
std::string format_pid_record(const PidRecord& record);
std::optional<PidRecord> parse_pid_record(std::string_view text);

/// The record "exit", as the keeper writes it.
struct ExitRecord {
  int64_t code = 0;
  int64_t signal = 0;
  int64_t at_ns = 0;
};
std::optional<ExitRecord> parse_exit_record(std::string_view text);

}  // namespace sluice::drivers::exec
