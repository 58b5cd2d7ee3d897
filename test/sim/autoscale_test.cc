// The autoscaler over a simulated cluster, with a load that the test makes up.
#include "orchestrator/autoscale.h"

#include <optional>

#include "orchestrator/group_services.h"
#include "test/sim/cluster.h"
#include "test/test.h"

namespace sluice::sim {

using namespace orchestrator;

namespace {

class MadeUpLoad final : public LoadMeter {
 public:
  Task<ServiceLoads> read(std::set<std::string> services) override {
    ServiceLoads loads;
    for (const std::string& name : services) {
      ServiceLoad& load = loads[name];
      load.in_flight = in_flight;
      load.answers = answers;
    }
    asked = services;
    co_return loads;
  }
  int64_t in_flight = 0;
  uint64_t answers = 0;
  std::set<std::string> asked;
};

Job scaled_job(int64_t min, int64_t max, int64_t count) {
  Job job = make_job("web", count);
  TaskGroup& group = job.groups[0];
  group.update.reset();
  Service service;
  service.name = "${NOMAD_JOB_NAME}-http";
  service.port_label = "http";
  service.tags = {"urlprefix-/", "v=${NOMAD_ALLOC_INDEX}"};
  Check check;
  check.type = "tcp";
  check.interval_ns = check.timeout_ns = kSecondNs;
  service.checks = {check};
  group.tasks[0].services = {service};
  Port port{.label = "http"};
  orchestrator::Network network;
  network.dynamic_ports = {port};
  group.tasks[0].resources->networks = {network};
  Scaling scaling;
  scaling.min = min;
  scaling.max = max;
  scaling.policy = *parse_json(R"({"cooldown":"30s","check":{"b":{"source":"sluice",
    "query":"requests","strategy":{"target-value":{"target":10}}}}})");
  group.scaling = scaling;
  canonicalize(job);
  return job;
}

struct World {
  explicit World(Job job) : cluster(7) {
    cluster.start();
    for (int i = 0; i < 3; ++i) cluster.add_node();
    cluster.executor.run_for(500);
    cluster.run_job(std::move(job));
    cluster.settle(30'000);
    scaler.emplace(env, cluster.log, *cluster.server, load,
                   [this](std::vector<GroupService> services) { asleep = services; });
    scope.spawn(scaler->run());
    cluster.executor.run_for(1);
  }
  int64_t count() { return cluster.snapshot().job("default", "web")->groups[0].count; }
  int64_t count_after(int64_t ms) {
    cluster.executor.run_for(ms);
    return count();
  }

  Cluster cluster;
  MadeUpLoad load;
  std::vector<GroupService> asleep;
  Env env{cluster.executor, cluster.network, cluster.disk, cluster.random};
  std::optional<Autoscaler> scaler;  // once there is a server
  Scope scope{cluster.executor};
};

}  // namespace

TEST_CASE("the services of a group as its first instance would register them") {
  const Job job = scaled_job(0, 3, 1);
  const auto found = group_services(job, job.groups[0]);
  REQUIRE(found.size() == 1);
  EXPECT_EQ(found[0].name, "web-http");
  EXPECT_EQ(found[0].tags, StringList{"urlprefix-/", "v=0"});
}

TEST_CASE("a group follows its load: out at an interval's end, in after the cooldown") {
  World world(scaled_job(1, 4, 1));
  world.load.in_flight = 25;
  EXPECT_EQ(world.count_after(9'000), 1);
  EXPECT_EQ(world.count_after(3'000), 3);
  const auto said = world.cluster.snapshot().scaling("default", "web");
  REQUIRE(said);
  EXPECT_EQ(said->groups.at("web").at(0).count, 3);
  // Ten samples, and the one before there was any.
  EXPECT_EQ(said->groups.at("web").at(0).message, "22.73 requests under way, 0 a second");
  EXPECT_EQ(world.load.asked, std::set<std::string>{"web-http"});
  world.load.in_flight = 1'000;
  EXPECT_EQ(world.count_after(12'000), 4);  // and no more
  world.cluster.settle(60'000);
  EXPECT_EQ(world.cluster.live("web").size(), 4);
  world.load.in_flight = 0;
  EXPECT_EQ(world.count_after(25'000), 4);
  EXPECT_EQ(world.count_after(30'000), 1);
  EXPECT(world.asleep.empty());
}

TEST_CASE("a group without load goes to zero, keeps its places, and wakes for who asks") {
  World world(scaled_job(0, 4, 1));
  EXPECT(world.asleep.empty());
  world.load.answers = 1;
  EXPECT_EQ(world.count_after(5'000), 1);
  // One request in each interval, none under way when it is looked: that is load.
  for (int i = 0; i < 10; ++i) {
    world.load.answers += 1;
    EXPECT_EQ(world.count_after(10'000), 1);
  }
  EXPECT_EQ(world.count_after(60'000), 0);
  REQUIRE(world.asleep.size() == 1);
  EXPECT_EQ(world.asleep[0].name, "web-http");
  world.cluster.settle(60'000);
  EXPECT_EQ(world.cluster.live("web").size(), 0);

  world.scaler->wake("another");
  EXPECT_EQ(world.count_after(1'000), 0);
  world.scaler->wake("web-http");
  world.scaler->wake("web-http");
  EXPECT_EQ(world.count_after(1'000), 1);
  EXPECT_EQ(world.asleep.size(), 1);  // until it is surely up
  EXPECT_EQ(world.count_after(25'000), 1);
  world.load.in_flight = 1;
  EXPECT_EQ(world.count_after(60'000), 1);
  EXPECT(world.asleep.empty());
}

TEST_CASE("a job that is stopped, or whose scaling is off, is left alone") {
  Job job = scaled_job(0, 4, 2);
  job.groups[0].scaling->enabled = false;
  World world(job);
  world.load.in_flight = 100;
  EXPECT_EQ(world.count_after(60'000), 2);
  EXPECT(world.load.asked.empty());
  world.scaler->wake("web-http");
  EXPECT_EQ(world.count_after(1'000), 2);
}

}  // namespace sluice::sim
