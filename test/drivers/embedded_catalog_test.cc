#include "drivers/embedded/catalog.h"

#include <fcntl.h>

#include <functional>

#include "core/http_server.h"
#include "core/loop.h"
#include "core/uv_network.h"
#include "test/test.h"

namespace sluice::drivers {

using orchestrator::CheckStatus;
using orchestrator::ServiceCheck;
using orchestrator::ServiceRegistration;
using orchestrator::ServiceSnapshot;

namespace {

/// The catalog, an HTTP server whose status a test sets, and what the watcher was told.
struct World {
  UvLoop loop;
  UvNetwork network{loop};
  PosixDisk disk;
  SeededRandom random{1};
  Log log{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Env env{loop, network, disk, random};
  std::unique_ptr<HttpServer> server;
  EmbeddedCatalog catalog{env, log};
  std::map<std::string, ServiceSnapshot> seen;
  int status = 200;
  int asked = 0;
  std::unique_ptr<Scope> scope = std::make_unique<Scope>(loop);

  World() {
    server = std::make_unique<HttpServer>(
        loop, std::move(*network.listen(Address{.ip = "127.0.0.1"})),
        [this](const HttpServerRequest& request, HttpResponseWriter& writer) {
          return answer(request, writer);
        });
    catalog.watch([this](std::vector<ServiceSnapshot> changed) {
      for (auto& snapshot : changed) seen[snapshot.service] = std::move(snapshot);
    });
    scope->spawn(server->run());
    scope->spawn(catalog.run());
  }
  ~World() {
    catalog.set_registrations("p-", {});
    scope.reset();
  }

  Task<void> answer(const HttpServerRequest& request, HttpResponseWriter& writer) {
    ++asked;
    EXPECT_EQ(request.path, "/health");
    (void)co_await writer.respond(status, "text/plain", "state");
  }
  ServiceRegistration registration(const std::string& type) {
    ServiceRegistration made{.id = "p-1",
                             .name = "web",
                             .tags = {"a"},
                             .meta = {},
                             .address = "127.0.0.1",
                             .port = server->local().port,
                             .checks = {}};
    made.checks.push_back({.id = "c1",
                           .name = "alive",
                           .type = type,
                           .address = "127.0.0.1",
                           .port = server->local().port,
                           .path = "/health",
                           .interval_ms = 5,
                           .timeout_ms = 1000});
    return made;
  }
  void until(const std::function<bool()>& condition) {
    auto watch = [](World& world, const std::function<bool()>& done) -> Task<void> {
      while (!done()) co_await sleep_for(world.loop, 1);
      world.loop.stop();
    };
    Scope watcher(loop);
    watcher.spawn(watch(*this, condition));
    loop.run();
  }
  bool healthy() { return seen["web"].instances.size() == 1 && seen["web"].instances[0].healthy; }
};

}  // namespace

TEST_CASE(
    "an HTTP check's status decides, in both directions, and its end takes the service away") {
  World world;
  world.catalog.set_registrations("p-", {world.registration("http")});
  world.until([&] { return world.healthy(); });
  EXPECT_EQ(world.seen["web"].instances[0].checks[0].output.find("200 OK Output: state") !=
                std::string::npos,
            true);
  world.status = 503;
  world.until([&] { return !world.healthy(); });
  EXPECT_EQ(world.seen["web"].instances.size(), 1u);
  world.status = 204;
  world.until([&] { return world.healthy(); });
  world.catalog.set_registrations("p-", {});
  world.until([&] { return world.seen["web"].instances.empty(); });
  const auto pass_ms = [&](int64_t ms) {
    world.loop.post_after(ms, [&] { world.loop.stop(); });
    world.loop.run();
  };
  pass_ms(20);  // what was on its way
  const int asked = world.asked;
  pass_ms(30);
  EXPECT_EQ(world.asked, asked);
}

TEST_CASE("a change of tags keeps what the checks found; other owners' registrations stay") {
  World world;
  ServiceRegistration other = world.registration("http");
  other.id = "q-1";
  other.name = "other";
  world.catalog.set_registrations("q-", {other});
  world.catalog.set_registrations("p-", {world.registration("http")});
  world.until([&] { return world.healthy(); });
  ServiceRegistration tags_only = world.registration("http");
  tags_only.tags = {"b"};
  world.catalog.set_registrations("p-", {tags_only});
  world.until([&] { return world.seen["web"].instances[0].tags[0] == "b"; });
  EXPECT(world.healthy());
  EXPECT_EQ(world.seen["other"].instances.size(), 1u);
  world.catalog.set_registrations("q-", {});
}

TEST_CASE("a TCP check connects; a service without a check is never healthy") {
  World world;
  ServiceRegistration bare = world.registration("tcp");
  bare.id = "p-2";
  bare.name = "bare";
  bare.checks.clear();
  world.catalog.set_registrations("p-", {world.registration("tcp"), bare});
  world.until([&] { return world.healthy(); });
  EXPECT(!world.seen["bare"].instances[0].healthy);
  EXPECT_EQ(world.asked, 0);
}

TEST_CASE("an instance that comes up late is seen long before its next interval") {
  World world;
  ServiceRegistration slow = world.registration("http");
  slow.checks[0].interval_ms = 3'600'000;
  world.status = 503;
  world.catalog.set_registrations("p-", {slow});
  world.until([&] { return world.asked >= 2; });
  world.status = 200;
  world.until([&] { return world.healthy(); });
}

TEST_CASE("thresholds count results in a row") {
  CheckHistory history(ServiceCheck{.success_before_passing = 2, .failures_before_critical = 3});
  EXPECT_EQ(history.status(), CheckStatus::kCritical);
  EXPECT(!history.add(CheckStatus::kPassing));
  EXPECT(history.add(CheckStatus::kPassing));
  EXPECT(!history.add(CheckStatus::kCritical));
  EXPECT(!history.add(CheckStatus::kCritical));
  EXPECT(!history.add(CheckStatus::kPassing));
  EXPECT(!history.add(CheckStatus::kCritical));
  EXPECT(!history.add(CheckStatus::kCritical));
  EXPECT(history.add(CheckStatus::kCritical));
  EXPECT(history.add(CheckStatus::kWarning));
}

}  // namespace sluice::drivers
