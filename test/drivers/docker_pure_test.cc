// The docker driver's pure parts: config block, image names, log frames, create bodies, inspect
// answers, error texts.
#include <string>
#include <vector>

#include "drivers/docker/block.h"
#include "drivers/docker/config.h"
#include "drivers/docker/container.h"
#include "drivers/docker/create.h"
#include "drivers/docker/frames.h"
#include "drivers/docker/image_ref.h"
#include "drivers/docker/node_config.h"
#include "test/test.h"

namespace sluice::drivers {
namespace {

using orchestrator::TaskKey;
using orchestrator::TaskPort;
using orchestrator::TaskSpec;

Json json(std::string_view text) {
  auto value = parse_json(text);
  REQUIRE(value.has_value());
  return *std::move(value);
}

DockerConfig config_of(std::string_view text) {
  auto config = decode_docker_config(json(text));
  if (!config) INFO(config.error().message);
  REQUIRE(config.has_value());
  return *std::move(config);
}

std::string refusal(std::string_view text) {
  auto config = decode_docker_config(json(text));
  REQUIRE(!config.has_value());
  return config.error().message;
}

TEST_CASE("docker config: blocks as maps and as arrays of maps") {
  for (
      std::string_view text :
      {R"({"image":"a","port_map":[{"http":8081}],"logging":[{"type":"json-file","config":[{"max-size":"1m"}]}]})",
       R"({"image":"a","port_map":{"http":"8081"},"logging":{"type":"json-file","config":{"max-size":"1m"}}})"}) {
    DockerConfig config = config_of(text);
    EXPECT_EQ(config.port_map.at("http"), 8081);
    EXPECT_EQ(config.logging_type, "json-file");
    EXPECT_EQ(config.logging_config.at("max-size"), "1m");
  }
  DockerConfig both =
      config_of(R"({"image":"a","port_map":[{"a":1},{"b":2}],"labels":[{"n":3,"t":true}]})");
  EXPECT_EQ(both.port_map.size(), 2u);
  EXPECT_EQ(both.labels.at("n"), "3");
  EXPECT_EQ(both.labels.at("t"), "true");
}

TEST_CASE("docker config: every part of a large block") {
  DockerConfig config = config_of(R"({
    "image": "a", "command": "/x", "args": ["-n", 5], "entrypoint": ["/e"], "tty": "true",
    "mount": [{"type":"bind","source":"local","target":"/t","readonly":true,
               "bind_options":[{"propagation":"rshared"}]},
              {"type":"volume","target":"/v","volume_options":[{"no_copy":true,
               "driver_config":[{"name":"nfs","options":[{"o":"addr=1"}]}]}]}],
    "ulimit": [{"nofile":"1024:2048","nproc":"7"}], "auth": [{"username":"u","password":"p"}],
    "image_pull_timeout": "1m30s", "healthchecks": [{"disable":true}], "init": false,
    "devices": [{"host_path":"/dev/null"}]})");
  EXPECT_EQ(config.args.at(1), "5");
  REQUIRE(config.entrypoint.has_value());
  EXPECT(config.tty);
  REQUIRE(config.mounts.size() == 2);
  EXPECT_EQ(config.mounts[0].propagation, "rshared");
  EXPECT_EQ(config.mounts[1].volume_options.at("o"), "addr=1");
  REQUIRE(config.ulimits.size() == 2);
  EXPECT_EQ(config.ulimits[0].hard, 2048);
  EXPECT_EQ(config.ulimits[1].soft, 7);
  EXPECT_EQ(config.image_pull_timeout_ms, 90'000);
  EXPECT(config.healthcheck_disabled);
  REQUIRE(config.init.has_value());
  EXPECT(!*config.init);
}

TEST_CASE("docker config: what is refused, by name") {
  std::string unknown = refusal(R"({"image":"a","imag":"b"})");
  EXPECT(unknown.starts_with("unknown option \"imag\"; the docker driver knows: args, auth, "));
  EXPECT(unknown.find("port_map") != std::string::npos);
  EXPECT_EQ(refusal(R"({"image":"a","logging":{"typ":"x"}})"),
            "unknown option \"typ\" in logging; it knows: config, driver, type");
  EXPECT_EQ(refusal(R"({})"), "option \"image\" is missing");
  EXPECT_EQ(refusal(R"({"image":["a"]})"), "option \"image\" must be a string, not a list");
  EXPECT_EQ(refusal(R"({"image":"a","port_map":{"http":0}})"),
            "port_map.http = 0 is not between 1 and 65535");
  EXPECT_EQ(refusal(R"({"image":"a","port_map":{"http":"x"}})"),
            "option \"port_map.http\" must be a whole number, not a string");
  EXPECT_EQ(refusal(R"({"image":"a","port_map":["http"]})"),
            "port_map must be a block, not a string");
  EXPECT_EQ(refusal(R"({"image":"a","args":"-x"})"),
            "option \"args\" must be a list of strings, not a string");
  EXPECT_EQ(refusal(R"({"image":"a","image_pull_timeout":"5x"})"),
            "option \"image_pull_timeout\" must be a duration such as \"5m\", not a string");
  EXPECT_EQ(refusal(R"({"image":"a","labels":{"sluice.run":"9"}})"),
            "labels.sluice.run: labels that start with \"sluice.\" are the agent's own");
  EXPECT_EQ(refusal(R"({"image":"a","mount":[{"type":"nfs","target":"/t"}]})"),
            "mount[0].type = \"nfs\" must be bind, volume or tmpfs");
  EXPECT_EQ(refusal("[]"), "option \"image\" is missing");
  EXPECT_EQ(refusal("7"), "config must be a block, not a number");
}

TEST_CASE("docker config: durations") {
  EXPECT_EQ(parse_duration_ms("5m"), 300'000);
  EXPECT_EQ(parse_duration_ms("1h0m3s4ms"), 3'603'004);
  for (std::string_view bad : {"", "5", "m", "-1s", "1d", "99999999999h", "1.5s"}) {
    EXPECT(!parse_duration_ms(bad));
  }
}

TEST_CASE("image names") {
  auto name = [](std::string_view text) {
    auto ref = parse_image_ref(text);
    REQUIRE(ref.has_value());
    return ref->registry + "|" + ref->repository + "|" + ref->tag + "|" + ref->digest + "|" +
           ref->familiar_name();
  };
  EXPECT_EQ(name("busybox"), "docker.io|library/busybox|latest||busybox");
  EXPECT_EQ(name("bigwhite/httpbackendservice:v1.0.0"),
            "docker.io|bigwhite/httpbackendservice|v1.0.0||bigwhite/httpbackendservice");
  EXPECT_EQ(name("127.0.0.1:5000/a/b_c/d--e.f"),
            "127.0.0.1:5000|a/b_c/d--e.f|latest||127.0.0.1:5000/a/b_c/d--e.f");
  EXPECT_EQ(name("localhost/x:1"), "localhost|x|1||localhost/x");
  EXPECT_EQ(name("docker.io/library/x:1"), "docker.io|library/x|1||x");
  EXPECT_EQ(name("index.docker.io/a/b"), "docker.io|a/b|latest||a/b");
  const std::string digest = "sha256:" + std::string(64, 'a');
  EXPECT_EQ(name("a/b@" + digest), "docker.io|a/b||" + digest + "|a/b");
  EXPECT_EQ(parse_image_ref("a/b:t@" + digest)->pull_tag(), digest);
  EXPECT_EQ(parse_image_ref("a/b:t@" + digest)->text(), "a/b:t@" + digest);
  for (std::string_view bad : {"", "A", "a//b", "/a", "a/", "a:", "a:-x", "a@sha", "-a", "a-",
                               "a..b", "a___b", "a b", "a/b:t u"}) {
    CAPTURE(bad);
    EXPECT(!parse_image_ref(bad).has_value());
  }
}

std::string frame(char stream, std::string_view payload) {
  std::string bytes{stream, 0, 0, 0};
  for (int shift : {24, 16, 8, 0}) bytes += static_cast<char>(payload.size() >> shift & 0xff);
  return bytes + std::string(payload);
}

TEST_CASE("log frames, whole and cut") {
  std::string bytes = frame(1, "one\n") + frame(2, "") + frame(3, "daemon") + frame(1, "cut");
  bytes.pop_back();
  std::string got;
  std::string_view rest = bytes;
  for (;;) {
    auto next = parse_log_frame(rest);
    REQUIRE(next.has_value());
    if (!*next) break;
    got += (*next)->stream == LogStream::kStdout ? "1" : "2";
    got += (*next)->payload;
    rest.remove_prefix((*next)->size);
  }
  EXPECT_EQ(got, "1one\n22daemon");
  EXPECT_EQ(rest.size(), 10u);
}

TEST_CASE("log frames: what is no frame") {
  EXPECT(!parse_log_frame("plain text").has_value());
  auto result = parse_log_frame(frame(1, "four"), 3);
  REQUIRE(!result.has_value());
  EXPECT(result.error().code == Code::kLimit);
}

TEST_CASE("log lines of a tty") {
  const std::string time = "2019-03-30T08:13:15.500000000Z ";
  EXPECT(!parse_log_line(time + "no end").has_value());
  EXPECT_EQ(parse_log_line(time + "a\r\n" + time + "b")->payload, time + "a\r\n");
  // Docker splits a long line and gives each part a time.
  const std::string part(16 * 1024, 'x');
  EXPECT_EQ(parse_log_line(time + part + time + "rest\n")->payload, time + part);
  // A line of more than that from elsewhere is one line.
  EXPECT_EQ(parse_log_line(time + part + "and more of it, with no time in between\n")->size,
            31 + part.size() + 40);
  EXPECT_EQ(parse_timed_message(time + "x").text, "x");
  EXPECT_EQ(parse_timed_message(time + "x").time_ns, 1553933595'500'000'000);
  EXPECT_EQ(parse_timed_message("plain").text, "plain");
}

TaskSpec web_spec() {
  TaskSpec spec;
  spec.key = {"0b1c", "web", 3};
  spec.cluster_id = "c1";
  spec.node_id = "n1";
  spec.job_id = "shop";
  spec.group = "front";
  spec.env = {{"A", "1"}, {"NOMAD_TASK_DIR", "/host/path"}};
  spec.task_folder = "/data/t";
  spec.alloc_folder = "/data/a";
  spec.cpu_mhz = 500;
  spec.memory_mb = 64;
  spec.ports = {TaskPort{"http", "10.0.0.1", 23578, 0}, TaskPort{"admin", "10.0.0.1", 23579, 9000}};
  return spec;
}

Json body_of(const TaskSpec& spec, std::string_view config, DockerPolicy policy = {}) {
  auto body = create_body(spec, config_of(config), policy);
  if (!body) INFO(body.error().message);
  REQUIRE(body.has_value());
  return *std::move(body);
}

TEST_CASE("create body: the whole of it") {
  Json body = body_of(
      web_spec(), R"({"image":"i:1","command":"/srv","args":["-v"],"port_map":[{"http":8081}]})");
  EXPECT_EQ(to_json(body, 1), to_json(json(R"({
    "Image":"i:1",
    "ExposedPorts":{"8081/tcp":{},"8081/udp":{},"9000/tcp":{},"9000/udp":{}},
    "Cmd":["/srv","-v"],
    "Env":["A=1","NOMAD_ALLOC_DIR=/alloc","NOMAD_PORT_admin=9000","NOMAD_PORT_http=8081",
           "NOMAD_SECRETS_DIR=/secrets","NOMAD_TASK_DIR=/local"],
    "Labels":{"sluice.cluster_id":"c1","sluice.node_id":"n1","sluice.alloc_id":"0b1c",
              "sluice.task":"web","sluice.run":"3","sluice.job_id":"shop","sluice.group":"front"},
    "HostConfig":{"RestartPolicy":{"Name":"no"},
      "PortBindings":{"8081/tcp":[{"HostIp":"10.0.0.1","HostPort":"23578"}],
                      "8081/udp":[{"HostIp":"10.0.0.1","HostPort":"23578"}],
                      "9000/tcp":[{"HostIp":"10.0.0.1","HostPort":"23579"}],
                      "9000/udp":[{"HostIp":"10.0.0.1","HostPort":"23579"}]},
      "Mounts":[{"Type":"bind","Source":"/data/a","Target":"/alloc"},
                {"Type":"bind","Source":"/data/t/local","Target":"/local"},
                {"Type":"bind","Source":"/data/t/secrets","Target":"/secrets"}],
      "Memory":67108864,"MemorySwap":67108864,"CpuShares":500,
      "LogConfig":{"Type":"json-file","Config":{"max-file":"2","max-size":"67108864"}}}})"),
                                      1));
}

TEST_CASE("create body: ports") {
  Json host = body_of(web_spec(), R"({"image":"i","network_mode":"host"})");
  EXPECT(host.find("ExposedPorts") == nullptr);
  EXPECT_EQ(host.find("HostConfig")->get_string("NetworkMode"), "host");
  Json some = body_of(web_spec(), R"({"image":"i","ports":["admin"]})");
  EXPECT_EQ(some.find("ExposedPorts")->size(), 2u);
  Json plain = body_of(web_spec(), R"({"image":"i"})");
  EXPECT(plain.find("ExposedPorts")->find("23578/tcp") != nullptr);
  auto wrong = create_body(web_spec(), config_of(R"({"image":"i","port_map":{"htp":1}})"), {});
  REQUIRE(!wrong.has_value());
  EXPECT_EQ(wrong.error().message,
            "port_map names the port \"htp\", which the task's network does not have");
}

TEST_CASE("create body: limits and what the node's owner allows") {
  TaskSpec spec = web_spec();
  spec.memory_max_mb = 128;
  Json body = body_of(spec, R"({"image":"i"})");
  EXPECT_EQ(body.find("HostConfig")->get_int("Memory"), 128 << 20);
  EXPECT_EQ(body.find("HostConfig")->get_int("MemoryReservation"), 64 << 20);

  auto refused = [&](std::string_view config) {
    auto result = create_body(web_spec(), config_of(config), {});
    REQUIRE(!result.has_value());
    EXPECT(result.error().code == Code::kDenied);
    return result.error().message;
  };
  EXPECT(
      refused(R"({"image":"i","privileged":true})").starts_with("privileged containers are off"));
  EXPECT(refused(R"({"image":"i","volumes":["/etc:/x"]})")
             .starts_with("volumes: \"/etc:/x\": /etc is outside the task's folder"));
  EXPECT(refused(R"({"image":"i","volumes":["a/../../b:/x"]})")
             .ends_with("climbs out of the task's folder"));
  Json inside = body_of(web_spec(), R"({"image":"i","volumes":["./local/d:/x:ro"]})");
  EXPECT_EQ(inside.find("HostConfig")->find("Binds")->as_array().at(0).as_string(),
            "/data/t/local/d:/x:ro");
  DockerPolicy open{
      .allow_host_volumes = true, .allow_privileged = true, .allow_host_devices = true};
  Json outside =
      body_of(web_spec(), R"({"image":"i","privileged":true,"volumes":["/etc:/x"]})", open);
  EXPECT(outside.find("HostConfig")->get_bool("Privileged"));

  EXPECT(refused(R"({"image":"i","cap_add":["CHOWN","CAP_SYS_ADMIN"]})")
             .starts_with("cap_add: CAP_SYS_ADMIN is off on this node"));
  EXPECT(create_body(web_spec(), config_of(R"({"image":"i","cap_add":["sys_admin"]})"),
                     {.allow_caps = {"SYS_ADMIN"}}));
  EXPECT(create_body(web_spec(), config_of(R"({"image":"i","cap_add":["sys_admin"]})"),
                     {.allow_caps = {"all"}}));

  spec.cpu_mhz = 500;
  spec.core_mhz = 2'000;
  Json hard = body_of(spec, R"({"image":"i","cpu_hard_limit":true,"cpu_cfs_period":50000})");
  EXPECT_EQ(hard.find("HostConfig")->get_int("CpuQuota"), 12'500);
  EXPECT_EQ(hard.find("HostConfig")->get_int("CpuPeriod"), 50'000);

  spec.cpus = "2-3";
  EXPECT_EQ(body_of(spec, R"({"image":"i"})").find("HostConfig")->get_string("CpusetCpus"), "2-3");
  const char* chosen = R"({"image":"i","cpuset_cpus":"0"})";
  EXPECT_EQ(body_of(spec, chosen).find("HostConfig")->get_string("CpusetCpus"), "0");
  spec.own_cpus = true;
  const auto both = create_body(spec, config_of(chosen), {});
  REQUIRE(!both);
  EXPECT_EQ(both.error().message,
            "cpuset_cpus = \"0\": the task's cores (2-3) are chosen by its resources");
}

TEST_CASE("what a node's owner says of Docker") {
  DockerNodeConfig node;
  REQUIRE(read_docker_plugin(json(R"([{"endpoint":"unix:///run/d.sock","allow_privileged":true,
    "gc":[{"image":false,"image_delay":"1h"}],"volumes":[{"enabled":true}],
    "auth":{"helper":"pass"},"allow_caps":["net_admin"]}])"),
                             node));
  EXPECT_EQ(node.socket, "/run/d.sock");
  EXPECT_EQ(node.auth_helper, "pass");
  EXPECT(node.policy.allow_privileged);
  EXPECT(node.policy.allow_host_volumes);
  EXPECT_EQ(node.policy.allow_caps, std::vector<std::string>{"net_admin"});
  EXPECT(!node.remove_images);
  EXPECT_EQ(node.image_delay_ms, 3'600'000);

  // The older options say the same, and go on top.
  REQUIRE(read_docker_options({{"driver.raw_exec.enable", "1"},
                               {"docker.cleanup.image", "true"},
                               {"docker.cleanup.image.delay", "5m"},
                               {"docker.privileged.enabled", "false"},
                               {"docker.caps.whitelist", "sys_time, CHOWN"}},
                              node));
  EXPECT(node.remove_images);
  EXPECT_EQ(node.image_delay_ms, 300'000);
  EXPECT(!node.policy.allow_privileged);
  EXPECT_EQ(node.policy.allow_caps, std::vector<std::string>{"sys_time", "CHOWN"});

  const auto refused = [&](std::string_view text) {
    const Result<void> read = read_docker_plugin(json(text), node);
    return read ? std::string() : read.error().message;
  };
  EXPECT(refused(R"({"gc":{"imag":true}})")
             .starts_with("unknown option \"imag\" in plugin docker: config.gc; it knows:"));
  EXPECT(refused(R"({"endpoint":"tcp://1.2.3.4:2375"})").find("must be a Unix socket") !=
         std::string::npos);
  EXPECT(refused(R"({"gc":{"container":false}})").find("do not stay") != std::string::npos);
  EXPECT_EQ(read_docker_options({{"docker.cleanup.imag", "1"}}, node).error().message,
            "client options: unknown option \"docker.cleanup.imag\"");
}

TEST_CASE("health and networks of a container") {
  const auto of = [](std::string_view health, std::string_view networks) {
    auto state = parse_inspect(json(fmt::format(R"({{"Id":"abc","State":{{"Status":"running",
      "Running":true,"Health":{}}},"NetworkSettings":{{"Networks":{}}}}})",
                                                health, networks)),
                               {});
    REQUIRE(state.has_value());
    return *std::move(state);
  };
  using orchestrator::TaskHealth;
  const ContainerState ill = of(R"({"Status":"unhealthy","Log":[{"ExitCode":0,"Output":"fine"},
    {"ExitCode":1,"Output":"not there\n"}]})",
                                R"({"host":{"IPAddress":""}})");
  EXPECT(ill.health.health == TaskHealth::kUnhealthy);
  EXPECT_EQ(ill.health.output, "not there");
  EXPECT(ill.network == orchestrator::TaskNetwork{});
  const ContainerState own =
      of(R"({"Status":"starting","Log":[]})", R"({"shop":{"IPAddress":"10.9.0.4"}})");
  EXPECT(own.health.health == TaskHealth::kStarting);
  EXPECT(own.network == orchestrator::TaskNetwork{.address = "10.9.0.4", .advertised = true});
  EXPECT(of(R"({"Status":"none"})", "{}").health.health == TaskHealth::kUnchecked);
  EXPECT(of(R"({"Status":"healthy"})", "{}").health.health == TaskHealth::kHealthy);
}

