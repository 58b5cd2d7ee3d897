#include "core/hcl/eval.h"

#include "core/hcl/functions.h"
#include "core/hcl/parser.h"
#include "core/hcl/schema.h"
#include "test/test.h"

namespace sluice::hcl {

namespace {

Scope variables() {
  Scope scope;
  scope.set("var", Value::object({{"n", Value::number(3)},
                                  {"s", Value::string("text")},
                                  {"l", Value::list(Type::string(),
                                                    {Value::string("a"), Value::string("b")})}}));
  return scope;
}

Result<Value> evaluate(std::string text, bool keep = false, const HclLimits& limits = {}) {
  auto expression = parse_expression("t", std::move(text), limits);
  if (!expression) return pass(expression);
  Evaluator evaluator(
      {.functions = &standard_functions(), .keeps_unknown_references = keep, .limits = limits});
  Scope scope = variables();
  return evaluator.evaluate(*expression->expr, scope);
}

std::string json_of(std::string text, bool keep = false) {
  auto value = evaluate(std::move(text), keep);
  if (!value) return "error: " + value.error().message;
  return to_json(to_json_value(*value));
}

std::string error_of(std::string text, const HclLimits& limits = {}) {
  auto value = evaluate(std::move(text), false, limits);
  if (value) return to_json(to_json_value(*value));
  return value.error().message;
}

struct Case {
  const char* source;
  const char* json;
};

}  // namespace

// What the reference implementation answers is compared in test/e2e/hcl_reference_test.py; these
// are the forms themselves, each once.
TEST_CASE("hcl: every form of expression") {
  const Case cases[] = {
      {"1 + 2 * 3 - -4 % 3", "8"},
      {"!(1 < 2) || 2 >= 2 && \"1\" == \"1\"", "true"},
      {"0.1 + 0.2", "0.3"},
      {"9007199254740993 * 10", "90071992547409930"},
      {"var.n > 2 ? \"many\" : \"few\"", "\"many\""},
      {"\"${var.s}-${var.n}-${true}\"", "\"text-3-true\""},
      {"\"${var.n}\"", "3"},
      {"\"$${a} %%{b} \\t\\\"\\u00e9\"", "\"${a} %{b} \\t\\\"é\""},
      {"[1, \"a\", [true], null,]", "[1,\"a\",[true],null]"},
      {"{a = 1, \"b\" : 2, (var.s) = 3}", "{\"a\":1,\"b\":2,\"text\":3}"},
      {"{\n a = 1\n\n b = 2 # two\n}", "{\"a\":1,\"b\":2}"},
      {"[for v in var.l : \"x${v}\"]", "[\"xa\",\"xb\"]"},
      {"[for i, v in var.l : i if v != \"a\"]", "[1]"},
      {"{for i, v in var.l : v => i}", "{\"a\":0,\"b\":1}"},
      {"{for v in [\"a\", \"b\", \"aa\"] : v == \"b\" ? \"x\" : \"y\" => v...}",
       "{\"x\":[\"b\"],\"y\":[\"a\",\"aa\"]}"},
      {"[{a = 1}, {a = 2}][*].a", "[1,2]"},
      {"[{a = [5]}, {a = [6]}].*.a[0]", "[5]"},
      {"[{a = [5]}, {a = [6]}][*].a[0]", "[5,6]"},
      {"var.l[1]", "\"b\""},
      {"[[1, 2], [3]].0", "[1,2]"},
      {"(\n 1 +\n 2\n)", "3"},
      {"<<EOT\n a ${var.n}\n  b\nEOT\n", "\" a 3\\n  b\\n\""},
      {"<<-EOT\n    a\n\n      b\n    EOT\n", "\"a\\n\\n  b\\n\""},
      {"\"%{ if var.n > 2 }yes%{ else }no%{ endif }\"", "\"yes\""},
      {"\"%{ for i, v in var.l }${i}${v} %{ endfor }\"", "\"0a 1b \""},
      {"\"a  ${~ 1 ~}  b\"", "\"a1b\""},
      {"/* c */ 1 // c\n", "1"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.source);
    EXPECT_EQ(json_of(c.source), c.json);
  }
}

TEST_CASE("hcl: a name that only somebody later knows stays text, if so wanted") {
  EXPECT_EQ(json_of("\"${attr.kernel.name}\"", true), "\"${attr.kernel.name}\"");
  EXPECT_EQ(json_of("\"x-${meta[\"a b\"]}-${NOMAD_PORT_http}\"", true),
            "\"x-${meta[\\\"a b\\\"]}-${NOMAD_PORT_http}\"");
  EXPECT_EQ(json_of("[for v in var.l : \"${v}-${node.id}\"]", true),
            "[\"a-${node.id}\",\"b-${node.id}\"]");
  EXPECT_EQ(error_of("\"${attr.kernel.name}\""),
            "t:1:4: there is no variable \"attr\"\n"
            "  \"${attr.kernel.name}\"\n"
            "     ^");
}

TEST_CASE("hcl: limits on depth, parts, steps and bytes") {
  std::string deep = std::string(300, '(') + "1" + std::string(300, ')');
  EXPECT_EQ(evaluate(deep).error().code, Code::kLimit);
  std::string chain = "1";
  for (int i = 0; i < 300; ++i) chain += "+1";
  EXPECT_EQ(evaluate(chain).error().code, Code::kLimit);
  EXPECT_EQ(evaluate(std::string(300, '-') + "1").error().code, Code::kLimit);
  std::string quotes;
  for (int i = 0; i < 300; ++i) quotes += "\"${";
  EXPECT_EQ(evaluate(quotes).error().code, Code::kLimit);
  EXPECT_EQ(evaluate("[1,2,3,4]", false, {.max_nodes = 4}).error().code, Code::kLimit);
  EXPECT_EQ(evaluate("[for a in [1,2,3] : [for b in [1,2,3] : b]]", false, {.max_steps = 20})
                .error()
                .code,
            Code::kLimit);
  EXPECT_EQ(evaluate("\"${\"${\"abcdefgh\"} \"} \"", false, {.max_made_bytes = 10}).error().code,
            Code::kLimit);
  EXPECT_EQ(parse_file("t", std::string(100, ' '), {.max_bytes = 99}).error().code, Code::kLimit);
  std::string blocks;
  for (int i = 0; i < 300; ++i) blocks += "a {\n";
  EXPECT_EQ(parse_file("t", blocks).error().code, Code::kLimit);
}

TEST_CASE("hcl: numbers keep their digits") {
  auto text = [](const char* source) { return Number::parse(source)->text(); };
  EXPECT_EQ(text("123456789012345678901234567890.5"), "123456789012345678901234567890.5");
  EXPECT_EQ(text("1e30"), "1000000000000000000000000000000");
  EXPECT_EQ(text("0.000001"), "0.000001");
  EXPECT_EQ(text("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(text("9223372036854775808"), "9223372036854775808");
  EXPECT_EQ(Number::from_double(0.1).text(), "0.1");
  EXPECT_EQ(Number::parse("0.1")->to_double(), 0.1);
  EXPECT_EQ(Number::parse("1e400")->to_double(), std::numeric_limits<double>::infinity());
  EXPECT(!Number::parse("1e99999").has_value());
  EXPECT(!Number::parse("1x").has_value());
  EXPECT(!Number::parse("").has_value());
  Number big = *Number::parse("1e2000");
  EXPECT(!multiply(big, big).has_value());
  EXPECT_EQ(divide(Number(7), Number(2))->text(), "3.5");
  EXPECT_EQ(remainder(Number(-7), Number(3))->text(), "-1");
}

TEST_CASE("hcl: a configuration file to JSON without a schema") {
  auto file = parse_file("agent.hcl", R"(
data_dir = "sluice.d"
server {
  enabled = true
}
host_volume "a" {
  path = "/a"
}
host_volume "b" {
  path = "/b"
}
dynamic "port" {
  for_each = { http = 80, https = 443 }
  labels   = [port.key]
  content {
    number = port.value
  }
}
)");
  REQUIRE(file.has_value());
  Evaluator evaluator(EvalOptions{});
  auto json = free_form_json(file->body, evaluator, Scope());
  REQUIRE(json.has_value());
  EXPECT_EQ(to_json(*json), R"({"data_dir":"sluice.d","server":[{"enabled":true}],)"
                            R"("host_volume":[{"a":[{"path":"/a"}]},{"b":[{"path":"/b"}]}],)"
                            R"("port":[{"http":[{"number":80}]},{"https":[{"number":443}]}]})");
}

TEST_CASE(
    "hcl: an error shows the line and points at the place, also behind tabs and in long lines") {
  EXPECT_EQ(error_of("[\n\t\t1 +,\n]"),
            "t:2:6: expected a value, found \",\"\n  \t\t1 +,\n  \t\t   ^");
  std::string wide = "\"" + std::string(200, 'x') + "${nope}" + std::string(200, 'y') + "\"";
  EXPECT_EQ(error_of(wide), "t:1:204: there is no variable \"nope\"\n  ..." + std::string(78, 'x') +
                                "${nope}" + std::string(35, 'y') + "...\n  " +
                                std::string(83, ' ') + "^");
  EXPECT_EQ(error_of("\"é${nope}\""),
            "t:1:5: there is no variable \"nope\"\n  \"é${nope}\"\n      ^");
}

}  // namespace sluice::hcl
