// long: a table; each row is a wrong job file, or what stands inside a job, a group or a task, with
// the place and the message that it must give.
#include "orchestrator/job_hcl.h"
#include "test/test.h"

namespace sluice::orchestrator {

namespace {

struct Wrong {
  const char* source;
  const char* error;  // "line:column: message"
};

// The first line of the error, without the file's name; the rest shows the source line.
std::string error_of(const std::string& text) {
  auto json = parse_job_hcl("j.nomad", text);
  if (json) return "no error: " + to_json(*json);
  std::string message = json.error().message.substr(0, json.error().message.find('\n'));
  message.erase(0, std::string_view("j.nomad:").size());
  return message.starts_with(' ') ? message.substr(1) : message;
}

}  // namespace

TEST_CASE("job hcl errors: files and what stands at their top") {
  const Wrong table[] = {
      {"", "1:1: expected a block job \"name\" { ... }"},
      {"job {\n"
       "}",
       "1:1: expected a label: job \"name\" { ... }"},
      {"job \"a\" \"b\" {\n"
       "}",
       "1:9: expected \"{\": the block \"job\" takes one label"},
      {"job \"a\" {\n"
       "}\n"
       "job \"b\" {\n"
       "}",
       "3:1: a file holds one job, the first is in line 1"},
      {"jobb \"a\" {\n"
       "}",
       "1:1: expected a block job, variable or locals, found \"jobb\"; did you mean \"job\"?"},
      {"group \"g\" {\n"
       "}",
       "1:1: expected a block job, variable or locals, found \"group\""},
      {"name = \"x\"", "1:1: expected job \"name\" { ... }, found the argument \"name\""},
      {"job = \"x\"", "1:1: expected job \"name\" { ... }, found the argument \"job\""},
      {"job \"a\" {", "1:10: expected \"}\" for the \"{\" of line 1, column 9"},
      {"job \"a\"\n"
       "{\n"
       "}",
       "1:8: expected \"{\" or a label for the block \"job\", found the end of the line"},
      {"job a-b { type = \"service\" priority = 1 }",
       "1:28: expected \"}\" (a block on one line holds at most one argument), found the name "
       "\"priority\""},
      {"job \"${x}\" {\n"
       "}",
       "1:6: expected plain text: a label holds no ${...} and no %{...}"},
      {"{\"Job\": ",
       "not JSON: The JSON document has an improper structure: missing or superfluous commas, "
       "braces, missing keys, etc."},
      {"[]", "1:1: expected an argument or a block, found \"[\""},
      {"variable {\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "1:1: expected one label: variable \"name\" { ... }"},
      {"variable \"a b\" {\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "1:10: expected a name of letters, digits, _ and - for the variable"},
      {"variable \"a\" {\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "1:10: the variable \"a\" has no value: give it a default, or set it by -var a=..., "
       "-var-file or NOMAD_VAR_a"},
      {"variable \"a\" {\n"
       "  type = strng\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:10: expected a type such as string, number, bool, any, list(string), map(number) or "
       "object({...}); did you mean \"string\"?"},
      {"variable \"a\" {\n"
       "  type = list\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:10: expected list(any): which list?"},
      {"variable \"a\" {\n"
       "  type = list(string, number)\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:10: expected one type in list(...)"},
      {"variable \"a\" {\n"
       "  type = object([string])\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:17: expected {name = type, ...} in object(...)"},
      {"variable \"a\" {\n"
       "  type = \"string\"\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:10: expected a type such as string, number, bool, any, list(string), map(number) or "
       "object({...})"},
      {"variable \"a\" {\n"
       "  type = number\n"
       "  default = \"x\"\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "3:13: the value of variable \"a\" (number): a number is required, this is \"x\""},
      {"variable \"a\" {\n"
       "  type = list(number)\n"
       "  default = [1, \"x\"]\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "3:13: the value of variable \"a\" (list(number)): element 1: a number is required, this is "
       "\"x\""},
      {"variable \"a\" {\n"
       "  type = object({b = number})\n"
       "  default = {c = 1}\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "3:13: the value of variable \"a\" (object({b = number})): the attribute \"b\" is required"},
      {"variable \"a\" {\n"
       "  defualt = 1\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:3: variable: expected type, default, description or validation, found \"defualt\"; did "
       "you mean \"default\"?"},
      {"variable \"a\" {\n"
       "  default = b\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:13: there is no variable \"b\""},
      {"variable \"a\" {\n"
       "  default = upper(\"x\")\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:13: there is no function \"upper\""},
      {"variable \"a\" {\n"
       "  default = 1\n"
       "}\n"
       "variable \"a\" {\n"
       "  default = 2\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "4:10: the variable \"a\" is declared twice, first in line 1"},
      {"variable \"a\" {\n"
       "  default = 1\n"
       "  validation {\n"
       "  }\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "4:3: validation: expected condition = ... in it"},
      {"variable \"a\" {\n"
       "  default = 1\n"
       "  validation {\n"
       "    condition = true\n"
       "  }\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "5:3: validation: expected error_message = ... in it"},
      {"variable \"a\" {\n"
       "  default = 1\n"
       "  validation {\n"
       "    condition = var.a > 1\n"
       "    error_message = \"Above 1.\"\n"
       "  }\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:13: the value of variable \"a\" (default) is refused: Above 1."},
      {"variable \"a\" {\n"
       "  default = 1\n"
       "  validation {\n"
       "    condition = \"maybe\"\n"
       "    error_message = \"x\"\n"
       "  }\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "4:17: condition: true or false is required, this is \"maybe\""},
      {"variable \"a\" {\n"
       "  default = 1\n"
       "  validate {\n"
       "  }\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "3:3: variable: expected a block validation, found \"validate\""},
      {"variables \"x\" {\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "1:1: expected variables { name = default ... }"},
      {"locals \"x\" {\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "1:1: expected locals { name = value ... }"},
      {"locals {\n"
       "  a = local.b\n"
       "  b = local.a\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "3:7: local.a needs itself to be computed"},
      {"locals {\n"
       "  a = local.a\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:7: local.a needs itself to be computed"},
      {"locals {\n"
       "  a = 1\n"
       "}\n"
       "locals {\n"
       "  a = 2\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "5:3: the local value \"a\" is declared twice, first in line 2"},
      {"locals {\n"
       "  a = local.nope\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "2:13: there is no local value \"nope\""},
      {"locals {\n"
       "  a = 1\n"
       "  b {\n"
       "  }\n"
       "}\n"
       "job \"a\" {\n"
       "}",
       "1:1: expected locals { name = value ... }"},
      {"variable \"image\" {\n"
       "  default = 1\n"
       "}\n"
       "job \"a\" {\n"
       "  region = var.imge\n"
       "}",
       "5:16: there is no variable \"imge\" declared; did you mean \"image\"?"},
  };
  for (const Wrong& wrong : table) {
    CAPTURE(wrong.source);
    EXPECT_EQ(error_of(wrong.source), wrong.error);
  }
}

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
       "3:14: policies: a list of strings is required, this is string"},
      {"ui {\n"
       "  link {\n"
       "    href = \"x\"\n"
       "  }\n"
       "}",
       "4:5: there is no argument \"href\" here"},
  };
  for (const Wrong& wrong : table) {
    CAPTURE(wrong.source);
    EXPECT_EQ(error_of(std::string("job \"j\" {\n") + wrong.source + "\n}\n"), wrong.error);
  }
}

TEST_CASE("job hcl errors: what stands in a group") {
  const Wrong table[] = {
      {"count = -1", "3:9: count: at least 0 is required, this is -1"},
      {"count = \"two\"", "3:9: count: a number is required, this is \"two\""},
      {"count = 1.5", "3:9: count: a whole number is required, this is 1.5"},
      {"count = [2]", "3:9: count: a number is required, this is tuple"},
      {"count {\n"
       "}",
       "3:1: \"count\" is an argument: expected count = ..."},
      {"cuont = 1", "3:1: there is no argument \"cuont\" here; did you mean \"count\"?"},
      {"task {\n"
       "}",
       "3:1: expected a label: task \"name\" { ... }"},
      {"task \"a\" \"b\" {\n"
       "}",
       "3:10: expected \"{\": the block \"task\" takes one label"},
      {"tasks \"a\" {\n"
       "}",
       "3:1: there is no block \"tasks\" here; did you mean \"task\"?"},
      {"restart {\n"
       "  mode = \"fial\"\n"
       "}",
       "4:10: mode: expected fail or delay, found \"fial\"; did you mean \"fail\"?"},
      {"restart {\n"
       "  attempts = \"2x\"\n"
       "}",
       "4:14: attempts: a number is required, this is \"2x\""},
      {"restart {\n"
       "  interval = \"30min\"\n"
       "}",
       "4:14: interval: '30min' is not a duration: want numbers with units, like 1h30m or 250ms"},
      {"restart {\n"
       "  delay = \"\"\n"
       "}",
       "4:11: delay: '' is not a duration: want numbers with units, like 1h30m or 250ms"},
      {"restart \"x\" {\n"
       "}",
       "3:9: expected \"{\": the block \"restart\" takes no label"},
      {"restart = { attempts = 2 }",
       "3:1: \"restart\" is a block: expected restart { ... } without \"=\""},
      {"ephemeral_disk {\n"
       "  size = \"1GB\"\n"
       "}",
       "4:10: size: a number is required, this is \"1GB\""},
      {"ephemeral_disk {\n"
       "  sticky = \"on\"\n"
       "}",
       "4:12: sticky: true or false is required, this is \"on\""},
      {"network {\n"
       "  mbits = -1\n"
       "}",
       "4:11: mbits: at least 0 is required, this is -1"},
      {"network {\n"
       "  port {\n"
       "  }\n"
       "}",
       "4:3: expected a label: port \"name\" { ... }"},
      {"network {\n"
       "  port \"http\" {\n"
       "    static = 70000\n"
       "  }\n"
       "}",
       "5:14: static: a number from 0 to 65535 is required, this is 70000"},
      {"network {\n"
       "  port \"http\" {\n"
       "    static = \"http\"\n"
       "  }\n"
       "}",
       "5:14: static: a number is required, this is \"http\""},
      {"network {\n"
       "  port \"http\" {\n"
       "    to = -2\n"
       "  }\n"
       "}",
       "5:10: to: a number from -1 to 65535 is required, this is -2"},
      {"network {\n"
       "  port \"a\" {\n"
       "  }\n"
       "  port \"a\" {\n"
       "  }\n"
       "}",
       "3:1: the network has the port \"a\" twice"},
      {"network {\n"
       "  port \"http\" = 80\n"
       "}",
       "4:15: expected \"{\" after the block \"port\"'s label (an argument's name is one word), "
       "found \"=\""},
      {"network {\n"
       "  port = 80\n"
       "}",
       "4:3: \"port\" is a block: expected port \"label\" { ... } without \"=\""},
      {"network {\n"
       "  dns {\n"
       "    server = [\"1.1.1.1\"]\n"
       "  }\n"
       "}",
       "5:5: there is no argument \"server\" here; did you mean \"servers\"?"},
      {"network {\n"
       "  prot \"a\" {\n"
       "  }\n"
       "}",
       "4:3: there is no block \"prot\" here; did you mean \"port\"?"},
      {"volume {\n"
       "}",
       "3:1: expected a label: volume \"name\" { ... }"},
      {"volume \"a\" {\n"
       "  type = \"hsot\"\n"
       "}",
       "4:10: type: expected host or csi, found \"hsot\"; did you mean \"host\"?"},
      {"volume \"a\" {\n"
       "}\n"
       "volume \"a\" {\n"
       "}",
       "5:8: there is a volume \"a\" already"},
      {"volume \"a\" {\n"
       "  readonly = true\n"
       "}",
       "4:3: there is no argument \"readonly\" here; did you mean \"read_only\"?"},
      {"scaling {\n"
       "  min = 1\n"
       "}",
       "5:1: scaling: expected max = ... in it"},
      {"scaling {\n"
       "  max = 3\n"
       "  type = \"vertical\"\n"
       "}",
       "3:1: scaling: the type of a group's is \"horizontal\""},
      {"scaling {\n"
       "  max = -3\n"
       "}",
       "4:9: max: at least 0 is required, this is -3"},
      {"scaling \"x\" {\n"
       "}",
       "3:9: expected \"{\": the block \"scaling\" takes no label"},
      {"disconnect {\n"
       "  reconcile = \"best\"\n"
       "}",
       "4:15: reconcile: expected keep_original, keep_replacement, best_score or longest_running, "
       "found \"best\""},
      {"shutdown_delay = \"soon\"",
       "3:18: shutdown_delay: 'soon' is not a duration: want numbers with units, like 1h30m or "
       "250ms"},
      {"vault {\n"
       "  polices = []\n"
       "}",
       "4:3: there is no argument \"polices\" here; did you mean \"policies\"?"},
      {"dynamic \"task\" {\n"
       "  for_each = [\"a\"]\n"
       "}",
       "3:1: dynamic: expected a block content { } in it"},
      {"dynamic \"task\" {\n"
       "  content {\n"
       "  }\n"
       "}",
       "3:1: dynamic: expected for_each = ... in it"},
      {"dynamic \"task\" {\n"
       "  for_each = 1\n"
       "  content {\n"
       "  }\n"
       "}",
       "4:14: for_each: a list, set, map or object is required"},
      {"dynamic \"task\" {\n"
       "  for_each = [\"a\"]\n"
       "  content {\n"
       "  }\n"
       "}",
       "3:9: expected a label: task \"name\" { ... }"},
      {"dynamic \"task\" {\n"
       "  for_each = [\"a\"]\n"
       "  labels = task.value\n"
       "  content {\n"
       "  }\n"
       "}",
       "5:12: labels: a list of strings is required, this is string"},
      {"dynamic \"task\" {\n"
       "  for_each = [\"a\"]\n"
       "  labels = [task.value]\n"
       "  content {\n"
       "    drivr = \"x\"\n"
       "  }\n"
       "}",
       "7:5: there is no argument \"drivr\" here; did you mean \"driver\"?"},
      {"dynamic \"restart\" {\n"
       "  for_each = [1, 2]\n"
       "  content {\n"
       "  }\n"
       "}",
       "3:9: only one block \"restart\" may stand here, the first is in line 3"},
      {"dynamic \"task\" {\n"
       "  for_each = [1]\n"
       "  iterator = \"t\"\n"
       "  content {\n"
       "  }\n"
       "}",
       "5:14: iterator: expected a name without quotes"},
      {"service \"web\" {\n"
       "}",
       "3:9: expected \"{\": the block \"service\" takes no label"},
      {"service {\n"
       "  tags = \"a\"\n"
       "}",
       "4:10: tags: a list of strings is required, this is string"},
      {"service {\n"
       "  port = [80]\n"
       "}",
       "4:10: port: a string is required, this is tuple"},
      {"service {\n"
       "  prot = \"http\"\n"
       "}",
       "4:3: there is no argument \"prot\" here; did you mean \"port\"?"},
      {"service {\n"
       "  address_mode = \"bridge\"\n"
       "}",
       "4:18: address_mode: expected auto, alloc, driver or host, found \"bridge\""},
      {"service {\n"
       "  provider = \"consl\"\n"
       "}",
       "4:14: provider: expected consul or nomad, found \"consl\"; did you mean \"consul\"?"},
      {"service {\n"
       "  check \"alive\" {\n"
       "  }\n"
       "}",
       "4:9: expected \"{\": the block \"check\" takes no label"},
      {"service {\n"
       "  check {\n"
       "    type = \"https\"\n"
       "  }\n"
       "}",
       "5:12: type: expected http, tcp, script or grpc, found \"https\"; did you mean \"http\"?"},
      {"service {\n"
       "  check {\n"
       "    interval = 10s\n"
       "  }\n"
       "}",
       "5:18: expected a new line after the value, found the name \"s\""},
      {"service {\n"
       "  check {\n"
       "    interval = \"10sec\"\n"
       "  }\n"
       "}",
       "5:16: interval: '10sec' is not a duration: want numbers with units, like 1h30m or 250ms"},
      {"service {\n"
       "  check {\n"
       "    intervall = \"10s\"\n"
       "  }\n"
       "}",
       "5:5: there is no argument \"intervall\" here; did you mean \"interval\"?"},
      {"service {\n"
       "  check {\n"
       "    header {\n"
       "      A = \"b\"\n"
       "    }\n"
       "  }\n"
       "}",
       "6:11: A: a list of strings is required, this is string"},
      {"service {\n"
       "  check {\n"
       "    initial_status = \"ok\"\n"
       "  }\n"
       "}",
       "5:22: initial_status: expected passing, warning or critical, found \"ok\""},
      {"service {\n"
       "  check {\n"
       "    tls_skip_verify = \"no\"\n"
       "  }\n"
       "}",
       "5:23: tls_skip_verify: true or false is required, this is \"no\""},
      {"service {\n"
       "  check {\n"
       "    args = [\"a\", {}]\n"
       "  }\n"
       "}",
       "5:12: args: element 1: a string is required, this is object"},
      {"service {\n"
       "  check_restart {\n"
       "    limit = -1\n"
       "  }\n"
       "}",
       "5:13: limit: at least 0 is required, this is -1"},
      {"service {\n"
       "  connect {\n"
       "    sidecar_service {}\n"
       "  }\n"
       "}",
       "4:3: \"connect\" is not supported"},
      {"service {\n"
       "  weights {\n"
       "    passing = \"x\"\n"
       "  }\n"
       "}",
       "5:15: passing: a number is required, this is \"x\""},
      {"service {\n"
       "  meta = [1]\n"
       "}",
       "4:10: meta: a map of strings is required, this is tuple"},
      {"service {\n"
       "  on_update = \"ignore_all\"\n"
       "}",
       "4:15: on_update: expected require_healthy, ignore_warnings or ignore, found "
       "\"ignore_all\""},
  };
  for (const Wrong& wrong : table) {
    CAPTURE(wrong.source);
    EXPECT_EQ(error_of(std::string("job \"j\" {\ngroup \"g\" {\n") + wrong.source + "\n}\n}\n"),
              wrong.error);
  }
}

TEST_CASE("job hcl errors: what stands in a task") {
  const Wrong table[] = {
      {"driver = docker.io()", "4:19: expected a new line after the value, found \"(\""},
      {"driver = [\"docker\"]", "4:10: driver: a string is required, this is tuple"},
      {"dirver = \"docker\"",
       "4:1: there is no argument \"dirver\" here; did you mean \"driver\"?"},
      {"driver \"docker\" {\n"
       "}",
       "4:1: \"driver\" is an argument: expected driver = ..."},
      {"config = {}", "4:1: \"config\" is a block: expected config { ... } without \"=\""},
      {"config \"x\" {\n"
       "}",
       "4:8: expected \"{\": the block \"config\" takes no label"},
      {"config {\n"
       "}\n"
       "config {\n"
       "}",
       "6:1: only one block \"config\" may stand here, the first is in line 4"},
      {"config {\n"
       "  image = \"a\"\n"
       "  image = \"b\"\n"
       "}",
       "6:3: \"image\" is set twice, first in line 5"},
      {"config {\n"
       "  a = 1\n"
       "  a {\n"
       "  }\n"
       "}",
       "6:3: \"a\" is set already, in line 5"},
      {"config {\n"
       "  port_map { http = 80 https = 443 }\n"
       "}",
       "5:24: expected \"}\" (a block on one line holds at most one argument), found the name "
       "\"https\""},
      {"config {\n"
       "  args = [\"a\" \"b\"]\n"
       "}",
       "5:15: expected \",\" or \"]\" in the list, found a quoted string"},
      {"config {\n"
       "  image = \"unclosed\n"
       "}",
       "5:11: expected a closing quote on the same line (text of several lines goes into a "
       "heredoc)"},
      {"env {\n"
       "  A-B = 1\n"
       "  \"C D\" = 2\n"
       "}",
       "6:3: expected a name without quotes; quoted keys stand in a map: name = { \"key\" = value "
       "}"},
      {"env = [\"A=b\"]", "4:7: env: a map of strings is required, this is tuple"},
      {"env {\n"
       "  A = [1]\n"
       "}",
       "5:7: A: a string is required, this is tuple"},
      {"env \"x\" {\n"
       "}",
       "4:5: env: expected \"{\", the block takes no label"},
      {"kill_timeout = \"5\"",
       "4:16: kill_timeout: '5' is not a duration: want numbers with units, like 1h30m or 250ms"},
      {"leader = \"true!\"", "4:10: leader: true or false is required, this is \"true!\""},
      {"user = {}", "4:8: user: a string is required, this is object"},
      {"kill_signal {\n"
       "}",
       "4:1: \"kill_signal\" is an argument: expected kill_signal = ..."},
      {"resources {\n"
       "  cpu = \"500MHz\"\n"
       "}",
       "5:9: cpu: a number is required, this is \"500MHz\""},
      {"resources {\n"
       "  memory = -1\n"
       "}",
       "5:12: memory: at least 0 is required, this is -1"},
      {"resources {\n"
       "  mem = 10\n"
       "}",
       "5:3: there is no argument \"mem\" here"},
      {"resources = {\n"
       "  cpu = 1\n"
       "}",
       "4:1: \"resources\" is a block: expected resources { ... } without \"=\""},
      {"resources {\n"
       "  network {\n"
       "    port \"http\" { static = 99999 }\n"
       "  }\n"
       "}",
       "6:28: static: a number from 0 to 65535 is required, this is 99999"},
      {"resources {\n"
       "  device {\n"
       "  }\n"
       "}",
       "5:3: expected a label: device \"name\" { ... }"},
      {"lifecycle {\n"
       "  hook = \"pre_start\"\n"
       "}",
       "5:10: hook: expected prestart, poststart or poststop, found \"pre_start\"; did you mean "
       "\"prestart\"?"},
      {"lifecycle {\n"
       "  sidecar = 2\n"
       "}",
       "5:13: sidecar: true or false is required, this is number"},
      {"logs {\n"
       "  max_files = \"ten\"\n"
       "}",
       "5:15: max_files: a number is required, this is \"ten\""},
      {"logs {\n"
       "  max_file_sze = 1\n"
       "}",
       "5:3: there is no argument \"max_file_sze\" here; did you mean \"max_file_size\"?"},
      {"artifact \"x\" {\n"
       "}",
       "4:10: expected \"{\": the block \"artifact\" takes no label"},
      {"artifact {\n"
       "  mode = \"directory\"\n"
       "}",
       "5:10: mode: expected any, file or dir, found \"directory\""},
      {"artifact {\n"
       "  options {\n"
       "    a = {}\n"
       "  }\n"
       "}",
       "6:9: a: a string is required, this is object"},
      {"artifact {\n"
       "  url = \"x\"\n"
       "}",
       "5:3: there is no argument \"url\" here"},
      {"template {\n"
       "  change_mode = \"reload\"\n"
       "}",
       "5:17: change_mode: expected noop, restart, signal or script, found \"reload\""},
      {"template {\n"
       "  splay = \"5\"\n"
       "}",
       "5:11: splay: '5' is not a duration: want numbers with units, like 1h30m or 250ms"},
      {"template {\n"
       "  data = <<EOT\n"
       "${if x}\n"
       "EOT\n"
       "}",
       "6:6: expected \"}\" for the \"${\" of line 6, column 1 (text for another language is "
       "written \"$${\"), found the name \"x\""},
      {"template {\n"
       "  data = <<EOT\n"
       "no end\n"
       "}",
       "5:10: expected a line with \"EOT\" alone to end this heredoc"},
      {"template {\n"
       "  wait {\n"
       "    min = \"x\"\n"
       "  }\n"
       "}",
       "6:11: min: 'x' is not a duration: want numbers with units, like 1h30m or 250ms"},
      {"template {\n"
       "  change_script {\n"
       "    args = \"x\"\n"
       "  }\n"
       "}",
       "6:12: args: a list of strings is required, this is string"},
      {"template {\n"
       "  perm = \"0644\"\n"
       "}",
       "5:3: there is no argument \"perm\" here; did you mean \"perms\"?"},
      {"volume_mount {\n"
       "  propagation_mode = \"shared\"\n"
       "}",
       "5:22: propagation_mode: expected private, host-to-task or bidirectional, found \"shared\""},
      {"volume_mount \"a\" {\n"
       "}",
       "4:14: expected \"{\": the block \"volume_mount\" takes no label"},
      {"dispatch_payload {\n"
       "  path = \"x\"\n"
       "}",
       "5:3: there is no argument \"path\" here"},
      {"scaling \"disk\" {\n"
       "}",
       "3:1: scaling \"disk\": a task's is \"cpu\" or \"mem\""},
      {"scaling {\n"
       "}",
       "4:1: expected a label: scaling \"name\" { ... }"},
      {"csi_plugin {\n"
       "}",
       "4:1: \"csi_plugin\" is not supported"},
      {"identity {\n"
       "}",
       "4:1: \"identity\" is not supported"},
      {"action \"x\" {\n"
       "}",
       "4:1: \"action\" is not supported"},
      {"vault {\n"
       "  env = \"x\"\n"
       "}",
       "5:9: env: true or false is required, this is \"x\""},
      {"service {\n"
       "  check {\n"
       "    port = {}\n"
       "  }\n"
       "}",
       "6:12: port: a string is required, this is object"},
      {"driver = uper(\"docker\")", "4:10: there is no function \"uper\"; did you mean \"upper\"?"},
      {"driver = upper()", "4:10: upper: takes 1 argument, 0 given"},
      {"driver = local.x", "4:16: there is no local value \"x\""},
      {"driver = var.x.y", "4:14: there is no variable \"x\" declared"},
      {"driver = \"${upper(1, 2)}\"", "4:13: upper: takes 1 argument, 2 given"},
      {"driver = file(\"x\")", "4:10: file: files cannot be read here"},
      {"user = 1 / 0", "4:12: division by zero"},
      {"user = \"a${[]}b\"", "4:12: a tuple cannot stand in a string"},
      {"env = { for k in [1] : k => [k] }",
       "4:7: env: element \"1\": a string is required, this is tuple"},
      {"env = { A = attr.x + 1 }", "4:13: a number is required, this is \"${attr.x}\""},
  };
  for (const Wrong& wrong : table) {
    CAPTURE(wrong.source);
    EXPECT_EQ(error_of(std::string("job \"j\" {\ngroup \"g\" {\ntask \"t\" {\n") + wrong.source +
                       "\n}\n}\n}\n"),
              wrong.error);
  }
}

}  // namespace sluice::orchestrator
