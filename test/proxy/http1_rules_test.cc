// What a proxy owes both sides beyond framing: upgrades, streams, limits, timers.
#include <algorithm>
#include <string>
#include <thread>

#include "test/proxy/wire.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

const std::string kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const std::string kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

std::string chunk(const std::string& text) {
  char size[8];
  std::snprintf(size, sizeof size, "%zx", text.size());
  return size + ("\r\n" + text) + "\r\n";
}

}  // namespace

TEST_CASE("upgrade: raw both ways, early bytes too; half-closed by one side, then the other") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  // Bytes of the new protocol right behind the request, before anybody has agreed to it.
  client.send(kUpgrade + "early");
  Wire server = upstream.accept();
  const std::string head = server.read_head();
  EXPECT(head.find("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n") != std::string::npos);
  EXPECT(head.find("\r\nX-Forwarded-Proto: http\r\n") != std::string::npos);
  EXPECT(head.find("; proto=ws; ") != std::string::npos);
  server.send(kSwitch + "hello");
  EXPECT_EQ(
      client.read_head(),
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_EQ(client.read(5), "hello");
  EXPECT_EQ(server.read(5), "early");
  client.send("\r\n\x01\x00zz");
  client.end();
  EXPECT_EQ(server.read_to_end(), "\r\n\x01");
  server.send("last");
  server.close();
  EXPECT_EQ(client.read_to_end(), "last");
}

TEST_CASE("upgrade: refused by the upstream, it is an ordinary answer") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send(kUpgrade);
  Wire server = upstream.accept();
  server.read_head();
  server.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  EXPECT_EQ(client.read_head(),
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nVia: 1.1 sluice\r\n\r\n");
  EXPECT_EQ(client.read(2), "no");
  client.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(server.read_head().substr(0, 9), "GET /next");
  server.send("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(client.read_head().substr(0, 12), "HTTP/1.1 204");
}

TEST_CASE("101 without having been asked, or before the body was sent: 502") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  for (const std::string& request :
       {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: w\r\n"
                    "Content-Length: 9\r\n\r\nabc")}) {
    CAPTURE(request);
    Wire client = fixture.connect();
    client.send(request);
    Wire server = upstream.accept();
    server.read_head();
    server.send(kSwitch);
    EXPECT_EQ(client.read_head().substr(0, 12), "HTTP/1.1 502");
    server.read_to_end();
  }
}

