// What becomes of a request when an endpoint fails, is busy, or was just closed.
#include <fmt/format.h>

#include <string>
#include <thread>
#include <vector>

#include "proxy/http1_upstream.h"
#include "test/proxy/routed.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: a.com\r\n\r\n";
const std::string kPost = "POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 2\r\n\r\nab";

std::string status_of(const std::string& answer) {
  return answer.substr(0, 12);
}

SocketAddress nobody() {
  Upstream gone;
  return gone.address();
}

/// Sends a request and answers it, so that the connection to the upstream is an old one.
Wire warm_up(Wire& client, Upstream& upstream, const std::string& headers = "") {
  client.send(kGet);
  Wire server = upstream.accept();
  server.read_head();
  server.send("HTTP/1.1 204 No Content\r\n" + headers + "\r\n");
  client.read_head();
  return server;
}

}  // namespace

TEST_CASE("404 where nothing matches, 503 where nothing is healthy, 502 where nobody answers") {
  Routed routed;
  routed.set("sick", "sick.com/", {{nobody(), false}});
  routed.set("gone", "gone.com/", {{nobody()}});
  EXPECT_EQ(status_of(routed.ask("none.com", "/")), "HTTP/1.1 404");
  EXPECT_EQ(status_of(routed.ask("sick.com", "/")), "HTTP/1.1 503");
  EXPECT_EQ(status_of(routed.ask("gone.com", "/")), "HTTP/1.1 502");
}

TEST_CASE("the only endpoint, over a connection that it just closed: asked again on a new one") {
  Routed routed;
  Upstream upstream;
  routed.set("a", "a.com/", upstream);
  Wire client = routed.connect();
  Wire server = warm_up(client, upstream);
  client.send(kGet);
  server.read_head();
  server.reset();
  Wire second = upstream.accept();
  EXPECT_EQ(second.read_head().substr(0, 5), "GET /");
  second.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(status_of(client.read_head()), "HTTP/1.1 200");
  EXPECT_EQ(routed.counters().ejections, 0u);
}

