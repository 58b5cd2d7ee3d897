// Lookups against a reference matcher that does what fabio's documentation says, one key after
// another.
#include "proxy/route_table.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "proxy/publish.h"
#include "proxy/table_builder.h"
#include "test/test.h"

namespace sluice::proxy {
namespace {

Ref<Route> make_route(std::string_view path, Matcher matcher = Matcher::kPrefix) {
  Route::Parts parts;
  parts.matcher = matcher;
  return Route::make(path, std::move(parts));
}

/// A table and its naive double.
class Pair {
 public:
  void set(const std::string& host, const std::string& path) {
    TableBuilder builder(*table_);
    REQUIRE(builder.update_host(host, one(path, make_route(path))).has_value());
    table_ = builder.finish(table_->version() + 1);
    keys_[host].insert(path);
  }
  void erase(const std::string& host, const std::string& path) {
    TableBuilder builder(*table_);
    REQUIRE(builder.update_host(host, one(path, {})).has_value());
    table_ = builder.finish(table_->version() + 1);
    keys_[host].erase(path);
    if (keys_[host].empty()) keys_.erase(host);
  }

  [[nodiscard]] const RouteTable& table() const { return *table_; }
  [[nodiscard]] const std::map<std::string, std::set<std::string>>& keys() const { return keys_; }

  /// "pattern path" of every route in order, from the table.
  [[nodiscard]] std::vector<std::string> look_up(std::string_view host_text, bool tls,
                                                 std::string_view path) const {
    HostName host;
    REQUIRE(parse_host(host_text, tls, host));
    RouteCursor cursor(*table_, host, path);
    std::vector<std::string> out;
    while (const Route* route = cursor.next()) {
      out.push_back(std::string(cursor.host()->pattern()) + " " + std::string(route->path()));
    }
    return out;
  }

  /// The same, by trying every key.
  [[nodiscard]] std::vector<std::string> expect(std::string host, bool tls,
                                                const std::string& path) const {
    std::transform(host.begin(), host.end(), host.begin(), ::tolower);
    host = drop_port(host, tls);
    std::vector<std::string> found;
    for (const auto& [pattern, paths] : keys_) {
      if (pattern.empty()) continue;
      // A glob that names the default port asks for it, and its star does not stand for another one
      // (in fabio, over TLS, `a.*:443` takes `a.b:80`).
      if (drop_port(pattern, tls) != pattern && host.find(':') != std::string::npos) continue;
      if (glob(drop_port(pattern, tls), host)) found.push_back(pattern);
    }
    std::sort(found.begin(), found.end(), [](const std::string& a, const std::string& b) {
      const bool a_exact = a.find_first_of("*?[{") == std::string::npos;
      const bool b_exact = b.find_first_of("*?[{") == std::string::npos;
      return a_exact != b_exact ? a_exact : reversed(a) > reversed(b);
    });
    if (keys_.contains("")) found.emplace_back();
    std::vector<std::string> out;
    for (const std::string& pattern : found) {
      const std::set<std::string>& paths = keys_.at(pattern);
      for (auto at = paths.rbegin(); at != paths.rend(); ++at) {
        if (!path.starts_with(*at)) continue;
        out.push_back(pattern + " " + *at);
        break;
      }
    }
    return out;
  }

 private:
  static std::vector<RouteUpdate> one(std::string_view path, Ref<Route> route) {
    std::vector<RouteUpdate> updates;
    updates.push_back({path, Matcher::kPrefix, std::move(route)});
    return updates;
  }
  static std::string drop_port(const std::string& host, bool tls) {
    const std::string port = tls ? ":443" : ":80";
    return host.ends_with(port) ? host.substr(0, host.size() - port.size()) : host;
  }
  static std::string reversed(const std::string& text) {
    const size_t colon = text.find(':');
    std::string host = text.substr(0, colon);
    std::reverse(host.begin(), host.end());
    return colon == std::string::npos ? host : host + text.substr(colon);
  }
  static bool glob(std::string_view pattern, std::string_view text) {
    if (pattern.empty()) return text.empty();
    if (pattern[0] == '*') {
      return glob(pattern.substr(1), text) || (!text.empty() && glob(pattern, text.substr(1)));
    }
    if (text.empty() || (pattern[0] != '?' && pattern[0] != text[0])) return false;
    return glob(pattern.substr(1), text.substr(1));
  }

