// Handover: a process starts its successor and gives it its listening sockets and a state, without
// closing one of them: what waits in a listener's queue waits for whoever accepts next. A closed
// SO_REUSEPORT listener resets what is in its queue, so a successor that bound sockets of its own
// would lose connections.
//
//   old: Successor::start   socketpair, sockets and state are sent, the program is executed
//   new: Predecessor::find  takes them, starts, accepts, says that it is ready
//   old: Outcome            ready: it drains and ends; else it goes on as if nothing had been
//
// The channel is a SOCK_SEQPACKET pair that only these two processes have ever had: there is no
// path that another could connect to. Its far end is descriptor kFd of the successor, who checks
// that its parent made it. Sockets go as SCM_RIGHTS; the state goes as a memory file (memfd), so
// that its size does not matter and it is on no disk.
//
// Owner: the command that upgrades (lb.cc, agent.cc). Thread: the control loop. Limits: below.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/result.h"
#include "core/socket.h"

namespace sluice {

/// What the sockets that listen on one address go by: "tcp 127.0.0.1:80".
using OfferedSockets = std::map<std::string, std::vector<int>>;
using HandedSockets = std::map<std::string, std::vector<Socket>>;

std::string handover_name(const SocketAddress& at);

struct SuccessorOptions {
  std::string program;                   // a path
  std::vector<std::string> arguments;    // without the program
  std::vector<std::string> environment;  // NAME=value
  int64_t ready_ms = 60'000;             // to be ready in
};

/// A process that is to take over. Destroyed before it was ready: it is killed.
class Successor {
 public:
  /// Called once, in a turn of the loop: the successor is ready, or why it is not; it has ended
  /// then.
  using Outcome = std::move_only_function<void(Result<void>)>;

  /// The descriptors stay the caller's. Fails if the program cannot be started.
  static Result<std::unique_ptr<Successor>> start(UvLoop& loop, const SuccessorOptions& options,
                                                  const OfferedSockets& sockets,
                                                  const std::string& state, Outcome outcome);
  ~Successor();
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  pid_t pid() const { return pid_; }

 private:
  struct Watch;
  Successor(UvLoop& loop, Outcome outcome);
  Result<void> spawn(const SuccessorOptions& options, int far_end);
  void watch(int64_t ready_ms);
  void on_readable();
  void end(Result<void> outcome);
  /// Kills what is not ready, and takes its exit status.
  std::string reap();

  UvLoop& loop_;
  Outcome outcome_;
  Socket channel_;
  std::unique_ptr<Watch> watch_;
  pid_t pid_ = -1;
  bool ready_ = false;
  bool ended_ = false;
};

/// The process that started this one to take over from it.
class Predecessor {
 public:
  static constexpr int kFd = 3;
  static constexpr const char* kVariable = "SLUICE_HANDOVER";

  /// Null: there is none. Takes the variable out of the environment, so that no child sees it.
  static Result<std::unique_ptr<Predecessor>> find();
  ~Predecessor();
  Predecessor(const Predecessor&) = delete;
  Predecessor& operator=(const Predecessor&) = delete;

  HandedSockets& sockets() { return sockets_; }
  const std::string& state() const { return state_; }
  /// The predecessor stops accepting, and drains.
  Result<void> say_ready();
  /// Calls `gone` in a turn of the loop once it has ended.
  void when_gone(UvLoop& loop, std::move_only_function<void()> gone);

 private:
  struct Watch;
  explicit Predecessor(Socket channel);
  Result<void> receive();

  Socket channel_;
  Watch* watch_ = nullptr;  // libuv's until it has closed it
  HandedSockets sockets_;
  std::string state_;
};

}  // namespace sluice
