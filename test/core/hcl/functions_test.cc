// What the differential test cannot ask of the reference: files, randomness, limits, error texts.
#include "core/hcl/functions.h"

#include <map>

#include "core/disk.h"
#include "core/hcl/parser.h"
#include "core/hcl/path_glob.h"
#include "core/random.h"
#include "test/test.h"

namespace sluice::hcl {

namespace {

// Files and folders by their paths; reading only.
class FakeDisk final : public Disk {
 public:
  std::map<std::string, std::string> files;

  Result<std::string> read_file(const std::string& path, size_t) override {
    auto at = files.find(path);
    if (at == files.end()) return fail(Code::kNotFound, "open {}: no such file", path);
    return at->second;
  }
  Result<void> write_file(const std::string&, std::string_view, uint32_t) override {
    return fail(Code::kUnsupported, "read only");
  }
  Result<void> make_folders(const std::string&, uint32_t) override {
    return fail(Code::kUnsupported, "read only");
  }
  Result<void> remove_tree(const std::string&) override {
    return fail(Code::kUnsupported, "read only");
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    std::vector<std::string> names;
    for (const auto& [file, content] : files) {
      if (!file.starts_with(path + "/")) continue;
      std::string name = file.substr(path.size() + 1);
      name = name.substr(0, name.find('/'));
      if (names.empty() || names.back() != name) names.push_back(name);
    }
    if (names.empty()) return fail(Code::kNotFound, "{}: no such folder", path);
    return names;
  }
  bool exists(const std::string& path) override {
    return files.contains(path) || list(path).has_value();
  }
  Result<DiskSpace> space(const std::string&) override {
    return fail(Code::kUnsupported, "read only");
  }
};

std::string run(std::string source, const FunctionHost* host = nullptr,
                const HclLimits& limits = {}) {
  auto expression = parse_expression("t", std::move(source), limits);
  if (!expression) return expression.error().message;
  Evaluator evaluator({.functions = &standard_functions(), .host = host, .limits = limits});
  auto value = evaluator.evaluate(*expression->expr, Scope());
  if (value) return to_json(to_json_value(*value));
  return value.error().message.substr(0, value.error().message.find('\n'));
}

}  // namespace

TEST_CASE("hcl functions: files below the job file's folder, and no others") {
  FakeDisk disk;
  disk.files = {{"/jobs/web/a.txt", "alpha\n"},
                {"/jobs/web/conf/x.yml", "x"},
                {"/jobs/web/conf/deep/y.yml", "y"},
                {"/jobs/web/bin", "\xFF\xFE"},
                {"/jobs/secret", "s"}};
  FunctionHost host{.disk = &disk,
                    .base_folder = "/jobs/web",
                    .working_folder = "/users/u",
                    .home_folder = "/users/u"};
  EXPECT_EQ(run("file(\"a.txt\")", &host), "\"alpha\\n\"");
  EXPECT_EQ(run("file(\"./conf/../a.txt\")", &host), "\"alpha\\n\"");
  EXPECT_EQ(run("file(\"/jobs/web/a.txt\")", &host), "\"alpha\\n\"");
  EXPECT_EQ(run("file(\"../secret\")", &host),
            "t:1:1: file: \"../secret\" is outside of the job file's folder /jobs/web");
  EXPECT_EQ(run("file(\"/jobs/web-2/x\")", &host),
            "t:1:1: file: \"/jobs/web-2/x\" is outside of the job file's folder /jobs/web");
  EXPECT_EQ(run("file(\"/etc/passwd\")", &host),
            "t:1:1: file: \"/etc/passwd\" is outside of the job file's folder /jobs/web");
  EXPECT_EQ(run("file(\"none\")", &host), "t:1:1: file: open /jobs/web/none: no such file");
  EXPECT_EQ(run("file(\"bin\")", &host),
            "t:1:1: file: \"bin\" is no text (UTF-8); filebase64 reads any file");
  EXPECT_EQ(run("filebase64(\"bin\")", &host), "\"//4=\"");
  EXPECT_EQ(run("[fileexists(\"a.txt\"), fileexists(\"b.txt\")]", &host), "[true,false]");
  EXPECT_EQ(run("fileexists(\"conf\")", &host), "t:1:1: fileexists: \"conf\" is a folder");
  EXPECT_EQ(run("fileset(\".\", \"**/*.yml\")", &host), R"(["conf/deep/y.yml","conf/x.yml"])");
  EXPECT_EQ(run("fileset(\"conf\", \"*.{yml,yaml}\")", &host), R"(["x.yml"])");
  EXPECT_EQ(run("file(\"a.txt\")"), "t:1:1: file: files cannot be read here");
  EXPECT_EQ(
      run("[abspath(\"a\"), pathexpand(\"~/b\"), basename(\"/a/b\"), dirname(\"/a/b\")]", &host),
      R"(["/users/u/a","/users/u/b","b","/a"])");

  FunctionHost relative{.disk = &disk, .base_folder = "."};
  disk.files = {{"a", "1"}};
  EXPECT_EQ(run("file(\"a\")", &relative), "\"1\"");
  EXPECT_EQ(run("file(\"../a\")", &relative),
            "t:1:1: file: \"../a\" is outside of the job file's folder .");
}

TEST_CASE("hcl functions: randomness only where the host has some") {
  SeededRandom random(7);
  FunctionHost host{.random = &random};
  EXPECT_EQ(run("strlen(uuidv4())", &host), "36");
  EXPECT_EQ(run("substr(bcrypt(\"x\", 4), 0, 7)", &host), "\"$2a$04$\"");
  EXPECT_EQ(run("uuidv4()"), "t:1:1: uuidv4: not available here");
  EXPECT_EQ(run("bcrypt(\"x\")"), "t:1:1: bcrypt: not available here");
  EXPECT_EQ(run("bcrypt(\"x\", 16)", &host),
            "t:1:1: bcrypt: this makes more than an evaluation may");
}

TEST_CASE("hcl functions: what would make too much ends") {
  const HclLimits small{.max_steps = 1000, .max_made_bytes = 10'000};
  const char* kYamlBomb = R"(yamldecode(<<EOT
a: &a [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b]
d: [*c,*c,*c,*c,*c,*c,*c,*c]
EOT
))";
  const char* sources[] = {
      "format(\"%100000d\", 1)",
      "indent(100000, \"a\\n\")",
      "setproduct([1,2,3,4,5,6,7,8,9,10],[1,2,3,4,5,6,7,8,9,10],[1,2,3,4,5,6,7,8,9,10])",
      "join(\",\", [for a in range(1000) : \"0123456789\"])",
      kYamlBomb,
      "regex_replace(format(\"%2000s\", \"\"), \"\", \"0123456789\")",
      "jsondecode(format(\"[%s1]\", join(\"\", [for a in range(1000) : \"1,\"])))",
      "replace(format(\"%5000s\", \"\"), \" \", \"0123456789\")",
  };
  for (const char* source : sources) {
    CAPTURE(source);
    auto expression = parse_expression("t", source);
    REQUIRE(expression.has_value());
    Evaluator evaluator({.functions = &standard_functions(), .limits = small});
    auto value = evaluator.evaluate(*expression->expr, Scope());
    REQUIRE(!value.has_value());
    EXPECT_EQ(value.error().code, Code::kLimit);
  }
}

