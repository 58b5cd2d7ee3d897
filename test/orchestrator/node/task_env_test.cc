#include "orchestrator/node/task_env.h"

#include "orchestrator/node/services.h"
#include "test/test.h"

namespace sluice::orchestrator {

namespace {

/// An allocation of job "web", group "front", task "srv", with a dynamic port http mapped to 8081.
struct World {
  Node node;
  Allocation alloc;

  World() {
    node.id = "11111111-2222-3333-4444-555555555555";
    node.name = "edge-1";
    node.attributes["unique.network.ip-address"] = "10.0.0.1";
    node.meta["rack"] = "r7";
    auto job = std::make_shared<Job>();
    job->id = job->name = "web";
    job->namespace_ = "default";
    job->type = "service";
    job->meta["owner.team"] = "edge";
    TaskConfig task;
    task.name = "srv";
    task.config = Json::object({{"port_map", Json::array({Json::object({{"http", 8081}})})},
                                {"args", Json::array({"-l", "${NOMAD_ADDR_http}", "${unknown}"})}});
    task.env = {{"WHERE", "${node.datacenter}/${meta.rack}"}, {"A-B", "${env[\"NOMAD_JOB_ID\"]}"}};
    Service service;
    service.name = "${NOMAD_JOB_NAME}-http";
    service.port_label = "http";
    service.tags = {"urlprefix-/${NOMAD_ALLOC_INDEX}"};
    Check check;
    check.type = "http";
    check.path = "/health";
    check.interval_ns = 10 * kSecondNs;
    check.timeout_ns = 2 * kSecondNs;
    service.checks = {check};
    task.services = {service};
    TaskGroup group;
    group.name = "front";
    group.tasks = {task};
    job->groups = {group};
    alloc.id = "aaaaaaaa-0000-0000-0000-000000000000";
    alloc.name = "web.front[3]";
    alloc.group = "front";
    alloc.job = job;
    alloc.ports = {
        {.task = "srv", .label = "http", .host_ip = "10.0.0.1", .value = 23456, .to = 0}};
  }
  const TaskConfig& task() const { return alloc.job->groups[0].tasks[0]; }
  TaskEnv env() const {
    return TaskEnv(node, alloc, task(), TaskFolders{.alloc = "/d/alloc"}, "global");
  }
};

}  // namespace

TEST_CASE("a task's environment: identity, ports inside and outside, meta, its own block") {
  const World world;
  const TaskEnv env = world.env();
  const auto& v = env.variables();
  EXPECT_EQ(v.at("NOMAD_ALLOC_INDEX"), "3");
  EXPECT_EQ(v.at("NOMAD_ALLOC_DIR"), "/d/alloc");
  EXPECT_EQ(v.at("NOMAD_PORT_http"), "8081");
  EXPECT_EQ(v.at("NOMAD_HOST_PORT_http"), "23456");
  EXPECT_EQ(v.at("NOMAD_ADDR_http"), "10.0.0.1:23456");
  EXPECT_EQ(v.at("NOMAD_PORT_srv_http"), "23456");
  EXPECT_EQ(v.at("NOMAD_META_owner_team"), "edge");
  EXPECT_EQ(v.at("NOMAD_META_OWNER_TEAM"), "edge");
  EXPECT_EQ(v.at("WHERE"), "dc1/r7");
  EXPECT_EQ(v.at("A-B"), "web");
}

TEST_CASE("cores of its own are named, and their worth is the task's share") {
  World world;
  Job job = *world.alloc.job;
  job.groups[0].tasks[0].resources = Resources{.cpu_mhz = 0, .cores = 3, .memory_mb = 300};
  world.alloc.job = std::make_shared<Job>(job);
  world.alloc.cores = {{.task = "other", .cores = {3}, .cpu_mhz = 2'000},
                       {.task = "srv", .cores = {0, 1, 5}, .cpu_mhz = 6'000}};
  const TaskEnv env = world.env();
  const auto& v = env.variables();
  EXPECT_EQ(v.at("NOMAD_CPU_CORES"), "0-1,5");
  EXPECT_EQ(v.at("NOMAD_CPU_LIMIT"), "6000");
}

TEST_CASE("interpolation reaches every string of the config and keeps what it does not know") {
  const World world;
  const Json config = world.env().expand_json(world.task().config);
  EXPECT_EQ(to_json(config),
            R"({"port_map":[{"http":8081}],"args":["-l","10.0.0.1:23456","${unknown}"]})");
  EXPECT_EQ(world.env().expand("a${b"), "a${b");
  EXPECT_EQ(world.env().expand("${ NOMAD_DC }."), "dc1.");
  EXPECT_EQ(world.env().expand("${env[\"NOMAD_DC\"]}"), "dc1");
  for (const char* text : {"${env[\"]}", "${env[\"\"]}", "${env[}", "${}", "${ }"}) {
    EXPECT_EQ(world.env().expand(text), text);
  }
}

TEST_CASE("a service registers under its own id with its port, tags and checks") {
  const World world;
  const std::string prefix = registration_prefix("cccccccc-dddd", world.node.id);
  std::vector<std::string> problems;
  std::vector<NodeCheck> checks;
  const auto made = make_registrations(prefix, world.alloc, &world.task(), world.task().services,
                                       world.env(), {}, checks, problems);
  REQUIRE(made.size() == 1);
  EXPECT(problems.empty());
  EXPECT_EQ(
      made[0].id,
      "_sluice-cccccccc-11111111-aaaaaaaa-0000-0000-0000-000000000000-task-srv-web-http-http");
  EXPECT_EQ(made[0].name, "web-http");
  EXPECT_EQ(made[0].tags, std::vector<std::string>{"urlprefix-/3"});
  EXPECT_EQ(made[0].address, "10.0.0.1");
  EXPECT_EQ(made[0].port, 23456);
  REQUIRE(made[0].checks.size() == 1);
  EXPECT_EQ(made[0].checks[0].port, 23456);
  EXPECT_EQ(made[0].checks[0].interval_ms, 10'000);
  EXPECT_EQ(made[0].checks[0].name, "service: \"web-http\" check");
}

TEST_CASE("the task's own address and inner port: by address mode driver, or where advertised") {
  World world;
  std::vector<Service> services = world.task().services;
  const auto at = [&](std::string mode, bool advertised) {
    services[0].address_mode = std::move(mode);
    std::vector<std::string> problems;
    std::vector<NodeCheck> checks;
    const auto made =
        make_registrations("p-", world.alloc, &world.task(), services, world.env(),
                           {.address = "172.17.0.2", .advertised = advertised}, checks, problems);
    REQUIRE(made.size() == 1);
    EXPECT_EQ(made[0].checks[0].address, made[0].address);
    return fmt::format("{}:{}", made[0].address, made[0].port);
  };
  EXPECT_EQ(at("driver", false), "172.17.0.2:8081");
  EXPECT_EQ(at("auto", true), "172.17.0.2:8081");
  EXPECT_EQ(at("auto", false), "10.0.0.1:23456");
  EXPECT_EQ(at("host", true), "10.0.0.1:23456");
}

TEST_CASE("a service on a port label that is not there is left out and said") {
  World world;
  std::vector<Service> services = world.task().services;
  services[0].port_label = "admin";
  std::vector<std::string> problems;
  std::vector<NodeCheck> checks;
  const auto made = make_registrations("p-", world.alloc, &world.task(), services, world.env(), {},
                                       checks, problems);
  EXPECT(made.empty());
  REQUIRE(problems.size() == 1);
  EXPECT_EQ(problems[0], "service \"web-http\": port label \"admin\" is not one of the task's");
}

}  // namespace sluice::orchestrator
