// Upgrade: the running process is replaced by a successor (SIGUSR2), as `sluice lb` and `sluice
// agent` do it: the same arguments and environment, the program as the file is now, every listening
// socket and a state handed over (core/handover.h).
//
// Owner: the command. Thread: the control loop.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/balancer.h"
#include "core/handover.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/uv_network.h"

namespace sluice {

/// How the process was started, which is how its successor is.
struct Origin {
  std::string program;
  std::string verb;  // "lb", "agent"
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
};
/// This process's. Also where its file has been replaced since: then the successor is the new one.
Result<Origin> own_origin(std::string verb, std::vector<std::string> arguments);

class Upgrade {
 public:
  struct Hooks {
    /// The successor serves: this process ends what it has under way.
    std::function<void()> served;
    /// It does not, and has ended: this process goes on. The log has the reason.
    std::function<void()> failed;
  };
  Upgrade(UvLoop& loop, Log& log, Hooks hooks) : loop_(loop), log_(log), hooks_(std::move(hooks)) {}

  [[nodiscard]] bool under_way() const { return successor_ != nullptr; }
  /// Hands over; the descriptors stay the caller's. One of the hooks follows.
  void start(const Origin& origin, const OfferedSockets& sockets, const std::string& state);
  /// A signal to end was faster: what it ends is the service, not this process alone.
  void abandon();

 private:
  void on_outcome(Result<void> outcome);

  UvLoop& loop_;
  Log& log_;
  Hooks hooks_;
  std::unique_ptr<Successor> successor_;
  /// Once it serves: it sees by the channel's end that this process has ended.
  std::unique_ptr<Successor> serving_;
  pid_t successor_pid_ = -1;
};

/// Another descriptor of the same socket.
Result<Socket> copy_of(int socket);

/// What of a successor's inheritance is the control loop's (pages, metrics, APIs): by their
/// addresses.
void offer_control_sockets(const std::vector<std::pair<Address, int>>& listening,
                           OfferedSockets& sockets);

/// What the predecessor left: the control loop's sockets go to the network, the rest to a balancer.
Result<Balancer::Inheritance> take_over(Predecessor& predecessor, UvNetwork& network);

}  // namespace sluice
