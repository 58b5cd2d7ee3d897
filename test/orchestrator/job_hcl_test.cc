#include "orchestrator/job_hcl.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "test/test.h"

namespace sluice::orchestrator {

namespace {

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// Without null, "", 0, false, [] and {}, at every depth; true if something is left.
bool prune(Json& json) {
  switch (json.kind()) {
    case Json::Kind::kNull: return false;
    case Json::Kind::kBool: return json.as_bool();
    case Json::Kind::kInt:
    case Json::Kind::kDouble: return json.as_double() != 0;
    case Json::Kind::kString: return !json.as_string().empty();
    case Json::Kind::kArray:
      for (Json& item : json.as_array()) prune(item);
      return json.size() > 0;
    case Json::Kind::kObject:
      std::erase_if(json.as_object(), [](JsonMember& member) { return !prune(member.value); });
      return json.size() > 0;
  }
  return true;
}

Json job_of(std::string text) {
  auto json = parse_job_hcl("test.nomad", std::move(text));
  if (!json) INFO(json.error().message);
  REQUIRE(json.has_value());
  return *json->find("Job");
}

std::string error_of(std::string text) {
  auto json = parse_job_hcl("test.nomad", std::move(text));
  REQUIRE(!json.has_value());
  return json.error().message;
}

const Json& first_task(const Json& job) {
  return job.find("TaskGroups")->as_array()[0].find("Tasks")->as_array()[0];
}

}  // namespace

TEST_CASE("job hcl: the example jobs give the JSON that Nomad's own command line sends") {
  const char* root = std::getenv("SLUICE_SOURCE_ROOT");
  REQUIRE(root != nullptr);
  std::filesystem::path examples = std::filesystem::path(root) / "orchestrator" / "examples";
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(examples / "golden")) {
    std::string stem = entry.path().stem().string();
    CAPTURE(stem);
    auto json = parse_job_hcl(stem + ".nomad", read_text(examples / (stem + ".nomad")));
    if (!json) INFO(json.error().message);
    REQUIRE(json.has_value());
    auto golden = parse_json(read_text(entry.path()));
    REQUIRE(golden.has_value());
    prune(*json);
    prune(*golden);
    EXPECT(*json == *golden);
    if (!(*json == *golden)) EXPECT_EQ(to_json(*json, 1), to_json(*golden, 1));
    ++compared;
  }
  EXPECT_EQ(compared, 8);
}

TEST_CASE("job hcl: an explicit zero is not the same as nothing") {
  Json zero = job_of("job \"a\" {\n  group \"g\" {\n    count = 0\n  }\n}\n");
  const Json& group = zero.find("TaskGroups")->as_array()[0];
  REQUIRE(group.find("Count") != nullptr);
  EXPECT_EQ(group.find("Count")->as_int(), 0);
  Json unset = job_of("job \"a\" {\n  group \"g\" {\n  }\n}\n");
  EXPECT_EQ(unset.find("TaskGroups")->as_array()[0].find("Count"), nullptr);
}

TEST_CASE("job hcl: what only a node knows stays as it is written") {
  Json job = job_of(R"(job "a" {
  constraint {
    attribute = "${attr.kernel.name}"
    value     = "linux"
  }
  group "g" {
    task "t" {
      env {
        A = "${NOMAD_PORT_http}:${node.datacenter}"
        B = "x-${meta.rack}-${env["HOME"]}"
        C = "$${literally}"
        D = "${attr.cpu.numcores}"
      }
    }
  }
})");
  EXPECT_EQ(job.find("Constraints")->as_array()[0].get_string("LTarget"), "${attr.kernel.name}");
  const Json& env = *first_task(job).find("Env");
  EXPECT_EQ(env.get_string("A"), "${NOMAD_PORT_http}:${node.datacenter}");
  EXPECT_EQ(env.get_string("B"), "x-${meta.rack}-${env[\"HOME\"]}");
  EXPECT_EQ(env.get_string("C"), "${literally}");
  EXPECT_EQ(env.get_string("D"), "${attr.cpu.numcores}");
}

