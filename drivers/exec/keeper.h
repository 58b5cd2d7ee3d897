// What the supervisor and the keeper (keeper.cc) agree on. No include: the keeper has no C library.
#pragma once

namespace sluice::drivers::exec {

// Descriptors of a keeper. Nothing else is open in it.
constexpr int kKeeperFolderFd = 3;   // the run's folder
constexpr int kKeeperReleaseFd = 4;  // a pipe: a byte lets the task go
constexpr int kKeeperStdoutFd = 5;   // the log FIFOs, held open and not touched
constexpr int kKeeperStderrFd = 6;
constexpr int kKeeperLockFd = 7;  // flock of the run: held while the keeper lives

// Asks a keeper for something: a real-time signal, because those queue. (32 and 33 are the C
// library's.)
constexpr int kKeeperSignal = 40;
// The value that goes with it: a signal's number and who gets it (the task alone without a flag).
constexpr int kKeeperGroupFlag = 0x100;  // the task's process group
constexpr int kKeeperTreeFlag = 0x200;   // SIGKILL to the task and everything below it
constexpr int kKeeperTreeRequest = kKeeperTreeFlag | 9;

}  // namespace sluice::drivers::exec
