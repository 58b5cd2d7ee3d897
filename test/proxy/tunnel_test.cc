#include <string>
#include <thread>

#include "test/proxy/wire.h"
#include "test/test.h"

namespace sluice::proxy::test {

TEST_CASE("TCP both ways, also when the server speaks first, and half-closed") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect_tcp();
  Wire server = upstream.accept();
  server.send("220 ready\r\n");
  EXPECT_EQ(client.read(11), "220 ready\r\n");
  client.send("HELO\r\n");
  client.end();
  EXPECT_EQ(server.read_to_end(), "HELO\r\n");
  server.send("answer behind the half-close");
  EXPECT_EQ(client.read(28), "answer behind the half-close");
  EXPECT_EQ(fixture.endpoint(0).outstanding(), 1u);
  server.end();
  bool reset = true;
  EXPECT_EQ(client.read_to_end(&reset), "");
  EXPECT(!reset);
}

TEST_CASE("bulk both ways at once arrives whole, through pipes and through copies") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect_tcp();
  Wire server = upstream.accept();
  std::string up(20'000'000, 'u');
  std::string down(20'000'000, 'd');
  for (size_t i = 0; i < up.size(); i += 997) up[i] = down[i] = static_cast<char>('0' + i % 10);
  std::thread up_sender([&] {
    client.send(up);
    client.end();
  });
  std::thread down_sender([&] {
    server.send(down);
    server.end();
  });
  std::string got_up;
  std::thread up_reader([&] { got_up = server.read_to_end(); });
  const std::string got_down = client.read_to_end();
  up_reader.join();
  up_sender.join();
  down_sender.join();
  EXPECT(got_up == up);
  EXPECT(got_down == down);
}

TEST_CASE("a reset is passed on as a reset") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect_tcp();
  Wire server = upstream.accept();
  client.send("x");
  EXPECT_EQ(server.read(1), "x");
  server.reset();
  bool reset = false;
  client.read_to_end(&reset);
  EXPECT(reset);
}

TEST_CASE("TCP passes over an endpoint that refuses; without another it resets") {
  Upstream upstream;
  SocketAddress nobody;
  {
    Upstream gone;
    nobody = gone.address();
  }
  Fixture fixture({nobody, upstream.address()});
  Wire client = fixture.connect_tcp();
  client.send("early");
  Wire server = upstream.accept();
  EXPECT_EQ(server.read(5), "early");
  Fixture alone({nobody});
  Wire refused = alone.connect_tcp();
  bool reset = false;
  EXPECT_EQ(refused.read_to_end(&reset), "");
  EXPECT(reset);
}

TEST_CASE("an upgraded connection is raw both ways, early bytes included") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send(
      "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
  Wire server = upstream.accept();
  const std::string head = server.read_head();
  EXPECT(head.find("Connection: Upgrade\r\nUpgrade: websocket\r\n") != std::string::npos);
  EXPECT(head.find("X-Forwarded-Proto: http\r\n") != std::string::npos);
  server.send(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nA: "
      "b\r\n\r\nfirst");
  EXPECT_EQ(client.read_head(),
            "HTTP/1.1 101 Switching Protocols\r\nA: b\r\nConnection: Upgrade\r\nUpgrade: "
            "websocket\r\n\r\n");
  EXPECT_EQ(client.read(5), "first");
  EXPECT_EQ(server.read(5), "early");
  client.send("ping");
  EXPECT_EQ(server.read(4), "ping");
  server.send("pong");
  EXPECT_EQ(client.read(4), "pong");
  EXPECT_EQ(fixture.endpoint(0).outstanding(), 1u);
  server.end();
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_CASE("an upgrade that the upstream declines is an ordinary answer") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  Wire server = upstream.accept();
  server.read_head();
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 sluice\r\n\r\n");
  EXPECT_EQ(client.read(2), "no");
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  server.read_head();
  server.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n");
  EXPECT_EQ(client.read_head().substr(0, 12), "HTTP/1.1 502");
}

}  // namespace sluice::proxy::test
