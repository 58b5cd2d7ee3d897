// The embedded catalog's checks over a long time that is not waited for.
#include <fcntl.h>

#include "core/disk.h"
#include "core/scope.h"
#include "drivers/embedded/catalog.h"
#include "test/sim/sim_executor.h"
#include "test/sim/sim_network.h"
#include "test/test.h"

namespace sluice::sim {

namespace {

/// Nobody listens; counts who asks.
struct RefusingNetwork final : Network {
  explicit RefusingNetwork(Network& real) : network(real) {}
  Task<Result<std::unique_ptr<Stream>>> connect(Address to, int64_t timeout_ms) override {
    ++asked;
    return network.connect(std::move(to), timeout_ms);
  }
  Result<std::unique_ptr<Listener>> listen(const Address& at) override {
    return network.listen(at);
  }
  Result<std::unique_ptr<Datagrams>> open_datagrams(const Address& at) override {
    return network.open_datagrams(at);
  }
  Network& network;
  int asked = 0;
};

}  // namespace

TEST_CASE("an instance that never comes up is asked once an interval, however long it takes") {
  SeededRandom random{1};
  SimExecutor executor(random);
  SimNetwork machine(executor, random);
  RefusingNetwork network(machine);
  PosixDisk disk;
  Log log{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Env env{executor, network, disk, random};
  drivers::EmbeddedCatalog catalog{env, log};
  Scope scope(executor);
  scope.spawn(catalog.run());
  orchestrator::ServiceRegistration service{.id = "p-1", .name = "web", .address = "127.0.0.1"};
  service.checks.push_back({.id = "c1",
                            .name = "alive",
                            .type = "tcp",
                            .address = "127.0.0.1",
                            .port = 1,
                            .interval_ms = 1'000,
                            .timeout_ms = 1'000});
  catalog.set_registrations("p-", {service});
  executor.run_for(10'000);
  EXPECT(network.asked >= 10);
  EXPECT(network.asked <= 20);  // often at first: it may come up at any moment
  for (int hour = 0; hour < 3; ++hour) {
    const int before = network.asked;
    executor.run_for(3'600'000);
    EXPECT(network.asked - before >= 3'550);  // a millisecond or two an answer
    EXPECT(network.asked - before <= 3'600);
  }
  catalog.set_registrations("p-", {});
}

}  // namespace sluice::sim
