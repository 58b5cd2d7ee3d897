#include <poll.h>

#include <future>
#include <string>
#include <thread>

#include "proxy/worker.h"
#include "test/proxy/wire.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

size_t clients(Fixture& fixture) {
  std::promise<size_t> count;
  fixture.proxy().post_to_all([&](uint32_t index, Worker& worker) {
    if (index == 0) count.set_value(worker.client_count());
  });
  return count.get_future().get();
}

// True once a reset has come; what else there is to read does not matter.
bool reset_comes(Wire& wire, int timeout_ms) {
  pollfd one{wire.socket().fd(), 0, 0};
  return ::poll(&one, 1, timeout_ms) == 1 && (one.revents & POLLERR) != 0;
}

}  // namespace

TEST_CASE("a client that said close is closed with its answer, whole, and not waited for") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire server;
  const std::string body(200'000, 'b');
  for (int i = 0; i < 3; ++i) {
    Wire client = fixture.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    if (i == 0) server = upstream.accept();
    server.read_head();
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + body);
    bool reset = true;
    const std::string got = client.read_to_end(&reset);
    EXPECT(!reset);
    EXPECT(got.ends_with("\r\nConnection: close\r\n\r\n" + body));
    // It is gone, not only ended: what is sent now is answered by a reset.
    client.send("x");
    EXPECT(reset_comes(client, 2000));
    EXPECT_EQ(clients(fixture), 0u);
  }
  EXPECT(!upstream.waits(0));
}

TEST_CASE("a client that did not say close may still send when its last answer ends") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  Wire server = upstream.accept();
  server.read_head();
  server.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
  server.close();
  bool reset = true;
  EXPECT(client.read_to_end(&reset).ends_with("\r\n\r\nuntil the end"));
  EXPECT(!reset);
  client.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(clients(fixture), 1u);  // the reactor has had what was sent, and a turn
  EXPECT(!reset_comes(client, 0));
}

TEST_CASE("a client that said close and sends all the same loses no answer") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /next HTTP/1.1\r\n");
  Wire server = upstream.accept();
  server.read_head();
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  bool reset = true;
  EXPECT(client.read_to_end(&reset).ends_with("\r\n\r\nok"));
  EXPECT(!reset);
}

TEST_CASE("a client that ended its direction and is sent nothing is gone, and the upstream told") {
  WorkerOptions options;
  options.timeouts.abandoned_ms = 50;
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  // Its end comes later, with the request, or behind a request before it.
  for (const std::string before : {"later", "", "pipelined"}) {
    CAPTURE(before);
    Upstream upstream;
    Fixture fixture({upstream.address()}, options);
    Wire client = fixture.connect();
    client.send(before == "pipelined" ? request + request : request);
    Wire server;
    if (before == "later") {
      server = upstream.accept();
      server.read_head();
      client.end();
    } else {
      client.end();
      server = upstream.accept();
      server.read_head();
    }
    if (before == "pipelined") {
      server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      server.read_head();
    }
    bool reset = true;
    EXPECT_EQ(server.read_to_end(&reset), "");
    EXPECT(!reset);
    EXPECT_EQ(clients(fixture), 0u);
    EXPECT_EQ(fixture.endpoint(0).outstanding(), 0u);
  }
}

TEST_CASE("a client that only half-closed gets its answer, for as long as some of it comes") {
  WorkerOptions options;
  options.timeouts.abandoned_ms = 500;
  Upstream upstream;
  Fixture fixture({upstream.address()}, options);
  Wire client = fixture.connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  client.end();
  Wire server = upstream.accept();
  server.read_head();
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
  client.read_head();
  for (int i = 0; i < 10; ++i) {
    EXPECT(!server.waits(100));  // that is the time which passes
    server.send("x");
    EXPECT_EQ(client.read(1), "x");
  }
  bool reset = true;
  EXPECT_EQ(client.read_to_end(&reset), "");
  EXPECT(!reset);
}

TEST_CASE("a client that half-closed and reads late gets all of its answer") {
  WorkerOptions options;
  options.timeouts.abandoned_ms = 50;
  // More than the sockets between them hold, spliced and copied.
  for (const std::string framing : {"Content-Length: 16000000\r\n\r\n", "\r\n"}) {
    CAPTURE(framing);
    Upstream upstream;
    Fixture fixture({upstream.address()}, options);
    Wire client = fixture.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    Wire server = upstream.accept();
    server.read_head();
    std::thread sender([&] {
      server.send("HTTP/1.1 200 OK\r\n" + framing + std::string(16'000'000, 'a'));
      server.close();
    });
    client.read_head();
    EXPECT(!upstream.waits(100));  // the time in which the sockets fill
    client.end();
    EXPECT(!upstream.waits(300));  // and more than it takes to be given up
    bool reset = true;
    EXPECT_EQ(client.read_to_end(&reset).size(), 16'000'000u);
    EXPECT(!reset);
    sender.join();
  }
}

}  // namespace sluice::proxy::test
