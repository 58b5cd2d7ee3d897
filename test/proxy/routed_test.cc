#include <unistd.h>

#include <string>

#include "core/log.h"
#include "proxy/access_log.h"
#include "test/proxy/routed.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

/// What was written to a descriptor, until a line was.
class Lines {
 public:
  Lines() { CHECK(::pipe(fds_) == 0); }
  ~Lines() {
    ::close(fds_[0]);
    ::close(fds_[1]);
  }
  int fd() const { return fds_[1]; }
  std::string line() {
    std::string got;
    char c;
    while (::read(fds_[0], &c, 1) == 1 && c != '\n') got += c;
    return got;
  }

 private:
  int fds_[2];
};

RouteEdit edit(const std::string& service, std::initializer_list<SocketAddress> to,
               const std::string& options = "") {
  RouteEdit edit{.key = service};
  for (const SocketAddress& at : to) {
    Result<std::optional<RouteSpec>> spec =
        parse_tag("urlprefix-mysite.com/" + std::string(options.empty() ? "" : " ") + options,
                  {.service = service,
                   .instance = service + "-1",
                   .address = "127.0.0.1",
                   .port = at.port()});
    CHECK(spec.has_value() && spec->has_value());
    edit.routes.push_back(std::move(**spec));
  }
  return edit;
}

void answer(Wire& server, const std::string& body) {
  server.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
              body);
}

}  // namespace