  Ref<RouteTable> table_ = RouteTable::make_empty();
  std::map<std::string, std::set<std::string>> keys_;
};

using Found = std::vector<std::string>;

std::string joined(const Found& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + ", ";
  return out;
}

TEST_CASE("hosts in fabio's order: exact, deeper wildcards, then the empty host") {
  Pair pair;
  for (const char* host : {"", "*.com", "*.foo.com", "*.a.foo.com", "x.a.foo.com", "*", "x.*"}) {
    pair.set(host, "/");
  }
  EXPECT_EQ(
      pair.look_up("X.a.Foo.com.", false, "/p"),
      Found{"x.a.foo.com /", "*.a.foo.com /", "*.foo.com /", "*.com /", "x.* /", "* /", " /"});
  EXPECT_EQ(pair.look_up("foo.com", false, "/"), Found{"*.com /", "* /", " /"});
  EXPECT_EQ(pair.look_up("", false, "/"), Found{" /"});
  EXPECT_EQ(pair.look_up("a.b.c.d.foo.com", false, "/"),
            Found{"*.foo.com /", "*.com /", "* /", " /"});
}

TEST_CASE("a port other than the default matches literally") {
  Pair pair;
  pair.set("mysite.com:9999", "/");
  pair.set("mysite.com", "/");
  pair.set("mysite.com:80", "/");
  pair.set("mysite.com:443", "/");
  pair.set("*.mysite.com:9999", "/");
  EXPECT_EQ(pair.look_up("mysite.com:9999", false, "/"), Found{"mysite.com:9999 /"});
  EXPECT_EQ(pair.look_up("mysite.com:80", false, "/"), Found{"mysite.com:80 /", "mysite.com /"});
  EXPECT_EQ(pair.look_up("mysite.com", false, "/"), Found{"mysite.com:80 /", "mysite.com /"});
  EXPECT_EQ(pair.look_up("mysite.com", true, "/"), Found{"mysite.com:443 /", "mysite.com /"});
  EXPECT_EQ(pair.look_up("mysite.com:80", true, "/"), Found{"mysite.com:80 /"});
  EXPECT_EQ(pair.look_up("a.mysite.com:9999", false, "/"), Found{"*.mysite.com:9999 /"});
  EXPECT_EQ(pair.look_up("a.mysite.com", false, "/"), Found{});
}

TEST_CASE("paths: the longest prefix; none, and the next host is tried") {
  Pair pair;
  for (const char* path : {"/", "/foo", "/foo/", "/foo/bar", "/foobar", "/z"})
    pair.set("a.com", path);
  pair.set("b.com", "/only");
  pair.set("", "/");
  EXPECT_EQ(pair.look_up("a.com", false, "/foo/bars"), Found{"a.com /foo/bar", " /"});
  EXPECT_EQ(pair.look_up("a.com", false, "/foo/ba"), Found{"a.com /foo/", " /"});
  EXPECT_EQ(pair.look_up("a.com", false, "/fooba"), Found{"a.com /foo", " /"});
  EXPECT_EQ(pair.look_up("a.com", false, "/y"), Found{"a.com /", " /"});
  EXPECT_EQ(pair.look_up("b.com", false, "/other"), Found{" /"});
}

TEST_CASE("ports and addresses for the tcp listeners") {
  Pair pair;
  TableBuilder builder(pair.table());
  for (const char* key : {":3306", "10.0.0.1:3306", "[::1]:22"}) {
    std::vector<RouteUpdate> updates;
    const char* path = key[0] == ':' ? "" : "/";
    updates.push_back({path, Matcher::kPrefix, make_route(path)});
    REQUIRE(builder.update_host(key, std::move(updates)).has_value());
  }
  const Ref<RouteTable> table = builder.finish(1);
  EXPECT(table->find_port(3306) != nullptr);
  EXPECT(table->find_port(3307) == nullptr);
  EXPECT(table->find_port(22) == nullptr);
  EXPECT(table->find_address("10.0.0.1", 3306) != table->find_port(3306));
  EXPECT(table->find_address("10.0.0.2", 3306) == table->find_port(3306));
  EXPECT(table->find_address("[::1]", 22) != nullptr);
  EXPECT_EQ(table->host_count(), 3u);
  HostName host;
  REQUIRE(parse_host("", false, host));
  RouteCursor cursor(*table, host, "/");
  EXPECT(cursor.next() == nullptr);  // a port key is no host
}

TEST_CASE("what the trace shows of the matching hosts") {
  Pair pair;
  for (const char* host : {"", "*.foo.com", "a.foo.com", "b.foo.com"}) pair.set(host, "/nowhere");
  HostName host;
  REQUIRE(parse_host("a.foo.com", false, host));
  const RouteCursor::Hosts hosts = RouteCursor::matching_hosts(pair.table(), host);
  REQUIRE(hosts.count == 2);
  EXPECT_EQ(hosts.hosts[0]->pattern(), "a.foo.com");
  EXPECT_EQ(hosts.hosts[1]->pattern(), "*.foo.com");
  REQUIRE(hosts.fallback != nullptr);
  EXPECT_EQ(hosts.fallback->pattern(), "");
}

TEST_CASE("an edit shares what it does not touch, and old tables stay as they were") {
  Pair pair;
  for (int i = 0; i < 1000; ++i) pair.set("h" + std::to_string(i) + ".com", "/");
  TableBuilder first(pair.table());
  const Ref<RouteTable> before = first.finish(5000);
  const Host* other = before->find_host("h7.com");
  const Host* touched = before->find_host("h8.com");
  pair.set("h8.com", "/new");
  EXPECT(pair.table().find_host("h7.com") == other);
  EXPECT(pair.table().find_host("h8.com") != touched);
  EXPECT(before->find_host("h8.com") == touched);
  EXPECT_EQ(touched->route_count(), 1u);
  EXPECT_EQ(pair.table().host_count(), 1000u);
  EXPECT_EQ(pair.table().route_count(), 1001u);
  for (int i = 0; i < 1000; ++i) pair.erase("h" + std::to_string(i) + ".com", "/");
  EXPECT_EQ(pair.table().host_count(), 1u);
  EXPECT(pair.table().find_host("h7.com") == nullptr);
  EXPECT_EQ(before->host_count(), 1000u);
}

TEST_CASE("random tables and requests agree with the reference, through many edits") {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&](size_t bound) { return static_cast<size_t>(random() % bound); };
    const std::string labels[] = {"a", "b", "foo", "com", "x-1"};
    const auto make_name = [&] {
      std::string name;
      for (size_t i = 1 + below(4); i > 0; --i) name += labels[below(5)] + ".";
      name.pop_back();
      return name;
    };
    const auto make_path = [&](size_t depth) {
      std::string path = "/";
      for (size_t i = below(depth); i > 0; --i) {
        path += std::string(1, static_cast<char>('a' + below(2)));
        if (below(3) == 0) path += "/";
      }
      return path;
    };
    const char* const ports[] = {"", "", "", ":80", ":443", ":9999"};
    Pair pair;
    for (int step = 0; step < 1500; ++step) {
      std::string host = make_name();
      switch (below(8)) {
        case 0: host = "*." + host; break;
        case 1: host = "*" + host; break;
        case 2: host = host + ".*"; break;
        case 3: host = below(2) == 0 ? "?" + host.substr(1) : ""; break;
        default: break;
      }
      if (!host.empty()) host += ports[below(6)];
      const std::string path = make_path(6);
      if (below(3) != 0 || pair.keys().empty()) {
        pair.set(host, path);
      } else {
        auto at = pair.keys().begin();
        std::advance(at, static_cast<long>(below(pair.keys().size())));
        const std::string key = at->first;
        pair.erase(key, *at->second.begin());
      }
      const std::string wanted_host = make_name() + ports[below(6)];
      const std::string wanted_path = make_path(9);
      const bool tls = below(2) == 0;
      CAPTURE(wanted_host);
      CAPTURE(wanted_path);
      const std::string got = joined(pair.look_up(wanted_host, tls, wanted_path));
      const std::string expected = joined(pair.expect(wanted_host, tls, wanted_path));
      REQUIRE(got == expected);
    }
    size_t routes = 0;
    for (const auto& [host, paths] : pair.keys()) routes += paths.size();
    EXPECT_EQ(pair.table().route_count(), routes);
    EXPECT_EQ(pair.table().host_count(), pair.keys().size());
  }
}

