#include <poll.h>

#include <future>
#include <string>

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

}  // namespace sluice::proxy::test