TEST_CASE("job hcl: a driver's block takes any shape") {
  Json job = job_of(R"(job "a" {
  group "g" {
    task "t" {
      driver = "docker"
      config {
        text  = "b"
        large = 21474836470
        real  = 3.5
        mixed = [1, "a", 3.5, { "k" = "v" }]
        map   = { "KEY" = "VAL", K2 : 2 }
        empty = {}
        block {
          k = "b"
        }
        twice { a = 2 }
        twice { b = 3 }
        one "l1" {
          k = "b"
          inner "l2" {
            m = { "K" = "V" }
          }
        }
        many "l1" "l2" { k = "b" }
      }
    }
  }
})");
  auto expected = parse_json(R"({
    "text": "b", "large": 21474836470, "real": 3.5, "mixed": [1, "a", 3.5, {"k": "v"}],
    "map": [{"KEY": "VAL", "K2": 2}], "empty": [{}], "block": [{"k": "b"}],
    "twice": [{"a": 2}, {"b": 3}],
    "one": [{"l1": [{"k": "b", "inner": [{"l2": [{"m": [{"K": "V"}]}]}]}]}],
    "many": [{"l1": [{"l2": [{"k": "b"}]}]}]})");
  REQUIRE(expected.has_value());
  EXPECT(*first_task(job).find("Config") == *expected);
}

TEST_CASE("job hcl: maps as arguments and as blocks, durations, ports, short constraints") {
  Json job = job_of(R"(job "a" {
  meta = { "odd.key" = 1, plain : true }
  group "g" {
    network {
      port "http" { to = 8080 }
      port "admin" { static = 9000 }
    }
    update {
      min_healthy_time  = "10s"
      healthy_deadline  = "1h2m3.5s"
      progress_deadline = 5000
    }
    constraint {
      operator = "distinct_hosts"
      value    = "true"
    }
    constraint {
      distinct_hosts = true
    }
    constraint {
      attribute = "${attr.version}"
      version   = ">= 1.2"
    }
    constraint {
      distinct_property = "${meta.rack}"
    }
    volume "data" {
      type   = "host"
      source = "disk"
    }
    service {
      check {
        type   = "http"
        header {
          Authorization = ["Basic x"]
        }
      }
    }
    task "t" {
      env = { "A-B" = "c" }
      logs {
        enabled = false
      }
    }
  }
  periodic {
    cron = "*/5 * * * *"
  }
})");
  EXPECT_EQ(to_json(*job.find("Meta")), R"({"odd.key":"1","plain":"true"})");
  EXPECT_EQ(to_json(*job.find("Periodic")), R"({"Spec":"*/5 * * * *","SpecType":"cron"})");
  const Json& group = job.find("TaskGroups")->as_array()[0];
  EXPECT_EQ(to_json(*group.find("Networks")),
            R"([{"ReservedPorts":[{"Label":"admin","Value":9000}],)"
            R"("DynamicPorts":[{"Label":"http","To":8080}]}])");
  EXPECT_EQ(to_json(*group.find("Update")),
            R"({"MinHealthyTime":10000000000,"HealthyDeadline":3723500000000,)"
            R"("ProgressDeadline":5000})");
  EXPECT_EQ(to_json(*group.find("Constraints")),
            R"([{"Operand":"distinct_hosts","RTarget":"true"},{"Operand":"distinct_hosts"},)"
            R"({"LTarget":"${attr.version}","RTarget":">= 1.2","Operand":"version"},)"
            R"({"LTarget":"${meta.rack}","Operand":"distinct_property"}])");
  EXPECT_EQ(to_json(*group.find("Volumes")),
            R"({"data":{"Name":"data","Type":"host","Source":"disk"}})");
  EXPECT_EQ(to_json(*group.find("Services")),
            R"([{"Checks":[{"Type":"http","Header":{"Authorization":["Basic x"]}}]}])");
  EXPECT_EQ(to_json(first_task(job)),
            R"({"Name":"t","Env":{"A-B":"c"},"LogConfig":{"Disabled":true}})");
}

TEST_CASE("job hcl: a task right in the job is a group of its own") {
  Json job = job_of("job \"a\" {\n  task \"t\" {\n    driver = \"exec\"\n  }\n  group \"g\" {}\n}");
  EXPECT_EQ(to_json(*job.find("TaskGroups")),
            R"([{"Name":"t","Tasks":[{"Name":"t","Driver":"exec"}]},{"Name":"g"}])");
}

