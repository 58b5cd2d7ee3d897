#include "test/orchestrator/job_hcl_errors.h"

namespace sluice::orchestrator::test {

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
       "5:3: \"device\" is not supported"},
      {"resources {\n"
       "  cores = 2\n"
       "  iops = 1\n"
       "}",
       "6:3: \"iops\" is not supported"},
      {"resources {\n"
       "  cores = -1\n"
       "}",
       "5:11: cores: at least 0 is required, this is -1"},
      {"resources {\n"
       "  cores = 1.5\n"
       "}",
       "5:11: cores: a whole number is required, this is 1.5"},
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
       "5:3: \"wait\" is not supported"},
      {"template {\n"
       "  change_script {\n"
       "    args = \"x\"\n"
       "  }\n"
       "}",
       "5:3: \"change_script\" is not supported"},
      {"template {\n"
       "  uid = 1000\n"
       "}",
       "5:3: \"uid\" is not supported"},
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
       "4:1: \"scaling\" is not supported"},
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
       "4:1: \"vault\" is not supported"},
      {"consul {\n"
       "}",
       "4:1: \"consul\" is not supported"},
      {"service {\n"
       "  enable_tag_override = true\n"
       "}",
       "5:3: \"enable_tag_override\" is not supported"},
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
  expect_errors(table, "job \"j\" {\ngroup \"g\" {\ntask \"t\" {\n", "\n}\n}\n}\n");
}

}  // namespace sluice::orchestrator::test
