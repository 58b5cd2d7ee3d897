// UvProcesses: Processes on this machine, over a UvLoop.
// Owner: main.cc; outlived by the loop, outlives its processes. Thread: the loop's; fork runs on
// the pool.
#pragma once

#include "core/loop.h"
#include "core/process.h"

namespace sluice {

class UvProcesses final : public Processes {
 public:
  explicit UvProcesses(UvLoop& loop) : loop_(loop) {}
  Task<Result<std::unique_ptr<Process>>> start(ProcessSpec spec) override;

 private:
  UvLoop& loop_;
};

}  // namespace sluice