TEST_CASE(
    "job hcl: variables take their value from the default, the environment, files, -var, in turn") {
  const char* text = R"(
variable "image" {
  type    = string
  default = "a:1"
}
variable "count" {
  type = number
  validation {
    condition     = var.count > 0 && var.count < 10
    error_message = "From 1 to 9."
  }
}
variable "tags" {
  type    = list(string)
  default = []
}
variables {
  region = "eu"
}
locals {
  full  = "${local.short}-${var.region}"
  short = "x${var.count}"
  ports = { for i, name in ["http", "admin"] : name => 8000 + i }
}
job "j" {
  region = local.full
  group "g" {
    count = var.count
    network {
      dynamic "port" {
        for_each = local.ports
        labels   = [port.key]
        content {
          static = port.value
        }
      }
    }
    task "t" {
      config {
        image = "${var.image}"
        tags  = var.tags
      }
      env {
        KEPT = "${attr.kernel.name}"
      }
    }
  }
}
)";
  JobHclOptions options;
  options.environment = {{"count", "2"}, {"tags", "[\"e\"]"}, {"other", "ignored"}};
  options.var_files = {{"v.hcl", "tags = [\"f\", 1]\nregion = \"us\"\n"}};
  options.vars = {{"image", "b:2"}};
  auto json = parse_job_hcl("v.nomad", text, options);
  if (!json) INFO(json.error().message);
  REQUIRE(json.has_value());
  const Json& job = *json->find("Job");
  EXPECT_EQ(job.get_string("Region"), "x2-us");
  const Json& group = job.find("TaskGroups")->as_array()[0];
  EXPECT_EQ(group.get_int("Count"), 2);
  EXPECT_EQ(
      to_json(*group.find("Networks")),
      R"([{"ReservedPorts":[{"Label":"admin","Value":8001},{"Label":"http","Value":8000}]}])");
  EXPECT_EQ(to_json(*first_task(job).find("Config")), R"({"image":"b:2","tags":["f","1"]})");
  EXPECT_EQ(to_json(*first_task(job).find("Env")), R"({"KEPT":"${attr.kernel.name}"})");

  auto error = [&](JobHclOptions given) {
    auto result = parse_job_hcl("v.nomad", text, given);
    return result ? to_json(*result) : result.error().message;
  };
  EXPECT_EQ(
      error({}),
      "v.nomad:6:10: the variable \"count\" has no value: give it a default, or set it by -var "
      "count=..., -var-file or NOMAD_VAR_count\n  variable \"count\" {\n           ^");
  EXPECT_EQ(error({.vars = {{"count", "12"}}}),
            "v.nomad:9:21: the value of variable \"count\" (-var count) is refused: From 1 to 9.\n"
            "      condition     = var.count > 0 && var.count < 10\n"
            "                      ^");
  EXPECT_EQ(error({.vars = {{"count", "x"}}}),
            "-var count: the value of variable \"count\" (number): a number is required, this is "
            "\"x\"");
  EXPECT_EQ(error({.vars = {{"imge", "x"}}}),
            "-var imge=...: the job file has no variable \"imge\"; did you mean \"image\"?");
  EXPECT_EQ(error({.var_files = {{"f.hcl", "cuont = 1\n"}}}),
            "f.hcl:1:1: the job file has no variable \"cuont\"; did you mean \"count\"?\n"
            "  cuont = 1\n"
            "  ^");
  EXPECT_EQ(
      error({.var_files = {{"f.json", R"({"count": [1]})"}}}),
      "f.json: the value of variable \"count\" (number): a number is required, this is tuple");
}

TEST_CASE("job hcl: a job in the API's own form passes as it is") {
  auto bare = parse_job_hcl("j.json", R"({"ID": "a"})");
  REQUIRE(bare.has_value());
  EXPECT_EQ(to_json(*bare), R"({"Job":{"ID":"a"}})");
  auto wrapped = parse_job_hcl("j.json", R"( {"Job": {"ID": "a"}})");
  REQUIRE(wrapped.has_value());
  EXPECT_EQ(to_json(*wrapped), R"({"Job":{"ID":"a"}})");
}

TEST_CASE("job hcl: an unknown name is refused where it stands, with a suggestion") {
  EXPECT_EQ(error_of("job \"a\" {\n  group \"g\" {\n    coutn = 2\n  }\n}\n"),
            "test.nomad:3:5: there is no argument \"coutn\" here; did you mean \"count\"?\n"
            "      coutn = 2\n"
            "      ^");
}

}  // namespace sluice::orchestrator