TEST_CASE("a stream of events passes as it comes, chunked and until close") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  Wire server = upstream.accept();
  server.read_head();
  server.send(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.read_head();
  for (const std::string event : {"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}) {
    server.send(chunk(event));
    EXPECT_EQ(client.read(chunk(event).size()), chunk(event));
  }
  server.close();  // in the middle: that must show
  bool reset = false;
  EXPECT_EQ(client.read_to_end(&reset), "");  // no last chunk
  EXPECT(!reset);                             // which might take back what was not read yet

  Wire old = fixture.connect();
  old.send("GET / HTTP/1.0\r\n\r\n");
  Wire second = upstream.accept();
  second.read_head();
  second.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(old.read_head(), "HTTP/1.1 200 OK\r\nVia: 1.1 sluice\r\nConnection: close\r\n\r\n");
  second.send(chunk("one"));
  EXPECT_EQ(old.read(3), "one");
  second.send(chunk("two") + "0\r\nA: not for a 1.0 client\r\n\r\n");
  EXPECT_EQ(old.read_to_end(), "two");
}

TEST_CASE("a body in very many chunks, of every size, to a client that reads late") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  for (const size_t size : {1, 100, 3000, 4000, 4096, 4097, 40'000}) {
    CAPTURE(size);
    Wire client = fixture.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    Wire server = upstream.accept();
    server.read_head();
    std::string body = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const size_t count = std::min<size_t>(200'000, 6'000'000 / size);
    for (size_t i = 0; i < count; ++i) body += chunk(std::string(size, 'z'));
    body += "0\r\nA: " + std::string(7'000, 't') + "\r\n\r\n";
    std::thread sender([&] { server.send(body); });
    client.read_head();
    std::string got = client.read_to_end();
    sender.join();
    EXPECT_EQ(size_t(std::ranges::count(got, 'z')), size * count);
    EXPECT(got.ends_with("0\r\nA: " + std::string(7'000, 't') + "\r\n\r\n"));
  }
}

TEST_CASE("no interim response for a 1.0 client; all of them for a 1.1 client") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  const std::string interim =
      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\nConnection: x\r\n"
      "X: 1\r\nContent-Length: 3\r\n\r\n";
  const std::string last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  Wire client = fixture.connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  Wire server = upstream.accept();
  server.read_head();
  server.send_pieces(interim + last, 1);
  EXPECT_EQ(client.read_to_end(),
            "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 sluice\r\nConnection: close\r\n\r\n");
  Wire old = fixture.connect();
  old.send("GET / HTTP/1.0\r\n\r\n");
  server.read_head();
  server.send(interim + last);
  EXPECT_EQ(old.read_to_end(),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 sluice\r\nConnection: close\r\n\r\n");
}

TEST_CASE("responses without a body, whatever their headers say") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  Wire server;
  struct Row {
    std::string method, response, expected;
  };
  for (const Row& row :
       {Row{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nVia: 1.1 sluice\r\n\r\n"},
        Row{"HEAD", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nVia: 1.1 sluice\r\n\r\n"},
        Row{"HEAD", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nVia: 1.1 sluice\r\n\r\n"},
        Row{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nVia: 1.1 sluice\r\n\r\n"},
        Row{"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nVia: 1.1 sluice\r\n\r\n"},
        Row{"GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\n\r\n",
            "HTTP/1.1 200 \r\nContent-Length: 0\r\nVia: 1.1 sluice\r\n\r\n"}}) {
    CAPTURE(row.response);
    client.send(row.method + " / HTTP/1.1\r\nHost: x\r\n\r\n");
    if (!server.open()) server = upstream.accept();
    server.read_head();
    server.send(row.response);
    EXPECT_EQ(client.read_head(), row.expected);
  }
  EXPECT(!upstream.waits(0));
}

TEST_CASE("a body over the limit: 413, at once where its length is said, else where it is passed") {
  Upstream upstream;
  WorkerOptions options;
  options.max_body_bytes = 10;
  Fixture fixture({upstream.address()}, options);
  {
    Wire client = fixture.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
    EXPECT_EQ(client.read_to_end().substr(0, 30), "HTTP/1.1 413 Content Too Large");
    EXPECT(!upstream.waits(0));
  }
  {
    Wire client = fixture.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    Wire server = upstream.accept();
    client.send(chunk("0123456789"));
    const std::string head = server.read_head();
    EXPECT_EQ(server.read(15), chunk("0123456789"));
    client.send(chunk("a"));
    EXPECT_EQ(client.read_to_end().substr(0, 12), "HTTP/1.1 413");
    EXPECT_EQ(server.read_to_end(), "");
  }
  Wire client = fixture.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789");
  Wire server = upstream.accept();
  server.read_head();
  EXPECT_EQ(server.read(10), "0123456789");
  server.send("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(client.read_head().substr(0, 12), "HTTP/1.1 204");
}

TEST_CASE(
    "an upload that stalls: 408; one that the upstream does not take: not the client's fault") {
  Upstream upstream;
  WorkerOptions options;
  options.timeouts.client_ms = 1000;
  options.timeouts.response_ms = 2500;
  Fixture fixture({upstream.address()}, options);
  {
    Wire client = fixture.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
    Wire server = upstream.accept();
    EXPECT_EQ(client.read_to_end().substr(0, 12), "HTTP/1.1 408");
    server.read_head();
    EXPECT_EQ(server.read_to_end(), "ab");
  }
  Wire client = fixture.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40000000\r\n\r\n");
  std::thread sender([&] { client.send(std::string(40'000'000, 'a')); });
  Wire server = upstream.accept();  // which reads nothing
  EXPECT_EQ(client.read_head().substr(0, 12), "HTTP/1.1 504");
  client.close();
  sender.join();
}

TEST_CASE("an early answer is forwarded whole while the client still sends") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
  const std::string body(300'000, 'b');
  std::thread sender([&] { client.send(std::string(20'000'000, 'a')); });
  Wire server = upstream.accept();
  server.read_head();
  std::thread answerer(
      [&] { server.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 300000\r\n\r\n" + body); });
  EXPECT_EQ(client.read_head(),
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 300000\r\nVia: 1.1 sluice\r\n"
            "Connection: close\r\n\r\n");
  EXPECT(client.read_to_end() == body);
  answerer.join();
  sender.join();
}

TEST_CASE("an answer right in front of a reset is not lost to the upload that fails by it") {
  const std::string body(4'000'000, 'a');
  for (int i = 0; i < 20; ++i) {
    CAPTURE(i);
    Upstream upstream;
    Fixture fixture({upstream.address()});
    Wire client = fixture.connect();
    std::thread sender([&] {
      client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n" + body);
    });
    Wire server = upstream.accept();
    server.read_head();
    EXPECT(server.waits(5000));  // what was not read makes its close a reset
    server.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
    server.close();
    EXPECT_EQ(client.read_head().substr(0, 12), "HTTP/1.1 401");
    EXPECT_EQ(client.read(2), "no");
    sender.join();
  }
}

TEST_CASE("a believed peer's forwarding headers are appended to, its other claims kept") {
  Upstream upstream;
  WorkerOptions options;
  options.trusted = *parse_trusted("private");
  Fixture fixture({upstream.address()}, options);
  Wire client = fixture.connect();
  client.send(
      "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n"
      "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\nForwarded: for=1.2.3.4\r\n\r\n");
  Wire server = upstream.accept();
  EXPECT_EQ(server.read_head(),
            "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Ssl: on\r\n"
            "X-Forwarded-For: 1.2.3.4, 5.6.7.8, 127.0.0.1\r\nX-Real-Ip: 127.0.0.1\r\n"
            "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 80\r\nX-Forwarded-Host: x\r\n"
            "Forwarded: for=1.2.3.4, for=127.0.0.1; proto=http; httpproto=http/1.1\r\n"
            "Via: 1.1 sluice\r\n\r\n");
}

}  // namespace sluice::proxy::test