TEST_CASE("a host with thousands of paths: chunks split, empty and shrink, lookups agree") {
  Pair pair;
  std::mt19937 random(7);
  std::vector<std::string> paths;
  for (int i = 0; i < 3000; ++i) {
    std::string path = "/";
    for (uint32_t n = 1 + random() % 6; n > 0; --n) path += static_cast<char>('a' + random() % 3);
    pair.set("a.com", path);
    paths.push_back(path);
  }
  const Host* host = pair.table().find_host("a.com");
  REQUIRE(host != nullptr);
  EXPECT(host->chunks().size() > 4);
  std::string before = "~";
  host->for_each_route([&](const Route& route) {
    REQUIRE(route.path() < before);
    before = route.path();
    return true;
  });
  const auto compare = [&] {
    for (int i = 0; i < 500; ++i) {
      std::string path = "/";
      for (uint32_t n = random() % 8; n > 0; --n) path += static_cast<char>('a' + random() % 3);
      CAPTURE(path);
      REQUIRE(pair.look_up("a.com", false, path) == pair.expect("a.com", false, path));
    }
  };
  compare();
  std::shuffle(paths.begin(), paths.end(), random);
  for (const std::string& path : paths) {
    const auto keys = pair.keys().find("a.com");
    if (keys == pair.keys().end() || !keys->second.contains(path)) continue;
    pair.erase("a.com", path);
    if (random() % 100 == 0) compare();
  }
  EXPECT(pair.table().find_host("a.com") == nullptr);
  EXPECT_EQ(pair.table().route_count(), 0u);
}

