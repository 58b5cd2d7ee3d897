// The Consul catalog against a real Consul. Asked for by SLUICE_REAL_CONSUL=1, because the first
// run on a machine builds that Consul; test/e2e/consul_catalog_test.py does that.
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "core/log.h"
#include "core/loop.h"
#include "core/uv_network.h"
#include "drivers/consul/catalog.h"
#include "test/drivers/real_server.h"
#include "test/drivers/run_to_end.h"
#include "test/test.h"

namespace sluice::drivers {
namespace {

using orchestrator::CheckState;
using orchestrator::CheckStatus;
using orchestrator::ServiceCheck;
using orchestrator::ServiceRegistration;
using orchestrator::ServiceSnapshot;

bool wanted() {
  return std::getenv("SLUICE_REAL_CONSUL") != nullptr;
}

constexpr const char* kOwner = "_sluice-cccc-nnnn-";

/// A catalog that runs, what it said last of each service, and Consul behind it.
class World {
 public:
  World() : server_(CONSUL_SCRIPT, ""), log_(2), network_(loop_), changed_(loop_), scope_(loop_) {
    Env env{loop_, network_, disk_, random_};
    auto address = parse_address(server_.command("start"));
    REQUIRE(address.has_value());
    listener_ = [&] {
      auto made = network_.listen({.ip = "127.0.0.1"});
      REQUIRE(made.has_value());
      return *std::move(made);
    }();
    ConsulOptions options;
    options.api.address = *address;
    options.view.tag_prefix = "urlprefix-";
    options.view.doubt_ms = 3'000;
    options.retry_max_ms = 500;
    options.registrar.retry_max_ms = 500;
    options.registrar.resync_ms = 1'000;
    api_ = std::make_unique<ConsulApi>(loop_, network_, options.api);
    catalog_ = std::make_unique<ConsulCatalog>(env, log_, options);
    catalog_->watch([this](std::vector<ServiceSnapshot> snapshots) {
      ++edits_;
      for (ServiceSnapshot& snapshot : snapshots) {
        std::string name = snapshot.service;
        services_[name] = std::move(snapshot);
        if (name == "web" && good("web").empty()) ++times_without_;
      }
      changed_.pulse();
    });
    catalog_->on_check([this](const CheckState& check) {
      checks_[check.service_id + "|" + check.check_id] = check.status;
      changed_.pulse();
    });
    scope_.spawn(catalog_->run());
  }
  ~World() { scope_.cancel_all(); }

