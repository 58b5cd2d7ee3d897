#include "test/orchestrator/job_hcl_errors.h"

namespace sluice::orchestrator::test {

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
       "4:3: \"dns\" is not supported"},
      {"network {\n"
       "  hostname = \"h\"\n"
       "}",
       "4:3: \"hostname\" is not supported"},
      {"network {\n"
       "  port \"a\" { ignore_collision = true }\n"
       "}",
       "4:14: \"ignore_collision\" is not supported"},
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
       "4:10: type: expected host, found \"hsot\"; did you mean \"host\"?"},
      {"volume \"a\" {\n"
       "}\n"
       "volume \"a\" {\n"
       "}",
       "5:8: there is a volume \"a\" already"},
      {"volume \"a\" {\n"
       "  readonly = true\n"
       "}",
       "4:3: there is no argument \"readonly\" here; did you mean \"read_only\"?"},
      {"volume \"a\" {\n"
       "  type = \"csi\"\n"
       "}",
       "4:10: type: expected host, found \"csi\""},
      {"volume \"a\" {\n"
       "  per_alloc = false\n"
       "  access_mode = \"single-node-writer\"\n"
       "}",
       "5:3: \"access_mode\" is not supported"},
      {"ephemeral_disk {\n"
       "  sticky = false\n"
       "  migrate = true\n"
       "}",
       "5:3: \"migrate\" is not supported"},
      {"max_client_disconnect = \"1h\"", "3:1: \"max_client_disconnect\" is not supported"},
      {"max_client_disconnect = \"soon\"",
       "3:25: max_client_disconnect: 'soon' is not a duration: want numbers with units, like 1h30m "
       "or 250ms"},
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
       "3:1: \"disconnect\" is not supported"},
      {"shutdown_delay = \"soon\"",
       "3:18: shutdown_delay: 'soon' is not a duration: want numbers with units, like 1h30m or "
       "250ms"},
      {"vault {\n"
       "  polices = []\n"
       "}",
       "3:1: \"vault\" is not supported"},
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
  expect_errors(table, "job \"j\" {\ngroup \"g\" {\n", "\n}\n}\n");
}

}  // namespace sluice::orchestrator::test
