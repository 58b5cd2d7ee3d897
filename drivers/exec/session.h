// ProcessSession: a command beside a raw_exec task, as a process of the agent's own: it ends with
// the session, and with the agent.
//
// Owner: whoever asked for it. Thread: the control loop.
#pragma once

#include <deque>
#include <memory>

#include "core/process.h"
#include "core/scope.h"
#include "orchestrator/driver.h"

namespace sluice::drivers::exec {

class ProcessSession final : public orchestrator::ExecSession {
 public:
  static constexpr size_t kPieceBytes = 16 * 1024;

  ProcessSession(Executor& executor, std::unique_ptr<Process> process);

  Task<Result<std::optional<Piece>>> read() override;
  Task<Result<void>> write(std::string_view input) override;
  Result<void> end_input() override;
  Task<Result<void>> resize(uint16_t rows, uint16_t columns) override;
  Task<Result<int64_t>> wait() override;

 private:
  Task<void> follow(Stream& from, bool errors);

  std::unique_ptr<Process> process_;
  std::deque<Piece> pieces_;  // at most one a stream: its reader waits until that is taken
  size_t open_ = 0;           // streams
  Event arrived_, taken_;
  Scope readers_;
};

}  // namespace sluice::drivers::exec
