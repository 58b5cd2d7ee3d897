// Settings as JSON against the same in HCL's native syntax; and broken ones, with the exact place.
#include "core/hcl/json_file.h"

#include "core/hcl/eval.h"
#include "core/hcl/parser.h"
#include "test/test.h"

namespace sluice::hcl {

namespace {

using enum ArgumentType;
using enum BlockUse;

constexpr ArgumentSchema kPathArguments[] = {{"path", "path"}, {"read_only", "read_only", kBool}};
constexpr BodySchema kPath = {kPathArguments, {}};
constexpr ArgumentSchema kTopArguments[] = {{"name", "name"},
                                            {"port", "port", kWhole, 0, 65535},
                                            {"interval", "interval", kDuration, 0},
                                            {"meta", "meta", kStringMap},
                                            {"servers", "servers", kStrings}};
constexpr BlockSchema kTopBlocks[] = {{"once", "once", kOnce, &kPath},
                                      {"each", "each", kRepeated, &kPath},
                                      {"volume", "volume", kByLabel, &kPath, "Name"},
                                      {"free", "free", kFreeForm},
                                      {"never", "never", kRefused}};
constexpr BodySchema kTop = {kTopArguments, kTopBlocks};

std::string decoded(const Result<File>& file) {
  if (!file) return file.error().message.substr(0, file.error().message.find('\n'));
  Evaluator evaluator(EvalOptions{});
  const Scope scope;
  Result<Json> json = decode_body(file->body, kTop, file->body.end, evaluator, scope);
  return json ? to_json(*json) : json.error().message.substr(0, json.error().message.find('\n'));
}

std::string of_json(std::string text, const HclLimits& limits = {}) {
  return decoded(parse_json_file("t", std::move(text), kTop, limits));
}

std::string of_native(std::string text) {
  return decoded(parse_file("t", std::move(text)));
}

}  // namespace

TEST_CASE("json file: what it says is what the same native file says") {
  struct {
    const char *json, *native;
  } table[] = {
      {R"({})", ""},
      {R"( {"name": "a\n\u00e9\/${x}", "port": 80, "interval": "1m30s"} )",
       "name = \"a\\né/$${x}\"\nport = 80\ninterval = \"1m30s\"\n"},
      {R"({"port": "80", "name": null})", "port = \"80\"\nname = null\n"},
      {R"({"meta": {"a-b": "1", "c": "2"}, "servers": ["x", "y"]})",
       "meta = { \"a-b\" = \"1\", c = \"2\" }\nservers = [\"x\", \"y\"]\n"},
      {R"({"meta": [{"a": "1"}]})", "meta {\n  a = \"1\"\n}\n"},
      {R"({"once": {"path": "/p"}})", "once {\n  path = \"/p\"\n}\n"},
      {R"({"once": [{"path": "/p"}]})", "once {\n  path = \"/p\"\n}\n"},
      {R"({"once": null, "each": []})", ""},
      {R"({"each": [{"path": "/a"}, {"path": "/b", "read_only": true}]})",
       "each {\n  path = \"/a\"\n}\neach {\n  path = \"/b\"\n  read_only = true\n}\n"},
      {R"({"volume": {"a": {"path": "/a"}, "b": [{"path": "/b"}]}})",
       "volume \"a\" {\n  path = \"/a\"\n}\nvolume \"b\" {\n  path = \"/b\"\n}\n"},
      {R"({"volume": [{"a": {"path": "/a"}}, {"b": {}}]})",
       "volume \"a\" {\n  path = \"/a\"\n}\nvolume \"b\" {\n}\n"},
      {R"({"free": {"x": 1, "gc": {"image": false, "deep": {"y": "z"}}, "l": ["a"]}})",
       "free {\n  x = 1\n  gc {\n    image = false\n    deep {\n      y = \"z\"\n    }\n  }\n"
       "  l = [\"a\"]\n}\n"},
      {R"({"free": {"gc": [{"a": 1}, {"a": 2}]}})",
       "free {\n  gc {\n    a = 1\n  }\n  gc {\n    a = 2\n  }\n}\n"},
  };
  for (const auto& row : table) EXPECT_EQ(of_json(row.json), of_native(row.native));
}

TEST_CASE("json file: broken ones") {
  struct {
    const char *json, *error;
  } table[] = {
      {"{", "t:1:2: expected a key in quotes, found the end of the file"},
      {"[]", "t:1:1: expected an object of settings"},
      {"{\"name\": }", "t:1:10: expected a value, found }"},
      {"{\"name\": a}", "t:1:10: expected a value, found a"},
      {"{\"port\": 01}", "t:1:10: expected a value, found 01"},
      {"{\"name\": \"\\x\"}", "t:1:10: expected a value, found \"\\x\""},
      {"{\"name\": \"a\n\"}", "t:1:10: expected a value, found \"a"},
      {"{\"name\": \"a", "t:1:10: expected a value, found \"a"},
      {"{name: 1}", "t:1:2: expected a key in quotes, found name"},
      {"{\"name\" 1}", "t:1:9: expected \":\" after the key, found 1"},
      {"{\"name\": \"a\",\n}", "t:2:1: expected a key in quotes, found }"},
      {"{\"servers\": [\"a\" \"b\"]}", "t:1:18: expected \",\" or \"]\", found \"b\""},
      {"{\"servers\": [\"a\",]}", "t:1:18: expected a value, found ]"},
      {"{\"name\": \"a\"\n \"port\": 1}", "t:2:2: expected \",\" or \"}\", found \"port\""},
      {"{}\n{}", "t:2:1: expected the end of the file, found {"},
      {"{\"name\": \"a\",\n\"name\": \"b\"}", "t:2:1: \"name\" is set twice, first in line 1"},
      {"{\"free\": {\"a\": 1,\n\"a\": 1}}", "t:2:1: \"a\" is set twice, first in line 1"},
      {"{\"nmae\": \"a\"}", "t:1:2: there is no argument \"nmae\" here; did you mean \"name\"?"},
      {"{\"once\": {\"pth\": 1}}",
       "t:1:11: there is no argument \"pth\" here; did you mean \"path\"?"},
      {"{\"once\": true}", "t:1:10: once: expected an object, found bool"},
      {"{\"once\": [{}, {}]}",
       "t:1:2: only one block \"once\" may stand here, the first is in line 1"},
      {"{\"volume\": {\"a\": 1}}", "t:1:18: volume: expected an object, found number"},
      {"{\"volume\": {\"a\": {}, \"a\": {}}}", "t:1:22: there is a volume \"a\" already"},
      {"{\"never\": {\"x\": 1}}", "t:1:2: \"never\" is not supported"},
      {"{\"port\": 70000}", "t:1:10: port: a number from 0 to 65535 is required, this is 70000"},
      {"{\"meta\": {\"a\": [1]}}",
       "t:1:10: meta: element \"a\": a string is required, this is tuple"},
  };
  for (const auto& row : table) EXPECT_EQ(of_json(row.json), row.error);
}

TEST_CASE("json file: bounded") {
  EXPECT_EQ(of_json("{\"free\":" + std::string(300, '[') + std::string(300, ']') + "}"),
            "t:1:209: nested over 200 levels deep");
  HclLimits few;
  few.max_nodes = 3;
  EXPECT_EQ(of_json("{\"servers\": [\"a\", \"b\"]}", few), "t:1:14: more than 3 values");
  few.max_bytes = 4;
  EXPECT_EQ(of_json("{    }", few), "t: 6 bytes, at most 4 are taken");
}

TEST_CASE("json file: told from a native one by its brace") {
  EXPECT(looks_like_json("\n\t {"));
  EXPECT(!looks_like_json("# {\n"));
  EXPECT(!looks_like_json(""));
}

}  // namespace sluice::hcl
