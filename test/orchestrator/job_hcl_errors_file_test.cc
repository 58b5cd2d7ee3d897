#include "test/orchestrator/job_hcl_errors.h"

namespace sluice::orchestrator::test {

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
  expect_errors(table);
}

}  // namespace sluice::orchestrator::test
