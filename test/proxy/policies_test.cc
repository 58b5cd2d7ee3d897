// What a route's options do to a request, from the tag to the bytes at both ends.
#include <map>
#include <set>
#include <string>

#include "test/proxy/routed.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

std::string body_of(const std::string& answer) {
  const size_t blank = answer.find("\r\n\r\n");
  return blank == std::string::npos ? "" : answer.substr(blank + 4);
}

std::string status_of(const std::string& answer) {
  return answer.substr(9, 3);
}

/// The head that reaches the upstream of one request.
std::string head_at(Upstream& upstream, Routed& routed, const std::string& host,
                    const std::string& path, const std::string& headers = "") {
  Wire client = routed.connect();
  client.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "\r\n");
  Wire server = upstream.accept();
  const std::string head = server.read_head();
  server.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
  client.read_head();
  return head;
}

std::string line_of(const std::string& head, const std::string& name) {
  const size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "(none)";
  const size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

std::string target_of(const std::string& head) {
  return head.substr(4, head.find(' ', 4) - 4);
}

}  // namespace

TEST_CASE("strip and prepend, in that order, and what they say of themselves") {
  Routed routed;
  Upstream upstream;
  routed.set("a", "a.com/app strip=/app", upstream);
  routed.set("b", "b.com/app strip=/app prepend=/v2", upstream);
  routed.set("c", "c.com/ prepend=/v1", upstream);
  routed.set("d", "d.com/ strip=/other", upstream);
  struct Row {
    std::string host, path, sent, prefix;
  };
  for (const Row& row :
       {Row{"a.com", "/app/x?y=%2F", "/x?y=%2F", "/app"}, Row{"a.com", "/app", "/", "/app"},
        Row{"a.com", "/app?q", "/?q", "/app"}, Row{"a.com", "/apple/x", "/le/x", "/app"},
        Row{"a.com", "/z/../app/%2e/x", "/x", "/app"}, Row{"b.com", "/app/x", "/v2/x", "/app"},
        Row{"c.com", "/x%2Fy", "/v1/x%2Fy", "(none)"}, Row{"d.com", "/x", "/x", "(none)"}}) {
    CAPTURE(row.path);
    const std::string head = head_at(upstream, routed, row.host, row.path);
    EXPECT_EQ(target_of(head), row.sent);
    EXPECT_EQ(line_of(head, "X-Forwarded-Prefix"), row.prefix);
    EXPECT_EQ(line_of(head, "X-Forwarded-Host"), row.host);
  }
}

TEST_CASE("host=: the destination's, a name, the client's own") {
  Routed routed;
  Upstream upstream;
  const std::string port = std::to_string(upstream.address().port());
  routed.set("a", "a.com/ host=dst", upstream);
  routed.set("b", "b.com/ host=inner.local", upstream);
  routed.set("c", "c.com/", upstream);
  EXPECT_EQ(line_of(head_at(upstream, routed, "a.com", "/"), "Host"), "127.0.0.1:" + port);
  EXPECT_EQ(line_of(head_at(upstream, routed, "b.com", "/"), "Host"), "inner.local");
  EXPECT_EQ(line_of(head_at(upstream, routed, "C.com:80", "/"), "Host"), "C.com:80");
}

TEST_CASE(
    "a 1.0 client that names no host: the upstream gets the destination's, unless host= says") {
  Routed routed;
  Upstream upstream;
  const std::string port = std::to_string(upstream.address().port());
  routed.set("a", "/ ", upstream);
  routed.set("b", "/inner host=inner.local", upstream);
  const auto host_of = [&](const std::string& request) {
    Wire client = routed.connect();
    client.send(request + "\r\n");
    Wire server = upstream.accept();
    return line_of(server.read_head(), "Host");
  };
  EXPECT_EQ(host_of("GET / HTTP/1.0\r\n"), "127.0.0.1:" + port);
  EXPECT_EQ(host_of("GET /inner HTTP/1.0\r\n"), "inner.local");
  EXPECT_EQ(host_of("GET http://abs.com/ HTTP/1.0\r\n"), "abs.com");
  EXPECT_EQ(host_of("GET / HTTP/1.1\r\nHost: \r\n"), "");
}

