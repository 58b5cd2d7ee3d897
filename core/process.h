// Processes: programs that the control loop starts and talks to: git and tar for artifacts,
// commands in a raw_exec task. Not the tasks themselves; they outlive the agent (drivers/exec).
//
// Owner of a Process: whoever started it; destroying it kills its whole session. Thread: the
// executor's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/network.h"
#include "core/result.h"
#include "core/task.h"

namespace sluice {

struct ProcessUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

struct ProcessSpec {
  std::vector<std::string> argv;  // argv[0] is looked for in the PATH of `env`, unless it has a '/'
  std::vector<std::string> env;   // "NAME=value", all of it; may be secret
  std::string folder;             // working folder; absolute
  std::optional<ProcessUser> user;
  bool terminal = false;  // input and output are one terminal of these sizes
  uint16_t rows = 24, columns = 80;
};

struct ProcessExit {
  int64_t code = 0;
  int64_t signal = 0;
};

class Process {
 public:
  virtual ~Process() = default;
  virtual Stream& input() = 0;  // shutdown_write() ends it
  virtual Stream& output() = 0;
  virtual Stream* errors() = 0;  // nullptr on a terminal
  virtual Result<void> resize(uint16_t rows, uint16_t columns) = 0;
  virtual void signal(int number) = 0;
  virtual Task<ProcessExit> wait() = 0;
};

class Processes {
 public:
  virtual ~Processes() = default;
  /// kNotFound: no such program.
  virtual Task<Result<std::unique_ptr<Process>>> start(ProcessSpec spec) = 0;
};

/// What a program that ended printed, each stream up to `limit_bytes`.
struct ProcessOutput {
  ProcessExit exit;
  std::string output;
  std::string errors;
};
/// Runs it to its end, without input. kTimeout: it was killed.
Task<Result<ProcessOutput>> run_process(Processes& processes, class Executor& executor,
                                        ProcessSpec spec, int64_t timeout_ms, size_t limit_bytes);

}  // namespace sluice
