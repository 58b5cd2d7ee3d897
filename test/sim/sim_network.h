// SimNetwork: streams between listeners and connectors of one simulation. A connection and each
// piece take a time drawn from the seed; bytes may arrive in smaller pieces than they were sent.
//
// The network outlives every stream and listener.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/executor.h"
#include "core/network.h"
#include "core/random.h"
#include "core/scope.h"

namespace sluice::sim {

class SimNetwork final : public Network {
 public:
  SimNetwork(Executor& executor, Random& random) : executor_(executor), random_(random) {}

  Task<Result<std::unique_ptr<Stream>>> connect(Address to, int64_t timeout_ms) override;
  Result<std::unique_ptr<Listener>> listen(const Address& at) override;
  Result<std::unique_ptr<Datagrams>> open_datagrams(const Address&) override {
    return fail(Code::kUnsupported, "no datagrams in this simulation");
  }

 private:
  class SimStream;
  class SimListener;
  struct Pipe;

  static constexpr uint64_t kMaxDelayMs = 2;
  int64_t delay_ms() { return static_cast<int64_t>(random_.below(kMaxDelayMs + 1)); }

  Executor& executor_;
  Random& random_;
  std::map<std::string, SimListener*> listeners_;  // by address
};

}  // namespace sluice::sim