TEST_CASE("matchers: prefix, iprefix, glob, segment, regex") {
  Routed routed;
  const Answering one("one");
  const auto add = [&](const std::string& name, const std::string& tag) {
    routed.set(name, tag, {{one.address()}});
  };
  add("p", "p.com/foo");
  add("i", "i.com/Foo matcher=iprefix");
  add("g", "g.com/*/x/? matcher=glob");
  add("s", "s.com/foo matcher=segment");
  add("t", "t.com/foo/ matcher=segment");
  add("r", "r.com/v[0-9]+/(a|b) matcher=regex");
  add("e", "e.com/x$ matcher=regex");
  struct Row {
    std::string host, path;
    bool matches;
  };
  for (const Row& row :
       {Row{"p.com", "/foobar", true}, Row{"p.com", "/Foo", false}, Row{"i.com", "/fOObar", true},
        Row{"i.com", "/fo", false}, Row{"g.com", "/a/b/x/1", true}, Row{"g.com", "/a/x/12", false},
        Row{"s.com", "/foo", true}, Row{"s.com", "/foo/bar", true}, Row{"s.com", "/foobar", false},
        Row{"s.com", "/foo%2Fbar", false}, Row{"t.com", "/foo/bar", true},
        Row{"t.com", "/foo", false}, Row{"r.com", "/v12/b/c", true}, Row{"r.com", "/v/b", false},
        Row{"r.com", "/x/v1/a", false}, Row{"e.com", "/x", true}, Row{"e.com", "/xy", false}}) {
    CAPTURE(row.host);
    CAPTURE(row.path);
    EXPECT_EQ(status_of(routed.ask(row.host, row.path)), row.matches ? "200" : "404");
  }
}

TEST_CASE("the longest path wins, whatever the matchers; the next host where none matches") {
  Routed routed;
  const Answering root("root");
  const Answering deep("deep");
  const Answering other("other");
  routed.set("root", "a.com/", {{root.address()}});
  routed.set("deep", "a.com/x/y matcher=segment", {{deep.address()}});
  routed.set("other", "*.com/only", {{other.address()}});
  EXPECT_EQ(body_of(routed.ask("a.com", "/x/y/z")), "deep");
  EXPECT_EQ(body_of(routed.ask("a.com", "/x/yz")), "root");
  EXPECT_EQ(body_of(routed.ask("b.com", "/only/1")), "other");
  EXPECT_EQ(status_of(routed.ask("b.com", "/")), "404");
}

TEST_CASE("a bad option leaves its route out, with the reason, and no other") {
  Routed routed;
  const Answering one("one");
  routed.set("good", "good.com/", {{one.address()}});
  routed.set("regex", "regex.com/( matcher=regex", {{one.address()}});
  routed.set("glob", "glob.com/{a matcher=glob", {{one.address()}});
  routed.set("auth", "auth.com/ auth=nobody", {{one.address()}});
  EXPECT_EQ(status_of(routed.ask("good.com", "/")), "200");
  for (const char* host : {"regex.com", "glob.com", "auth.com"}) {
    EXPECT_EQ(status_of(routed.ask(host, "/")), "404");
  }
  const std::vector<RejectedRoute> rejected = routed.publisher().rejected();
  REQUIRE(rejected.size() == 3);
  EXPECT_EQ(rejected[0].reason, "auth=nobody: no scheme of that name (-proxy.auth)");
  EXPECT(rejected[1].reason.find("{a") != std::string::npos);
  EXPECT(rejected[2].reason.find("is not a regular expression") != std::string::npos);
}