  /// Turns the loop until it is so; a failure after 60 s.
  void until(const char* what, std::function<bool()> so) {
    auto wait = [](World& world, std::function<bool()> holds) -> Task<Result<void>> {
      while (!holds()) co_await sleep_for(world.loop_, 5);
      co_return Result<void>();
    };
    INFO(std::string(what));
    auto done = run_to_end(loop_, with_timeout(loop_, 60'000, wait(*this, std::move(so))));
    REQUIRE(done.has_value());
  }
  void pause(int64_t delay_ms) {
    auto wait = [](UvLoop& loop, int64_t ms) -> Task<Result<void>> {
      co_await sleep_for(loop, ms);
      co_return Result<void>();
    };
    run_good(loop_, wait(loop_, delay_ms));
  }
  /// The healthy instances' ids.
  std::vector<std::string> good(const std::string& service) {
    std::vector<std::string> ids;
    for (const auto& one : services_[service].instances) {
      if (one.healthy) ids.push_back(one.id);
    }
    return ids;
  }
  const ServiceSnapshot& snapshot(const std::string& service) { return services_[service]; }
  Json get(const std::string& path) { return run_good(loop_, api_->get(path)).body; }
  void put(const std::string& path, Json body = Json()) {
    run_good(loop_, api_->put(path, std::move(body)));
  }
  ServiceRegistration web(const std::string& name = "1") {
    ServiceRegistration web;
    web.id = kOwner + name;
    web.name = "web";
    web.tags = {"urlprefix-mysite.com/"};
    web.address = "127.0.0.1";
    web.port = listener_->local().port;
    web.checks = {ServiceCheck{.id = "open",
                               .name = "port is open",
                               .type = "tcp",
                               .address = "127.0.0.1",
                               .port = web.port,
                               .interval_ms = 1'000,
                               .timeout_ms = 500}};
    return web;
  }

  RealServer& server() { return server_; }
  ConsulCatalog& catalog() { return *catalog_; }
  std::map<std::string, CheckStatus>& checks() { return checks_; }
  int times_without() const { return times_without_; }
  int edits() const { return edits_; }
  UvLoop& loop() { return loop_; }

 private:
  RealServer server_;
  UvLoop loop_;
  Log log_;
  UvNetwork network_;
  PosixDisk disk_;
  SystemRandom random_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<ConsulApi> api_;
  std::unique_ptr<ConsulCatalog> catalog_;
  std::map<std::string, ServiceSnapshot> services_;
  std::map<std::string, CheckStatus> checks_;
  int times_without_ = 0;
  int edits_ = 0;
  Event changed_;
  Scope scope_;
};

TEST_CASE("consul real: from a registration to an instance and back") {
  if (!wanted()) return;
  World world;
  world.until("the first, empty list", [&] { return world.edits() > 0; });
  // Somebody else's, and one that an earlier agent of ours left behind.
  world.put("/v1/agent/service/register", parse_json(R"({"ID":"mysql","Name":"mysql"})").value());
  world.put("/v1/agent/service/register",
            parse_json(R"({"ID":"_sluice-cccc-nnnn-old","Name":"old"})").value());
  world.catalog().set_registrations(kOwner, {world.web()});
  world.until("the check passes", [&] { return world.good("web").size() == 1; });
  EXPECT(world.checks()[std::string(kOwner) + "1|open"] == CheckStatus::kPassing);
  Json services = world.get("/v1/agent/services");
  EXPECT_EQ(services.size(), 2u);
  EXPECT(services.find("mysql") != nullptr);

  // In place: the check goes on as it is.
  ServiceRegistration changed = world.web();
  changed.tags = {"urlprefix-mysite.com/", "urlprefix-other.com/"};
  world.catalog().set_registrations(kOwner, {changed});
  world.until("the tags are changed", [&] {
    Json now = world.get("/v1/agent/services");
    const Json* ours = now.find(changed.id);
    return ours && ours->find("Tags")->size() == 2;
  });
  EXPECT_EQ(world.good("web").size(), 1u);
  EXPECT_EQ(world.times_without(), 1);  // before the first check passed

  // Taken out behind our back, it comes back; in maintenance, it stays so.
  world.put("/v1/agent/service/deregister/" + changed.id);
  world.until("it is restored",
              [&] { return world.get("/v1/agent/services").find(changed.id) != nullptr; });
  world.until("it is good again", [&] { return world.good("web").size() == 1; });
  world.put("/v1/agent/service/maintenance/" + changed.id + "?enable=true&reason=work");
  world.until("maintenance counts", [&] { return world.good("web").empty(); });
  world.pause(2'500);
  EXPECT(world.good("web").empty());
  world.put("/v1/agent/service/maintenance/" + changed.id + "?enable=false");
  world.until("it is back", [&] { return world.good("web").size() == 1; });

  world.catalog().set_registrations(kOwner, {});
  world.until("it is gone", [&] { return world.good("web").empty(); });
  EXPECT_EQ(world.get("/v1/agent/services").size(), 1u);
}

TEST_CASE("consul real: a change is seen within 100 ms") {
  if (!wanted()) return;
  World world;
  world.until("the first, empty list", [&] { return world.edits() > 0; });
  ServiceRegistration web = world.web();
  Json body = registration_body(web, true);
  body.set("ID", "other");
  body.find("Checks")->as_array()[0].set("CheckID", "other");
  body.find("Checks")->as_array()[0].set("Interval", "3600s");
  int64_t worst_ms = 0;
  for (int port = 1; port <= 20; ++port) {
    const bool address_only = port % 2 == 0;
    body.set("Port", port);
    if (!address_only) {
      body.set("Tags", Json::array({fmt::format("urlprefix-{}.com/", port)}));
    }
    world.put("/v1/agent/service/register", body);
    const int64_t begun_ms = world.loop().now_ms();
    world.until("the change is there", [&] {
      const auto& snapshot = world.snapshot("web");
      return snapshot.instances.size() == 1 && snapshot.instances[0].healthy &&
             snapshot.instances[0].port == port;
    });
    worst_ms = std::max(worst_ms, world.loop().now_ms() - begun_ms);
  }
  DOCTEST_MESSAGE("worst of 20 changes: ", worst_ms, " ms");
  EXPECT(worst_ms <= 100);
}

TEST_CASE("consul real: restarts, with and without its data, lose no route") {
  if (!wanted()) return;
  World world;
  world.catalog().set_registrations(kOwner, {world.web("1"), world.web("2")});
  world.until("both pass", [&] { return world.good("web").size() == 2; });
  const int without = world.times_without();
  for (const char* end : {"stop", "kill"}) {
    world.server().command(end);
    world.pause(700);
    EXPECT_EQ(world.good("web").size(), 2u);
    world.server().command("start");
    world.pause(3'000);
    EXPECT_EQ(world.good("web").size(), 2u);
  }
  world.server().command("kill");
  world.server().command("wipe");
  world.server().command("start");
  world.until("our registrations are there again",
              [&] { return world.get("/v1/agent/services").size() == 2; });
  world.pause(4'000);  // past the doubt
  EXPECT_EQ(world.good("web").size(), 2u);
  EXPECT_EQ(world.times_without(), without);
  // And a newer answer counts, down to none.
  world.catalog().set_registrations(kOwner, {});
  world.until("none is left", [&] { return world.good("web").empty(); });
}

}  // namespace
}  // namespace sluice::drivers