TEST_CASE(
    "a routed request: trace, access line, service; then a new table, and the old instance "
    "drains") {
  Control control;
  Lines log_lines;
  Lines access_lines;
  Log log(log_lines.fd(), {.level = LogLevel::kTrace});
  const Result<AccessFormat> format = AccessFormat::compile(
      "$request $response_status $response_body_size $upstream_service $upstream_addr "
      "$upstream_request_uri");
  REQUIRE(format);
  LineWriter writer(access_lines.fd());
  Publisher publisher(
      {}, [&](Publisher::Closure closure) { control.post(std::move(closure)); }, nullptr);
  Upstream one;
  Upstream two;
  ProxyOptions options;
  options.reactors = 2;
  options.router.log = &log;
  options.worker.access_format = &*format;
  options.worker.access_writer = &writer;
  options.listeners.push_back({.address = *SocketAddress::make("127.0.0.1", 0)});
  Result<std::unique_ptr<Proxy>> proxy = Proxy::start(std::move(options), publisher, 1);
  REQUIRE(proxy);
  std::vector<RouteEdit> edits;
  edits.push_back(edit("backend", {one.address()}));
  publisher.apply(std::move(edits));
  const SocketAddress at = (*proxy)->addresses()[0];

  Wire client = Wire::connect(at);
  client.send("GET /a/../b?c=1 HTTP/1.1\r\nHost: MySite.com\r\nTrace: abc\r\n\r\n");
  Wire server = one.accept();
  EXPECT_EQ(server.read_head().substr(0, 37), "GET /b?c=1 HTTP/1.1\r\nHost: MySite.com");
  answer(server, "hello");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: 1.1 sluice\r\n\r\n");
  EXPECT_EQ(client.read(5), "hello");
  const std::string to = "127.0.0.1:" + std::to_string(one.address().port());
  EXPECT_EQ(log_lines.line().substr(20), "[TRACE] abc Tracing MySite.com/b");
  EXPECT_EQ(log_lines.line().substr(20), "[TRACE] abc Matching hosts: [mysite.com]");
  EXPECT_EQ(log_lines.line().substr(20), "[TRACE] abc Match mysite.com/");
  EXPECT_EQ(log_lines.line().substr(20),
            "[TRACE] abc Routing to service backend on http://" + to + "/");
  EXPECT_EQ(access_lines.line(), "GET /a/../b?c=1 HTTP/1.1 200 5 backend " + to + " /b?c=1");

  client.send("GET / HTTP/1.1\r\nHost: other.com\r\n\r\n");
  EXPECT_EQ(client.read_head().substr(0, 12), "HTTP/1.1 404");
  EXPECT_EQ(client.read(14), "404 Not Found\n");
  EXPECT_EQ(access_lines.line(), "GET / HTTP/1.1 404 14   ");
  EXPECT_EQ(log_lines.line().substr(20), "[WARN] No route for other.com/");

  // One request is under way at the old instance while the table changes.
  client.send("POST /slow HTTP/1.1\r\nHost: mysite.com\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(server.read_head().substr(0, 10), "POST /slow");
  EXPECT_EQ(server.read(3), "abc");
  edits.clear();
  edits.push_back({.key = "backend"});
  edits.push_back(edit("newer", {two.address()}, "strip=/b"));
  const uint64_t version = publisher.apply(std::move(edits));
  bool drained = false;
  publisher.when_drained({"backend-1"}, version, [&] { drained = true; });
  Wire second = Wire::connect(at);
  std::string got;
  Wire newer;
  // Until the table has arrived there, a reactor may still send to the old instance.
  second.send("GET /b/x HTTP/1.1\r\nHost: mysite.com\r\n\r\n");
  if (two.waits(200)) {
    newer = two.accept();
  } else {
    Wire old = one.accept();
    old.read_head();
    old.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    second.read_head();
    second.send("GET /b/x HTTP/1.1\r\nHost: mysite.com\r\n\r\n");
    newer = two.accept();
    access_lines.line();
  }
  const std::string head = newer.read_head();
  EXPECT_EQ(head.substr(0, 13), "GET /x HTTP/1");
  EXPECT(head.find("X-Forwarded-Prefix: /b\r\n") != std::string::npos);
  answer(newer, "!");
  second.read_head();
  EXPECT_EQ(access_lines.line(), "GET /b/x HTTP/1.1 200 1 newer 127.0.0.1:" +
                                     std::to_string(two.address().port()) + " /x");
  EXPECT(!drained);
  answer(server, "done");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nVia: 1.1 sluice\r\n\r\n");
  EXPECT(control.run_until([&] { return drained; }));
  EXPECT_EQ(access_lines.line(), "POST /slow HTTP/1.1 200 4 backend " + to + " /slow");
  (*proxy)->stop();
}

TEST_CASE("redirects, strangers, no healthy instance") {
  Control control;
  Publisher publisher(
      {}, [&](Publisher::Closure closure) { control.post(std::move(closure)); }, nullptr);
  Upstream upstream;
  ProxyOptions options;
  options.reactors = 1;
  options.listeners.push_back({.address = *SocketAddress::make("127.0.0.1", 0)});
  Result<std::unique_ptr<Proxy>> proxy = Proxy::start(std::move(options), publisher, 1);
  REQUIRE(proxy);
  const auto add = [&](const std::string& tag, bool healthy = true) {
    Result<std::optional<RouteSpec>> spec = parse_tag(tag, {.service = tag,
                                                            .instance = tag,
                                                            .address = "127.0.0.1",
                                                            .port = upstream.address().port()});
    REQUIRE(spec);
    RouteEdit edit{.key = tag};
    edit.routes.push_back(std::move(**spec));
    edit.routes.back().healthy = healthy;
    std::vector<RouteEdit> edits;
    edits.push_back(std::move(edit));
    publisher.apply(std::move(edits));
  };
  add("urlprefix-moved.com/ redirect=302,https://new.com$path");
  add("urlprefix-closed.com/ deny=ip:127.0.0.0/8");
  add("urlprefix-sick.com/", false);
  std::atomic<bool> adopted = false;
  (*proxy)->post_to_all([&](uint32_t, Worker&) { adopted = true; });
  while (!adopted) std::this_thread::yield();
  Wire client = Wire::connect((*proxy)->addresses()[0]);
  const auto ask = [&](const std::string& host, const std::string& path) {
    client.send("HEAD " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    return client.read_head();
  };
  EXPECT_EQ(ask("moved.com", "/a?b").substr(0, 58),
            "HTTP/1.1 302 Found\r\nLocation: https://new.com/a?b\r\nContent");
  EXPECT_EQ(ask("closed.com", "/").substr(0, 12), "HTTP/1.1 403");
  EXPECT_EQ(ask("sick.com", "/").substr(0, 12), "HTTP/1.1 503");
  EXPECT_EQ(ask("none.com", "/").substr(0, 12), "HTTP/1.1 404");
  EXPECT_EQ(ask("none.com", "/../x").substr(0, 12), "HTTP/1.1 400");
  EXPECT_EQ(ask("none.com", "/%2e%2e/x").substr(0, 12), "HTTP/1.1 400");
  (*proxy)->stop();
}

}  // namespace sluice::proxy::test