TEST_CASE("a strategy of a route's own: round robin by weights, hash by header, cookie, address") {
  Routed routed;
  const Answering one("one");
  const Answering two("two");
  const std::vector<Instance> both = {{one.address()}, {two.address()}};
  routed.set("rr", "rr.com/ strategy=rr", both);
  std::map<std::string, int> seen;
  for (int i = 0; i < 10; ++i) ++seen[body_of(routed.ask("rr.com", "/"))];
  EXPECT_EQ(seen["one"], 5);
  EXPECT_EQ(seen["two"], 5);
  routed.set("h", "h.com/ strategy=hash:header:X-User", both);
  routed.set("c", "c.com/ strategy=hash:cookie:user", both);
  std::set<std::string> owners;
  for (int user = 0; user < 20; ++user) {
    const std::string name = "u" + std::to_string(user);
    const std::string first = body_of(routed.ask("h.com", "/", "x-user: " + name + "\r\n"));
    owners.insert(first);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(body_of(routed.ask("h.com", "/", "X-User: " + name + "\r\n")), first);
      // The same value has the same owner, wherever it stands.
      EXPECT_EQ(body_of(routed.ask("c.com", "/", "Cookie: a=b; user=" + name + "; c=d\r\n")),
                first);
    }
  }
  EXPECT_EQ(owners.size(), 2u);
  routed.set("ip", "ip.com/ strategy=hash", both);
  const std::string mine = body_of(routed.ask("ip.com", "/"));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(body_of(routed.ask("ip.com", "/")), mine);
}

TEST_CASE("by address behind a believed proxy: the client that it names") {
  WorkerOptions options;
  options.trusted = *parse_trusted("private");
  Routed routed(std::move(options));
  const Answering one("one");
  const Answering two("two");
  routed.set("ip", "ip.com/ strategy=hash", {{one.address()}, {two.address()}});
  std::set<std::string> owners;
  for (int i = 0; i < 30; ++i) {
    // What the client itself put in front does not count; a proxy of ours behind it neither.
    const std::string client = "8.8.8." + std::to_string(i);
    const std::string first =
        body_of(routed.ask("ip.com", "/", "X-Forwarded-For: " + client + "\r\n"));
    owners.insert(first);
    EXPECT_EQ(body_of(routed.ask("ip.com", "/",
                                 "X-Forwarded-For: 9.9.9.9, " + client + ", 10.0.0.1\r\n")),
              first);
  }
  EXPECT_EQ(owners.size(), 2u);
}

TEST_CASE("sticky: a cookie names the endpoint; another one takes over when it is gone") {
  Routed routed;
  const Answering one("one");
  const Answering two("two");
  routed.set("s", "s.com/ sticky=SRV", {{one.address()}, {two.address()}});
  const std::string answer = routed.ask("s.com", "/");
  const std::string cookie = line_of(answer, "Set-Cookie");
  REQUIRE(cookie.size() > 21);
  EXPECT_EQ(cookie.substr(0, 4), "SRV=");
  EXPECT_EQ(cookie.substr(20), "; Path=/; HttpOnly; SameSite=Lax");
  const std::string mine = "Cookie: x=y; " + cookie.substr(0, 20) + "\r\n";
  for (int i = 0; i < 10; ++i) {
    const std::string again = routed.ask("s.com", "/", mine);
    EXPECT_EQ(body_of(again), body_of(answer));
    EXPECT_EQ(line_of(again, "Set-Cookie"), "(none)");
  }
  const bool was_one = body_of(answer) == "one";
  routed.set("s", "s.com/ sticky=SRV", {{was_one ? two.address() : one.address()}});
  const std::string moved = routed.ask("s.com", "/", mine);
  EXPECT_EQ(body_of(moved), was_one ? "two" : "one");
  EXPECT_EQ(line_of(moved, "Set-Cookie").substr(0, 4), "SRV=");
  EXPECT(line_of(moved, "Set-Cookie").substr(0, 20) != cookie.substr(0, 20));
}

TEST_CASE("weights: a share is kept also where least connections is the rule") {
  Routed routed;
  const Answering one("one");
  const Answering two("two");
  routed.set("one", "w.com/ weight=0.1", {{one.address()}});
  routed.set("two", "w.com/", {{two.address()}});
  for (int i = 0; i < 200; ++i) routed.ask("w.com", "/");
  EXPECT(one.served() > 5);
  EXPECT(one.served() < 45);
}

