// SupervisorClient: the agent's way to the supervisor; starts it where none answers and replaces
// one of another build.
//
// Owner: main.cc; shared by the exec drivers, outlives them. Thread: the control loop. A request is
// one connection, so that cancelling a task withdraws it; every request may be said again, and is,
// up to kAttempts times, when the supervisor goes away before its answer. Once something was asked
// of it, the client keeps a connection of its own and starts the supervisor anew when that breaks
// while runs are there: without a supervisor tasks stand still as soon as their log FIFO is full.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/env.h"
#include "core/log.h"
#include "core/scope.h"
#include "drivers/exec/proc.h"
#include "drivers/exec/wire.h"

namespace sluice::drivers::exec {

class SupervisorClient {
 public:
  static constexpr int kAttempts = 3;
  static constexpr int64_t kNoTimeout = 0;

  /// `folder` is absolute and ours alone (data_dir/supervisor); made when first needed.
  SupervisorClient(Env& env, Log& log, std::string folder);

  /// The reply, or the error that it carries. kUnavailable: no supervisor can be had now.
  Task<Result<Message>> call(Message request, int64_t timeout_ms);
  /// True if the folder holds a run, or a supervisor is there that may be about to make one: then
  /// it must be asked to know more.
  bool may_have_runs() { return watching_ || has_runs(); }
  /// Ends the supervisor. kConflict while a task runs; success where there is none.
  Task<Result<void>> leave();
  /// Why the supervisor could not be started last time; empty if it could.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  Task<Result<std::unique_ptr<Stream>>> connect();
  Task<Result<std::unique_ptr<Stream>>> dial();
  Task<Result<void>> ensure_started();
  Task<Result<Message>> exchange(Stream& stream, std::string frame);
  Task<void> check_build();
  Task<void> keep_watch();
  Result<void> prepare();
  bool has_runs();

  Env& env_;
  Log& log_;
  std::string folder_;
  Fd folder_fd_;
  bool starting_ = false;
  Event started_;
  bool build_checked_ = false;
  bool watching_ = false;
  std::string trouble_;
  Scope scope_;
};

}  // namespace sluice::drivers::exec