TEST_CASE("a server that says how long it keeps an idle connection is left before that is over") {
  const auto pooled_ms = [](std::string_view says, int64_t own_ms = 15'000) {
    const std::string text = fmt::format("HTTP/1.1 204 No Content\r\nKeep-Alive: {}\r\n\r\n", says);
    http1::Head head;
    const http1::ReadResult read =
        http1::HeadReader().read_response(text, {}, http1::Method::kGet, head);
    REQUIRE(read.state == http1::ReadState::kDone);
    return Http1Upstream::pooled_ms(head, own_ms);
  };
  EXPECT_EQ(pooled_ms("timeout=1, max=100"), 500);
  EXPECT_EQ(pooled_ms("max=5,Timeout=1"), 500);
  EXPECT_EQ(pooled_ms("timeout=10"), 9'500);
  // Not a time, or one beyond our own: that counts.
  for (const std::string_view says :
       {"timeout=0", "timeout=x", "timeout", "timeout=", "timeout=16", "timeout=99999999999"}) {
    CAPTURE(says);
    EXPECT_EQ(pooled_ms(says), 15'000);
  }
  constexpr int64_t kMonthMs = int64_t{30} * 24 * 3'600'000;  // over 2^31
  EXPECT_EQ(pooled_ms("", kMonthMs), INT32_MAX);
  // And it is done: the end comes long before our own time is over.
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  Wire server = warm_up(client, upstream, "Keep-Alive: timeout=1\r\n");
  EXPECT(server.waits(10'000));
  EXPECT_EQ(server.read_to_end(), "");
}

TEST_CASE("a POST on a connection whose end is there already goes out on a new one") {
  Routed routed;
  Upstream upstream;
  routed.set("a", "a.com/", upstream);
  for (int i = 0; i < 20; ++i) {
    Wire client = routed.connect();
    Wire server = warm_up(client, upstream);
    server.close();  // and at once, before the reactor has heard of it:
    client.send(kPost);
    Wire second = upstream.accept();
    REQUIRE(second.open());
    EXPECT_EQ(second.read_head().substr(0, 6), "POST /");
    second.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(client.read_head()), "HTTP/1.1 200");
  }
}

TEST_CASE(
    "an idempotent request lost on a new connection is sent to another endpoint, a POST not") {
  Routed routed;
  Upstream one;
  Upstream two;
  routed.set("a", "a.com/ strategy=rr", {{one.address()}, {two.address()}});
  const auto lose = [&](Upstream& upstream) {
    Wire server = upstream.accept();
    server.read_head();
  };
  Wire client = routed.connect();
  client.send(kGet);
  const bool first_is_one = one.waits(100);
  Upstream& first = first_is_one ? one : two;
  Upstream& second = first_is_one ? two : one;
  lose(first);
  Wire server = second.accept();
  server.read_head();
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_of(client.read_head()), "HTTP/1.1 200");
  EXPECT_EQ(routed.counters().retries, 1u);
  client.send(kPost);
  lose(one.waits(100) ? one : two);
  EXPECT_EQ(status_of(client.read_head()), "HTTP/1.1 502");
  EXPECT_EQ(routed.counters().retries, 1u);
}

TEST_CASE("an endpoint that refuses is ejected after five, and costs no request meanwhile") {
  Routed routed;
  const Answering good("good");
  routed.set("a", "a.com/ strategy=rr", {{nobody()}, {good.address()}});
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(status_of(routed.ask("a.com", "/")), "HTTP/1.1 200");
  }
  const Counters counters = routed.counters();
  EXPECT_EQ(counters.ejections, 1u);
  EXPECT_EQ(counters.retries, 5u);
  EXPECT_EQ(good.served(), 40);
}

TEST_CASE("502 to 504 of an upstream eject it; a success in between does not") {
  Routed routed;
  Answering bad("bad", "503 Service Unavailable");
  const Answering good("good");
  routed.set("a", "a.com/ strategy=rr", {{bad.address()}, {good.address()}});
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 8; ++i) routed.ask("a.com", "/");  // four of them fail
    bad.set_status("200 OK");
    for (int i = 0; i < 2; ++i) routed.ask("a.com", "/");
    bad.set_status("503 Service Unavailable");
  }
  EXPECT_EQ(routed.counters().ejections, 0u);
  for (int i = 0; i < 10; ++i) routed.ask("a.com", "/");
  EXPECT_EQ(routed.counters().ejections, 1u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(status_of(routed.ask("a.com", "/")), "HTTP/1.1 200");
  }
  // 500 is an answer of the application's.
  Answering broken("broken", "500 Internal Server Error");
  routed.set("b", "b.com/ strategy=rr", {{broken.address()}, {good.address()}});
  for (int i = 0; i < 20; ++i) routed.ask("b.com", "/");
  EXPECT_EQ(broken.served(), 10);
}

TEST_CASE("an instance whose check recovers starts slowly; a new one does not") {
  Routed routed;
  const Answering one("one");
  const Answering two("two");
  routed.set("a", "a.com/ strategy=rr", {{one.address()}, {two.address(), false}});
  EXPECT_EQ(status_of(routed.ask("a.com", "/")), "HTTP/1.1 200");
  // Healthy for the first time: its share at once.
  routed.set("a", "a.com/ strategy=rr", {{one.address()}, {two.address()}});
  for (int i = 0; i < 20; ++i) routed.ask("a.com", "/");
  EXPECT_EQ(two.served(), 10);
  routed.set("a", "a.com/ strategy=rr", {{one.address()}, {two.address(), false}});
  routed.set("a", "a.com/ strategy=rr", {{one.address()}, {two.address()}});
  for (int i = 0; i < 20; ++i) routed.ask("a.com", "/");
  EXPECT(two.served() < 18);
}