TEST_CASE("rates: of a route and of an address: 429, and what it says") {
  Routed routed;
  const Answering one("one");
  routed.set("r", "r.com/ ratelimit=0.01,2", {{one.address()}});
  routed.set("i", "i.com/ ratelimitip=0.01,3", {{one.address()}});
  EXPECT_EQ(status_of(routed.ask("r.com", "/")), "200");
  EXPECT_EQ(status_of(routed.ask("r.com", "/")), "200");
  const std::string refused = routed.ask("r.com", "/");
  EXPECT_EQ(status_of(refused), "429");
  EXPECT_EQ(line_of(refused, "Retry-After"), "1");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(status_of(routed.ask("i.com", "/")), "200");
  EXPECT_EQ(status_of(routed.ask("i.com", "/")), "429");
  // An edit of the table does not begin anew.
  routed.set("other", "other.com/", {{one.address()}});
  routed.set("r", "r.com/ ratelimit=0.01,2", {{one.address()}, {one.address()}});
  EXPECT_EQ(status_of(routed.ask("r.com", "/")), "429");
}

TEST_CASE("requests at once: of a route and of an address") {
  Routed routed;
  Upstream upstream;
  routed.set("m", "m.com/ maxreq=1", upstream);
  Wire first = routed.connect();
  first.send("GET / HTTP/1.1\r\nHost: m.com\r\n\r\n");
  Wire server = upstream.accept();
  server.read_head();
  EXPECT_EQ(status_of(routed.ask("m.com", "/")), "429");
  server.send("HTTP/1.1 204 No Content\r\n\r\n");
  first.read_head();
  Wire second = routed.connect();
  second.send("GET / HTTP/1.1\r\nHost: m.com\r\nConnection: upgrade\r\nUpgrade: w\r\n\r\n");
  server.read_head();
  server.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: w\r\nConnection: upgrade\r\n\r\n");
  second.read_head();
  // A websocket counts for as long as it lives.
  EXPECT_EQ(status_of(routed.ask("m.com", "/")), "429");
  second.close();
  EXPECT_EQ(server.read_to_end(), "");
  server.close();
  Wire third = routed.connect();
  third.send("GET / HTTP/1.1\r\nHost: m.com\r\n\r\n");
  Wire other = upstream.accept();
  EXPECT_EQ(other.read_head().substr(0, 5), "GET /");
}

TEST_CASE("limits of every listener: connections and requests of one address") {
  AddressLimits limits({.connections = 2, .rate = {.a_second = 0.01, .burst = 3}}, 1);
  WorkerOptions options;
  options.guards.addresses = &limits;
  Routed routed(std::move(options));
  const Answering one("one");
  routed.set("a", "a.com/", {{one.address()}});
  {
    Wire first = routed.connect();
    Wire second = routed.connect();
    for (Wire* wire : {&first, &second}) {
      wire->send("GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
      EXPECT_EQ(status_of(wire->read_head()), "200");
      EXPECT_EQ(wire->read(3), "one");
    }
    Wire third = routed.connect();
    EXPECT_EQ(third.read_to_end(), "");
    EXPECT_EQ(routed.counters().limited, 1u);
    first.send("GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
    EXPECT_EQ(status_of(first.read_head()), "200");
    EXPECT_EQ(first.read(3), "one");
    first.send("GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
    EXPECT_EQ(status_of(first.read_to_end()), "429");
  }
  // Both are gone once the reactor has seen it.
  Wire next;
  do {
    next = routed.connect();
    next.send("GET / HTTP/1.1\r\nHost: a.com\r\n\r\n");
  } while (next.read_head().empty());
}

TEST_CASE("the request id: one of our own for each request") {
  WorkerOptions options;
  options.headers.request_id = "X-Request-Id";
  options.guards.secret = {1, 2};
  Routed routed(std::move(options));
  Upstream upstream;
  routed.set("a", "a.com/", upstream);
  std::set<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    const std::string id =
        line_of(head_at(upstream, routed, "a.com", "/", "X-Request-Id: mine\r\n"), "X-Request-Id");
    REQUIRE(id.size() == 36);
    EXPECT_EQ(id[8], '-');
    EXPECT_EQ(id[14], '4');
    EXPECT(std::string("89ab").find(id[19]) != std::string::npos);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 20u);
}

}  // namespace sluice::proxy::test
