// Env: the outside world as control-loop code sees it. One a process; in the simulation, one a
// machine.
#pragma once

#include "core/disk.h"
#include "core/executor.h"
#include "core/network.h"
#include "core/process.h"
#include "core/random.h"

namespace sluice {

/// References only; whoever makes the parts (main.cc, test/sim) owns them and outlives all users.
struct Env {
  Executor& executor;
  Network& network;
  Disk& disk;
  Random& random;
  Processes* processes = nullptr;  // none in the simulation
};

}  // namespace sluice
