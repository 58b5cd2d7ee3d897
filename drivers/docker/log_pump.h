// LogPump: keeps a container's output flowing into the task's log files until the container has
// ended and all of it is written. Streams break and dockerd restarts; the copier (log_copy.h) sees
// to it that no line is lost or written twice.
//
// Docker keeps two files of limited size (create.cc) and reads them back more slowly than a task
// can fill them; a reader that fell behind by a whole one would find a gap. So a task that writes
// that much is held: Docker stops reading a container's pipes while someone who is attached to them
// takes nothing (it buffers 1 MB), and the task's write waits, as at any full pipe. Whoever writes
// less than that is never held, and nobody is once the agent is gone.
//
// Owner: the driver's record of the run. Thread: the executor's; files are written on the pool, and
// only then the next bytes are read, so that a slow disk slows the stream and not the control loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/env.h"
#include "core/log.h"
#include "core/result.h"
#include "core/scope.h"
#include "drivers/docker/api.h"
#include "drivers/docker/log_copy.h"

namespace sluice::drivers {

class LogPump {
 public:
  /// Starts at once.
  LogPump(Env& env, Log& log, DockerApi& api, LogCopyOptions options);

  /// Set once everything the container said is written, or can never be.
  Event& finished() { return finished_; }
  /// Grows with what has been read of Docker and with what has been written.
  uint64_t progress() const { return progress_; }

 private:
  enum class Outcome : uint8_t { kDone, kAgain, kNeverAgain };

  Task<void> run();
  Task<std::unique_ptr<LogCopy>> open_copy();
  Task<Outcome> copy_stream(bool follow);
  Task<Result<void>> write(std::string bytes);
  Task<Result<bool>> container_ended();
  void say_gap(const LogCopy::Gap& gap);
  Task<void> keep_near();
  Task<void> hold();
  Task<void> let_go_when_quiet();

  Env& env_;
  Log& log_;
  DockerApi& api_;
  LogCopyOptions options_;
  std::unique_ptr<LogCopy> copy_;  // away while the pool works with it
  int64_t checkpoint_at_ms_ = 0;
  uint64_t progress_ = 0;
  uint64_t stream_bytes_ = 0;     // of the stream that is read
  std::unique_ptr<Stream> held_;  // attached to the container: it waits
  bool watching_ = false;         // let_go_when_quiet runs
  int64_t hold_again_at_ms_ = 0;
  Event finished_;
  Scope scope_;
};

}  // namespace sluice::drivers
