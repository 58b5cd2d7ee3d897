// ResolvingNetwork: a Network that takes host names where another wants addresses, and looks a name
// up anew for each connection, so that a server that moves is found again.
//
// Owner: its user. Thread: the executor's; look-ups run on the pool (core/resolve.h).
#pragma once

#include <memory>

#include "core/executor.h"
#include "core/network.h"

namespace sluice {

class ResolvingNetwork final : public Network {
 public:
  ResolvingNetwork(Executor& executor, Network& inner) : executor_(executor), inner_(inner) {}

  /// `to.ip` may be a host name. The time is for the look-up and the connection together; errors of
  /// a look-up are those of resolve().
  Task<Result<std::unique_ptr<Stream>>> connect(Address to, int64_t timeout_ms) override;
  Result<std::unique_ptr<Listener>> listen(const Address& at) override { return inner_.listen(at); }
  Result<std::unique_ptr<Datagrams>> open_datagrams(const Address& at) override {
    return inner_.open_datagrams(at);
  }

 private:
  Executor& executor_;
  Network& inner_;
};

}  // namespace sluice