TEST_CASE("hcl functions: errors name the function and the argument") {
  EXPECT_EQ(run("uper(\"a\")"), "t:1:1: there is no function \"uper\"; did you mean \"upper\"?");
  EXPECT_EQ(run("upper()"), "t:1:1: upper: takes 1 argument, 0 given");
  EXPECT_EQ(run("upper(\"a\", \"b\")"), "t:1:1: upper: takes 1 argument, 2 given");
  EXPECT_EQ(run("join()"), "t:1:1: join: takes at least 1 argument, 0 given");
  EXPECT_EQ(run("upper([])"), "t:1:7: upper: text: a string is required, this is tuple");
  EXPECT_EQ(run("upper(null)"), "t:1:7: upper: text must not be null");
  EXPECT_EQ(run("cidrhost(\"x\", 1)"),
            "t:1:1: cidrhost: a network such as \"10.0.0.0/8\" is required, this is \"x\"");
  EXPECT_EQ(run("regex_replace(\"a\", \"[\", \"b\")"),
            "t:1:1: regex_replace: the regular expression is wrong: missing ]: [");
  EXPECT_EQ(
      run("convert(1, strng)"),
      "t:1:12: expected a type such as string, number, bool, any, list(string), map(number) or "
      "object({...}); did you mean \"string\"?");
  EXPECT_EQ(run("try([][0], {}.a)").substr(0, 56),
            "t:1:1: try: none of the arguments could be evaluated:");
}

TEST_CASE("hcl functions: patterns of paths") {
  auto matches = [](const char* pattern, const char* path) {
    auto result = glob_matches(pattern, path);
    return result.has_value() && *result;
  };
  EXPECT(matches("*.txt", "a.txt"));
  EXPECT(!matches("*.txt", "b/a.txt"));
  EXPECT(matches("**/*.txt", "a.txt"));
  EXPECT(matches("**/*.txt", "b/c/a.txt"));
  EXPECT(matches("b/**", "b/c/a.txt"));
  EXPECT(matches("?[a-c][^x].txt", "1by.txt"));
  EXPECT(!matches("[^a]", "a"));
  EXPECT(matches("{a,b{c,d}}.x", "bd.x"));
  EXPECT(matches("\\*", "*"));
  EXPECT(!glob_matches("[a", "a").has_value());
  EXPECT(!glob_matches("{a", "a").has_value());
  std::string stars;
  for (int i = 0; i < 40; ++i) stars += "*a";
  EXPECT(!glob_matches(stars, std::string(60, 'a') + "b").has_value());
  EXPECT_EQ(clean_path("/a/./b//../c/"), "/a/c");
  EXPECT_EQ(clean_path("../a/../../b"), "../../b");
  EXPECT_EQ(clean_path("/.."), "/");
  EXPECT_EQ(clean_path(""), ".");
}

TEST_CASE("hcl: values that hold each other many times end at the limits") {
  // Each list holds the one before eight times: small in memory, huge when written.
  std::string source = "[for a in [[1,1,1,1,1,1,1,1]] : ";
  int levels = 9;
  for (int i = 0; i < levels; ++i) {
    std::string inner = i == 0 ? "a" : fmt::format("v{}", i);
    source += fmt::format("[for v{} in [[{},{},{},{},{},{},{},{}]] : ", i + 1, inner, inner, inner,
                          inner, inner, inner, inner, inner);
  }
  source += fmt::format("v{}", levels) + std::string(static_cast<size_t>(levels) + 1, ']');
  auto expression = parse_expression("t", source);
  REQUIRE(expression.has_value());
  Evaluator evaluator({.functions = &standard_functions()});
  auto value = evaluator.evaluate(*expression->expr, Scope());
  REQUIRE(!value.has_value());
  EXPECT_EQ(value.error().code, Code::kLimit);
}

}  // namespace sluice::hcl
