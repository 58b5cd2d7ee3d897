// The supervisor's clocks. It is a program of its own, on epoll and outside the simulation, so it
// asks the kernel; this is its one door, and nothing that sluice itself links may open it.
//
// Any thread.
#pragma once

#include <cstdint>

namespace sluice::drivers::exec {

int64_t monotonic_ms();
/// Unix time.
int64_t wall_ns();

}  // namespace sluice::drivers::exec