TEST_CASE("inspect") {
  DockerOwner owner{"c1", "n1"};
  auto state = parse_inspect(json(R"({"Id":"abc","Name":"/web-0b1c","Image":"sha256:1",
    "State":{"Status":"exited","Running":false,"OOMKilled":true,"ExitCode":137,"Error":"",
             "StartedAt":"2019-03-30T08:13:15.5Z","FinishedAt":"2019-03-30T10:13:16.000000001+02:00"},
    "Config":{"Tty":true,"Labels":{"sluice.cluster_id":"c1","sluice.node_id":"n1",
              "sluice.alloc_id":"0b1c","sluice.task":"web","sluice.run":"3"}},
    "HostConfig":{"NetworkMode":"default","LogConfig":{"Type":"json-file"}},
    "NetworkSettings":{"Networks":{"bridge":{"IPAddress":"172.17.0.2"}}}})"),
                             owner);
  REQUIRE(state.has_value());
  EXPECT(state->ended());
  EXPECT(state->oom_killed);
  EXPECT(state->tty);
  EXPECT_EQ(state->exit_code, 137);
  EXPECT_EQ(state->name, "web-0b1c");
  EXPECT_EQ(state->started_at_ns, 1553933595'500'000'000);
  EXPECT_EQ(state->finished_at_ns, 1553933596'000'000'001);
  EXPECT(state->network == orchestrator::TaskNetwork{.address = "172.17.0.2"});
  EXPECT(state->health.health == orchestrator::TaskHealth::kUnchecked);
  REQUIRE(state->key.has_value());
  EXPECT(*state->key == TaskKey{"0b1c", "web", 3});
  EXPECT(!key_of_labels(json(R"({"sluice.cluster_id":"c1","sluice.node_id":"n2",
    "sluice.alloc_id":"a","sluice.task":"t","sluice.run":"1"})"),
                        owner));
  EXPECT_EQ(parse_time_ns("0001-01-01T00:00:00Z"), 0);
  EXPECT(!parse_time_ns("2019-03-30 08:13:15Z"));
  EXPECT(!parse_time_ns("2019-13-30T08:13:15Z"));
}

TEST_CASE("errors in the operator's words") {
  Error error = docker_error(500,
                             "{\"message\":\"driver failed: Bind for 0.0.0.0:80 failed: port is "
                             "already allocated\"}",
                             "start container web-1");
  EXPECT(error.code == Code::kConflict);
  EXPECT_EQ(error.message,
            "start container web-1: driver failed: Bind for 0.0.0.0:80 failed: port is already "
            "allocated");
  EXPECT(docker_error(404, "{\"message\":\"No such image\"}", "x").code == Code::kNotFound);
  EXPECT_EQ(docker_error(500, "", "x").message, "x: HTTP status 500");
  EXPECT(pull_error_code("pull access denied for a, repository does not exist or may require "
                         "'docker login'") == Code::kDenied);
  EXPECT(pull_error_code("manifest for a:b not found: manifest unknown") == Code::kNotFound);
  EXPECT(pull_error_code("Get \"https://r/v2/\": dial tcp 127.0.0.1:5000: connect: connection "
                         "refused") == Code::kUnavailable);
}

}  // namespace
}  // namespace sluice::drivers
