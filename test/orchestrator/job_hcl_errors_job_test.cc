#include "test/orchestrator/job_hcl_errors.h"

namespace sluice::orchestrator::test {

TEST_CASE("job hcl errors: what stands in a job") {
  const Wrong table[] = {
      {"datacenter = [\"dc1\"]",
       "2:1: there is no argument \"datacenter\" here; did you mean \"datacenters\"?"},
      {"datacenters = \"dc1\"", "2:15: datacenters: a list of strings is required, this is string"},
      {"datacenters = [[\"dc1\"]]",
       "2:15: datacenters: element 0: a string is required, this is tuple"},
      {"datacenters {\n"
       "}",
       "2:1: \"datacenters\" is an argument: expected datacenters = ..."},
      {"type = \"servce\"",
       "2:8: type: expected service, batch, system or sysbatch, found \"servce\"; did you mean "
       "\"service\"?"},
      {"type = 1", "2:8: type: expected service, batch, system or sysbatch, found \"1\""},
      {"type = service",
       "2:8: type: expected service, batch, system or sysbatch, found the name service (text "
       "stands in quotes)"},
      {"priority = \"high\"", "2:12: priority: a number is required, this is \"high\""},
      {"priority = 101", "2:12: priority: a number from 1 to 100 is required, this is 101"},
      {"priority = 0", "2:12: priority: a number from 1 to 100 is required, this is 0"},
      {"priority = 50.5", "2:12: priority: a whole number is required, this is 50.5"},
      {"all_at_once = \"yes\"", "2:15: all_at_once: true or false is required, this is \"yes\""},
      {"region = [\"a\"]", "2:10: region: a string is required, this is tuple"},
      {"region = null.x", "2:15: cannot take \"x\" of a null value"},
      {"meta = \"x\"", "2:8: meta: a map of strings is required, this is string"},
      {"meta = { a = [1] }", "2:8: meta: element \"a\": a string is required, this is tuple"},
      {"meta {\n"
       "  a {\n"
       "  }\n"
       "}",
       "3:3: meta: expected a = \"...\", found a block"},
      {"meta {\n"
       "  \"a\" = 1\n"
       "}",
       "3:3: expected a name without quotes; quoted keys stand in a map: name = { \"key\" = value "
       "}"},
      {"meta = {}\n"
       "meta {\n"
       "}",
       "3:1: \"meta\" is set twice, first in line 2"},
      {"meta {\n"
       "}\n"
       "meta {\n"
       "}",
       "4:1: only one block \"meta\" may stand here, the first is in line 2"},
      {"group {\n"
       "}",
       "2:1: expected a label: group \"name\" { ... }"},
      {"group = {}", "2:1: \"group\" is a block: expected group \"label\" { ... } without \"=\""},
      {"group \"a\" \"b\" {\n"
       "}",
       "2:11: expected \"{\": the block \"group\" takes one label"},
      {"goup \"a\" {\n"
       "}",
       "2:1: there is no block \"goup\" here; did you mean \"group\"?"},
      {"count = 2", "2:1: there is no argument \"count\" here"},
      {"connect {\n"
       "}",
       "2:1: there is no block \"connect\" here"},
      {"multiregion {\n"
       "}",
       "2:1: \"multiregion\" is not supported"},
      {"constraint {\n"
       "  attribut = \"x\"\n"
       "}",
       "3:3: there is no argument \"attribut\" here; did you mean \"attribute\"?"},
      {"constraint \"x\" {\n"
       "}",
       "2:12: expected \"{\": the block \"constraint\" takes no label"},
      {"constraint {\n"
       "  operator = \"=>\"\n"
       "}",
       "3:14: operator: expected =, ==, is, !=, not, >, >=, <, <=, regexp, version, semver, "
       "set_contains, set_contains_all, set_contains_any, distinct_hosts, distinct_property, "
       "is_set or is_not_set, found \"=>\"; did you mean \"=\"?"},
      {"constraint {\n"
       "  operator = \"regex\"\n"
       "}",
       "3:14: operator: expected =, ==, is, !=, not, >, >=, <, <=, regexp, version, semver, "
       "set_contains, set_contains_all, set_contains_any, distinct_hosts, distinct_property, "
       "is_set or is_not_set, found \"regex\"; did you mean \"regexp\"?"},
      {"constraint {\n"
       "  distinct_hosts = \"maybe\"\n"
       "}",
       "3:20: distinct_hosts: true or false is required, this is \"maybe\""},
      {"constraint = {}",
       "2:1: \"constraint\" is a block: expected constraint { ... } without \"=\""},
      {"affinity {\n"
       "  weight = 101\n"
       "}",
       "3:12: weight: a number from -100 to 100 is required, this is 101"},
      {"affinity {\n"
       "  weight = \"heavy\"\n"
       "}",
       "3:12: weight: a number is required, this is \"heavy\""},
      {"affinity {\n"
       "  distinct_hosts = true\n"
       "}",
       "3:3: there is no argument \"distinct_hosts\" here"},
      {"spread {\n"
       "  target {\n"
       "    percent = 10\n"
       "  }\n"
       "}",
       "3:3: expected a label: target \"name\" { ... }"},
      {"spread {\n"
       "  target \"a\" {\n"
       "    percent = 101\n"
       "  }\n"
       "}",
       "4:15: percent: a number from 0 to 100 is required, this is 101"},
      {"spread {\n"
       "  target \"a\" {\n"
       "    percnt = 10\n"
       "  }\n"
       "}",
       "4:5: there is no argument \"percnt\" here; did you mean \"percent\"?"},
      {"update {\n"
       "  max_parallel = -1\n"
       "}",
       "3:18: max_parallel: at least 0 is required, this is -1"},
      {"update {\n"
       "  health_check = \"check\"\n"
       "}",
       "3:18: health_check: expected checks, task_states or manual, found \"check\"; did you mean "
       "\"checks\"?"},
      {"update {\n"
       "  min_healthy_time = \"10\"\n"
       "}",
       "3:22: min_healthy_time: '10' is not a duration: want numbers with units, like 1h30m or "
       "250ms"},
      {"update {\n"
       "  min_healthy_time = \"10 s\"\n"
       "}",
       "3:22: min_healthy_time: '10 s' is not a duration: want numbers with units, like 1h30m or "
       "250ms"},
      {"update {\n"
       "  stagger = true\n"
       "}",
       "3:13: stagger: a duration such as \"30s\" is required, this is bool"},
      {"update {\n"
       "  stagger = 1.5\n"
       "}",
       "3:13: stagger: a duration such as \"30s\" or a whole number of nanoseconds is required"},
      {"update {\n"
       "  canary = \"one\"\n"
       "}",
       "3:12: canary: a number is required, this is \"one\""},
      {"update {\n"
       "  auto_revert = 1\n"
       "}",
       "3:17: auto_revert: true or false is required, this is number"},
      {"update {\n"
       "}\n"
       "update {\n"
       "}",
       "4:1: only one block \"update\" may stand here, the first is in line 2"},
      {"update {\n"
       "  autorevert = true\n"
       "}",
       "3:3: there is no argument \"autorevert\" here; did you mean \"auto_revert\"?"},
      {"periodic {\n"
       "  cron = [\"* * * * *\"]\n"
       "}",
       "3:10: cron: a string is required, this is tuple"},
      {"periodic {\n"
       "  corn = \"* * * * *\"\n"
       "}",
       "3:3: there is no argument \"corn\" here; did you mean \"cron\"?"},
      {"periodic {\n"
       "  crons = \"* * * * *\"\n"
       "}",
       "3:11: crons: a list of strings is required, this is string"},
      {"periodic {\n"
       "  enabled = 2\n"
       "}",
       "3:13: enabled: true or false is required, this is number"},
      {"parameterized {\n"
       "  payload = \"require\"\n"
       "}",
       "3:13: payload: expected optional, required or forbidden, found \"require\"; did you mean "
       "\"required\"?"},
      {"parameterized {\n"
       "  meta_required = \"a\"\n"
       "}",
       "3:19: meta_required: a list of strings is required, this is string"},
      {"reschedule {\n"
       "  delay_function = \"linear\"\n"
       "}",
       "3:20: delay_function: expected constant, exponential or fibonacci, found \"linear\""},
      {"reschedule {\n"
       "  attempts = -1\n"
       "}",
       "3:14: attempts: at least 0 is required, this is -1"},
      {"reschedule {\n"
       "  unlimited = \"x\"\n"
       "}",
       "3:15: unlimited: true or false is required, this is \"x\""},
      {"migrate {\n"
       "  healthy_deadline = \"5x\"\n"
       "}",
       "3:22: healthy_deadline: '5x' is not a duration: want numbers with units, like 1h30m or "
       "250ms"},
      {"migrate {\n"
       "  max_paralel = 1\n"
       "}",
       "3:3: there is no argument \"max_paralel\" here; did you mean \"max_parallel\"?"},
      {"vault {\n"
       "  policies = \"a\"\n"
       "}",
       "2:1: \"vault\" is not supported"},
      {"vault_token = \"x\"", "2:1: \"vault_token\" is not supported"},
      {"ui {\n"
       "  link {\n"
       "    href = \"x\"\n"
       "  }\n"
       "}",
       "2:1: \"ui\" is not supported"},
  };
  expect_errors(table, "job \"j\" {\n", "\n}\n");
}

}  // namespace sluice::orchestrator::test
