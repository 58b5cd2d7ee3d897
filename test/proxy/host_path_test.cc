#include "proxy/host_path.h"

#include <string>
#include <utility>
#include <vector>

#include "test/test.h"

namespace sluice::proxy {
namespace {

std::string host_of(std::string_view text, bool tls = false) {
  HostName host;
  if (!parse_host(text, tls, host)) return "400";
  return std::string(host.name()) + (host.port == 0 ? "" : " " + std::to_string(host.port));
}

std::string path_of(std::string_view path) {
  // Exactly as large as promised, so that ASan sees a byte too many.
  std::vector<char> buffer(path.size());
  const NormalPath normal = normalise_path(path, buffer.data());
  switch (normal.status) {
    case PathStatus::kUnchanged: EXPECT_EQ(normal.path, path); break;
    case PathStatus::kChanged: EXPECT(normal.path != path); break;
    case PathStatus::kAboveRoot: return "above";
    case PathStatus::kMalformed: return "malformed";
  }
  return std::string(normal.path);
}

TEST_CASE("host: case, root dot, default ports") {
  EXPECT_EQ(host_of("MySite.COM"), "mysite.com");
  EXPECT_EQ(host_of("mysite.com."), "mysite.com");
  EXPECT_EQ(host_of("mysite.com.:9999"), "mysite.com 9999");
  EXPECT_EQ(host_of("mysite.com:80"), "mysite.com");
  EXPECT_EQ(host_of("mysite.com:443"), "mysite.com 443");
  EXPECT_EQ(host_of("mysite.com:443", true), "mysite.com");
  EXPECT_EQ(host_of("mysite.com:80", true), "mysite.com 80");
  EXPECT_EQ(host_of("mysite.com:"), "mysite.com");
  EXPECT_EQ(host_of("mysite.com:00080"), "mysite.com");
  EXPECT_EQ(host_of("_dmarc.a_b.com"), "_dmarc.a_b.com");
  EXPECT_EQ(host_of(""), "");
  EXPECT_EQ(host_of("[2001:DB8::1]:8080"), "[2001:db8::1] 8080");
  EXPECT_EQ(host_of("[::1]"), "[::1]");
  EXPECT_EQ(host_of(std::string(255, 'a')), std::string(255, 'a'));
}

TEST_CASE("host: what is none") {
  for (const char* bad : {".",           "..",          "..x",          ".x",      "a..b",
                          "a..",         "a.com:99999", "a.com:000080", "a.com:x", "a.com:8 ",
                          "a.com:80:80", ":80",         "a b",          "a/b",     "a@b",
                          "a?b",         "a#b",         "a\\b",         "a\tb",    "[::1",
                          "[::1]x",      "[]",          "[g::1]",       "::1",     "a.com,b.com:x",
                          "\xc3\xa9.com"}) {
    CAPTURE(bad);
    EXPECT_EQ(host_of(bad), "400");
  }
  EXPECT_EQ(host_of(std::string(256, 'a')), "400");
  EXPECT_EQ(host_of(std::string_view("a\0b", 3)), "400");
}

TEST_CASE("path: the normal form") {
  const std::vector<std::pair<const char*, const char*>> table = {
      {"/", "/"},
      {"/a/b/", "/a/b/"},
      {"/a//b/", "/a/b/"},
      {"//foo/bar", "/foo/bar"},
      {"///", "/"},
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/..", "/"},
      {"/a/b/..", "/a/"},
      {"/a/.", "/a/"},
      {"/.", "/"},
      {"/./", "/"},
      {"/a/%2e%2E/b", "/b"},
      {"/a/.%2e/b", "/b"},
      {"/%2e/b", "/b"},
      {"/a//../b", "/b"},
      {"/a/b//..//c", "/a/c"},
      {"/.a/..b/...", "/.a/..b/..."},
      {"/a.b/c..", "/a.b/c.."},
      {"/%61dmin", "/admin"},
      {"/a%2Fb", "/a%2Fb"},
      {"/a%2fb", "/a%2fb"},
      {"/a%2F..%2Fb", "/a%2F..%2Fb"},
      {"/a%20b%00", "/a%20b%00"},
      {"/%7Euser", "/~user"},
      {"/a;x=1/../b", "/b"},
      {"/caf\xc3\xa9", "/caf\xc3\xa9"},
      {"/..", "above"},
      {"/../a", "above"},
      {"/a/../..", "above"},
      {"/a/../../b", "above"},
      {"/%2e%2e/etc", "above"},
      {"//../a", "above"},
      {"/a%", "malformed"},
      {"/a%2", "malformed"},
      {"/a%zz", "malformed"},
      {"/%2g", "malformed"},
      {"", "malformed"},
      {"*", "malformed"},
      {"a/b", "malformed"},
  };
  for (const auto& [in, out] : table) {
    CAPTURE(in);
    EXPECT_EQ(path_of(in), out);
  }
}

TEST_CASE("path: the normal form is its own normal form, whatever comes in") {
  uint64_t seed = 88172645463325252;
  const std::string_view alphabet[] = {"/", "/", ".", "..", "%2e", "%2F", "a", "%41", "//", "%"};
  for (int round = 0; round < 20000; ++round) {
    std::string path = "/";
    for (int i = 0; i < 12; ++i) {
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      path += alphabet[seed % 10];
    }
    const std::string once = path_of(path);
    if (once == "above" || once == "malformed") continue;
    CAPTURE(path);
    REQUIRE(path_of(once) == once);
    REQUIRE(once.find("//") == std::string::npos);
    REQUIRE((once + "/").find("/../") == std::string::npos);
    REQUIRE((once + "/").find("/./") == std::string::npos);
  }
}

}  // namespace
}  // namespace sluice::proxy