TEST_CASE("globs") {
  const auto glob = [](std::string_view pattern, std::string_view text) {
    auto compiled = Glob::compile(pattern);
    REQUIRE(compiled.has_value());
    return compiled->matches(text);
  };
  EXPECT(glob("", ""));
  EXPECT(!glob("", "a"));
  EXPECT(glob("*", ""));
  EXPECT(glob("a*b*c", "a-b-b-c"));
  EXPECT(!glob("a*b*c", "a-b-b-d"));
  EXPECT(glob("a?c", "abc"));
  EXPECT(!glob("a?c", "ac"));
  EXPECT(glob("[a-c]x[!0-9]", "bxz"));
  EXPECT(!glob("[a-c]x[!0-9]", "bx7"));
  EXPECT(glob("{a,b{c,d}}.com", "bd.com"));
  EXPECT(!glob("{a,b{c,d}}.com", "b.com"));
  EXPECT(glob("a\\*b", "a*b"));
  EXPECT(!glob("a\\*b", "axb"));
  EXPECT(!Glob::compile("[a").has_value());
  EXPECT(!Glob::compile("{a,b").has_value());
  EXPECT(Glob::compile("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}").error().code == Code::kLimit);
  // No blow-up: the text is long and nearly matches at every star.
  EXPECT(!glob("*a*a*a*a*a*a*a*a*b", std::string(4000, 'a')));
}

}  // namespace
}  // namespace sluice::proxy
