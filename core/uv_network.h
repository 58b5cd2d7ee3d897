// UvNetwork: Network over libuv, for the control loop.
// Owner: main.cc; outlived by the loop. Thread: the loop's.
#pragma once

#include "core/loop.h"
#include "core/network.h"

namespace sluice {

class UvNetwork final : public Network {
 public:
  explicit UvNetwork(UvLoop& loop) : loop_(loop) {}
  Task<Result<std::unique_ptr<Stream>>> connect(Address to, int64_t timeout_ms) override;
  Result<std::unique_ptr<Listener>> listen(const Address& at) override;

 private:
  UvLoop& loop_;
};

}  // namespace sluice