TEST_CASE("maxconn: those beyond it wait in order, those beyond the queue are 503") {
  Routed routed;
  Upstream upstream;
  routed.set("a", "a.com/ maxconn=1 maxqueue=2", upstream);
  std::vector<Wire> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(routed.connect());
    clients.back().send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a.com\r\n\r\n");
    // In this order also at the reactor: it answers a request of another route behind each.
    EXPECT_EQ(status_of(routed.ask("none.com", "/")), "HTTP/1.1 404");
  }
  EXPECT_EQ(status_of(routed.ask("a.com", "/3")), "HTTP/1.1 503");
  Wire server = upstream.accept();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(server.read_head().substr(0, 6), "GET /" + std::to_string(i));
    EXPECT(!server.waits(20));  // one at a time
    server.send("HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(status_of(clients[size_t(i)].read_head()), "HTTP/1.1 204");
  }
  EXPECT(!upstream.waits(0));
}

TEST_CASE("who waits too long gets 503; who goes away leaves the queue") {
  WorkerOptions options;
  options.timeouts.queue_ms = 150;
  Routed routed(std::move(options));
  Upstream upstream;
  routed.set("a", "a.com/ maxconn=1 maxqueue=1", upstream);
  Wire busy = routed.connect();
  busy.send(kGet);
  Wire server = upstream.accept();
  server.read_head();
  EXPECT_EQ(status_of(routed.ask("a.com", "/")), "HTTP/1.1 503");
  {
    Wire waits = routed.connect();
    waits.send(kGet);
    EXPECT_EQ(status_of(routed.ask("a.com", "/")), "HTTP/1.1 503");
    waits.reset();
  }
  // Its place is free again: this one waits and is served.
  server.send("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(status_of(busy.read_head()), "HTTP/1.1 204");
  busy.send(kGet);
  EXPECT_EQ(server.read_head().substr(0, 5), "GET /");
  Wire next = routed.connect();
  next.send(kGet);
  EXPECT_EQ(status_of(routed.ask("none.com", "/")), "HTTP/1.1 404");
  server.send("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(status_of(busy.read_head()), "HTTP/1.1 204");
  EXPECT_EQ(server.read_head().substr(0, 5), "GET /");
  server.send("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(status_of(next.read_head()), "HTTP/1.1 204");
}

TEST_CASE("the retry budget: a store, a fifth by each request, and a little by time") {
  RetryBudget budget;
  int64_t spent = 0;
  while (budget.spend(1)) ++spent;
  EXPECT_EQ(spent, 1000);
  for (int i = 0; i < 10; ++i) budget.earn();
  EXPECT(budget.spend(1));
  EXPECT(budget.spend(1));
  EXPECT(!budget.spend(1));
  EXPECT(budget.spend(1001));  // and by time alone
}

TEST_CASE("a retry keeps the request's id, and a body up to a block") {
  WorkerOptions options;
  options.headers.request_id = "X-Request-Id";
  Routed routed(std::move(options));
  Upstream one;
  routed.set("a", "a.com/ strategy=rr", {{nobody()}, {one.address()}});
  Wire client = routed.connect();
  for (int i = 0; i < 2; ++i) {
    const std::string body(50'000, 'b');
    client.send("PUT / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 50000\r\n\r\n" + body);
    Wire server = one.accept();
    const std::string head = server.read_head();
    EXPECT_EQ(server.read(body.size()), body);
    if (i == 0) {
      server.reset();  // lost with all of its body: once more, on the same endpoint if need be
      Wire again = one.accept(300);
      if (!again.open()) {
        EXPECT_EQ(status_of(client.read_head()), "HTTP/1.1 502");
        client = routed.connect();
        continue;
      }
      EXPECT_EQ(again.read_head(), head);
      EXPECT_EQ(again.read(body.size()), body);
      again.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    } else {
      server.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    }
    EXPECT_EQ(status_of(client.read_head()), "HTTP/1.1 204");
  }
}

}  // namespace sluice::proxy::test
