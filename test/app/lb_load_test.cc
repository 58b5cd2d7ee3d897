#include <set>
#include <string>

#include "app/lb_config.h"
#include "test/test.h"

namespace sluice {

namespace {

using Values = std::map<std::string, std::string>;

Result<Values> parse(std::string_view text) {
  return parse_properties(text, [](std::string_view key) -> std::optional<std::string> {
    if (key == "HOME") return "/h";
    return std::nullopt;
  });
}

struct MemoryDisk final : Disk {
  std::string text;
  Result<std::string> read_file(const std::string& path, size_t) override {
    if (path == "file") return text;
    return fail(Code::kNotFound, "open {}: no such file", path);
  }
  Result<void> write_file(const std::string&, std::string_view, uint32_t) override { return {}; }
  Result<void> make_folders(const std::string&, uint32_t) override { return {}; }
  Result<void> remove_tree(const std::string&) override { return {}; }
  Result<std::vector<std::string>> list(const std::string&) override {
    return std::vector<std::string>();
  }
  bool exists(const std::string&) override { return false; }
  Result<DiskSpace> space(const std::string& folder) override {
    return fail(Code::kNotFound, "{}: no file system", folder);
  }
};

Result<LbConfig> load(std::vector<std::string> arguments, std::vector<std::string> environment = {},
                      std::string file = {}) {
  MemoryDisk disk;
  disk.text = std::move(file);
  const auto fetch = [&](const std::string& url) {
    return Result<std::string>("ui.addr = " + url);
  };
  return load_lb_config(arguments, environment, disk, fetch);
}

}  // namespace

TEST_CASE("properties files as Java writes them") {
  auto values = parse(
      "# comment\n! comment\n\n  a=1\nb : 2\nc   3\nd\ne=\n"
      "long = one, \\\n   two, \\\n# not a comment\n"
      "path = c:\\\\dir\\u00e4\\u20ac\\n\nkey\\ with\\:signs = x\nhome=${HOME}/${a}\r\nlast=\\");
  REQUIRE(values.has_value());
  EXPECT(*values == Values({{"a", "1"},
                            {"b", "2"},
                            {"c", "3"},
                            {"d", ""},
                            {"e", ""},
                            {"long", "one, two, # not a comment"},
                            {"path", "c:\\dir\xc3\xa4\xe2\x82\xac\n"},
                            {"key with:signs", "x"},
                            {"home", "/h/1"},
                            {"last", ""}}));
}

TEST_CASE("what is wrong in a properties file is told with its line") {
  const std::pair<const char*, const char*> cases[] = {
      {"a=1\nb=${none}", "line 2: b: ${none} is neither a key nor in the environment"},
      {"a=${b}\nb=${a}", "line 1: a: it expands to itself"},
      {"a=${b", "line 1: a: ${ without }"},
      {"a=\\u12g4", "line 1: \\u wants four hex digits"},
      {"=x", "line 1: no key"},
  };
  for (const auto& [text, message] : cases) {
    auto values = parse(text);
    REQUIRE(!values.has_value());
    EXPECT_EQ(values.error().message, std::string(message));
  }
}

TEST_CASE("flags over environment over file, and the prefixes of the environment") {
  auto config = load({"-proxy.matcher", "glob", "--ui.addr=:1", "-cfg", "'file'"},
                     {"proxy_strategy=rr", "FABIO_PROXY_STRATEGY=rnd", "SLUICE_PROXY_MATCHER=regex",
                      "UI_ADDR=:2", "INSECURE=yes", "PROXY_MAXCONN=7"},
                     "proxy.maxconn = 5\nui.addr = :3\nui.access = ro\n");
  REQUIRE(config.has_value());
  EXPECT_EQ(config->properties.get("proxy.matcher"), "glob");
  EXPECT_EQ(config->properties.get("proxy.strategy"), "rnd");
  EXPECT_EQ(config->properties.get("ui.addr"), ":1");
  EXPECT_EQ(config->properties.get("ui.access"), "ro");
  EXPECT_EQ(config->properties.get_int("proxy.maxconn"), 7);
  EXPECT(!config->properties.get_bool("insecure"));
  EXPECT(config->warnings.empty());
}

TEST_CASE("a boolean flag needs no value, and takes none that follows") {
  auto config = load({"-registry.consul.allowStale", "-registry.consul.register.enabled=f"});
  REQUIRE(config.has_value());
  EXPECT(config->properties.get_bool("registry.consul.allowStale"));
  EXPECT(!config->properties.get_bool("registry.consul.register.enabled"));
  EXPECT(!load({"-registry.consul.allowStale", "true"}).has_value());
}

TEST_CASE("durations: Go's, and a number alone is seconds") {
  const auto wait_ms = [](const std::string& text) -> int64_t {
    auto config = load({"-proxy.shutdownwait=" + text});
    return config ? config->properties.get_duration_ms("proxy.shutdownwait") : -1;
  };
  EXPECT_EQ(wait_ms("5"), 5'000);
  EXPECT_EQ(wait_ms("1m30s"), 90'000);
  EXPECT_EQ(wait_ms("9223372036"), 9'223'372'036'000);
  // Longer than Go's longest, 292 years, and what is no time at all.
  for (const std::string text :
       {"9223372037", "9223372036854775807", "-9223372036854775808", "-1", "x"}) {
    CAPTURE(text);
    EXPECT_EQ(wait_ms(text), -1);
  }
}

TEST_CASE("every property has one place, a good default, and an answer when it is set") {
  std::set<std::string_view> names;
  for (const Property& property : known_properties()) {
    EXPECT(names.insert(property.name).second);
    EXPECT(!property.help.empty());
    Properties defaults;
    defaults.set(std::string(property.name), std::string(property.default_value));
    std::vector<std::string> warnings;
    const Result<void> checked = defaults.check(warnings);
    EXPECT(checked.has_value());
    EXPECT_EQ(warnings.size(), property.support == PropertySupport::kNoEffect ? 1u : 0u);
    if (property.support != PropertySupport::kUnsupported) continue;
    Properties other;
    other.set(std::string(property.name), property.type == PropertyType::kBool       ? "true"
                                          : property.type == PropertyType::kDuration ? "77s"
                                                                                     : "77");
    const Result<void> refused = other.check(warnings);
    REQUIRE(!refused.has_value());
    EXPECT(refused.error().message.find(property.name) != std::string::npos);
    if (property.secret) EXPECT(refused.error().message.find("77") == std::string::npos);
  }
}

}  // namespace sluice
