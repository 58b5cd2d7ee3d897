#include <string>

#include "test/proxy/wire.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

// What the proxy adds to each request of this client.
std::string added(const std::string& host) {
  return "X-Forwarded-For: 127.0.0.1\r\nX-Real-Ip: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
         "X-Forwarded-Port: 80\r\nX-Forwarded-Host: " +
         host +
         "\r\nForwarded: for=127.0.0.1; proto=http; httpproto=http/1.1\r\n"
         "Via: 1.1 sluice\r\n\r\n";
}

}  // namespace

TEST_CASE("a request and its response, byte for byte, and both connections kept alive") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  Wire server;
  for (int round = 0; round < 3; ++round) {
    client.send(
        "GET /a?b HTTP/1.1\r\nHost: x.com\r\nConnection: keep-alive, foo\r\nFoo: 1\r\nBar: "
        "2\r\n\r\n");
    if (round == 0) server = upstream.accept();
    EXPECT_EQ(server.read_head(),
              "GET /a?b HTTP/1.1\r\nHost: x.com\r\nBar: 2\r\n" + added("x.com"));
    server.send(
        "HTTP/1.1 200 OK\r\nServer: s\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_EQ(client.read_head(),
              "HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 5\r\nVia: 1.1 sluice\r\n\r\n");
    EXPECT_EQ(client.read(5), "hello");
  }
  EXPECT(!upstream.waits(0));
  EXPECT_EQ(fixture.endpoint(0).outstanding(), 0u);
}

TEST_CASE("bodies of every framing pass, both ways, in pieces") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send_pieces(
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5;e=1\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n",
      1);
  Wire server = upstream.accept();
  EXPECT_EQ(server.read_head(),
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + added("x"));
  std::string body;
  while (!body.ends_with("0\r\nT: v\r\n\r\n")) {
    const std::string byte = server.read(1);
    REQUIRE(!byte.empty());
    body += byte;
  }
  EXPECT(body.find("e=1") == std::string::npos);
  server.send_pieces("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                     3);
  EXPECT_EQ(client.read_head(),
            "HTTP/1.1 200 OK\r\nVia: 1.1 sluice\r\nTransfer-Encoding: chunked\r\n\r\n");
  std::string answer;
  while (!answer.ends_with("0\r\n\r\n")) {
    const std::string byte = client.read(1);
    REQUIRE(!byte.empty());
    answer += byte;
  }

  const std::string large(3'000'000, 'x');
  std::thread sender([&] {
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
    client.send(large);
  });
  EXPECT_EQ(server.read_head(),
            "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n" + added("x"));
  EXPECT(server.read(large.size()) == large);
  sender.join();
  // Until close: passed on raw, and both connections end.
  std::thread answerer([&] {
    server.send("HTTP/1.0 200 OK\r\n\r\n");
    server.send(large);
    server.close();
  });
  EXPECT_EQ(client.read_head(), "HTTP/1.1 200 OK\r\nVia: 1.0 sluice\r\nConnection: close\r\n\r\n");
  EXPECT(client.read_to_end() == large);
  answerer.join();
}

TEST_CASE("a truncated body never ends as if it were whole") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  struct Case {
    const char* response;
    const char* rest;  // of what the client gets: all that came, though the end comes with it
    bool reset;
  };
  for (const Case& each :
       {Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "3\r\nhel\r\n",
             false},
        Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "\r\n\r\nhel", false}}) {
    Wire client = fixture.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    Wire server = upstream.accept();
    server.read_head();
    server.send(each.response);
    server.close();
    bool reset = false;
    const std::string got = client.read_to_end(&reset);
    EXPECT_EQ(reset, each.reset);
    EXPECT(got.ends_with(each.rest));
  }
}

TEST_CASE("a client that reads late gets all that came of a body that was cut off") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  Wire server = upstream.accept();
  server.read_head();
  const std::string part(300'000, 'x');
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + part);
  server.close();
  client.read_head();
  bool reset = false;
  EXPECT_EQ(client.read_to_end(&reset), part);
  EXPECT(!reset);
}

TEST_CASE("pipelined requests are answered in order") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 "
      "HTTP/1.0\r\n\r\n");
  Wire server = upstream.accept();
  for (const char* path : {"/1", "/2", "/3"}) {
    const std::string head = server.read_head();
    EXPECT_EQ(head.substr(4, 2), path);
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + std::string(path));
  }
  EXPECT_EQ(
      client.read_to_end(),
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 sluice\r\n\r\n/1HTTP/1.1 200 "
      "OK\r\nContent-Length: 2\r\nVia: 1.1 sluice\r\n\r\n/2"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 sluice\r\nConnection: close\r\n\r\n/3");
}

TEST_CASE("a connection that the upstream closed while it was idle costs no request") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  Wire server = upstream.accept();
  server.read_head();
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  client.read_head();
  // Idempotent: lost on the stale connection, sent again on a new one.
  client.send("GET /again HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(server.read_head().substr(0, 10), "GET /again");
  server.close();
  Wire second = upstream.accept();
  EXPECT_EQ(second.read_head().substr(0, 10), "GET /again");
  second.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 sluice\r\n\r\n");
  // Not idempotent, and sent: 502, never twice.
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
  second.read_head();
  EXPECT_EQ(second.read(2), "ab");
  second.close();
  EXPECT_EQ(client.read_head().substr(0, 24), "HTTP/1.1 502 Bad Gateway");
  EXPECT(!upstream.waits(50));
}

TEST_CASE("an endpoint that refuses is passed over; when all do, 502") {
  Upstream upstream;
  SocketAddress nobody;
  {
    Upstream gone;
    nobody = gone.address();
  }
  {
    Fixture fixture({nobody, upstream.address()});
    Wire client = fixture.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    Wire server = upstream.accept();
    EXPECT_EQ(server.read_head().substr(0, 6), "POST /");
    EXPECT_EQ(server.read(2), "ab");
    server.send("HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(client.read_head(), "HTTP/1.1 204 No Content\r\nVia: 1.1 sluice\r\n\r\n");
  }
  Fixture fixture({nobody});
  Wire client = fixture.connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.read_head().substr(0, 24), "HTTP/1.1 502 Bad Gateway");
}

TEST_CASE("no route is 404 and the connection goes on; a bad head is 400 and ends it") {
  Fixture fixture({});
  Wire client = fixture.connect();
  for (int i = 0; i < 2; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(client.read_head().substr(0, 22), "HTTP/1.1 404 Not Found");
    EXPECT_EQ(client.read(14), "404 Not Found\n");
  }
  client.send("GET / HTTP/1.1\r\nHost : x\r\n\r\n");
  EXPECT_EQ(client.read_to_end().substr(0, 24), "HTTP/1.1 400 Bad Request");
}

TEST_CASE("interim responses pass, HEAD has no body, an early answer ends the upload") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  Wire server = upstream.accept();
  EXPECT(server.read_head().find("Expect: 100-continue\r\n") != std::string::npos);
  server.send("HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ab");
  EXPECT_EQ(server.read(2), "ab");
  server.send(
      "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nVia: 1.1 sluice\r\n\r\n");
  EXPECT_EQ(client.read(1), "z");
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  server.read_head();
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
  EXPECT_EQ(client.read_head(),
            "HTTP/1.1 200 OK\r\nContent-Length: 500\r\nVia: 1.1 sluice\r\n\r\n");
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nab");
  server.read_head();
  server.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
  EXPECT_EQ(client.read_to_end(),
            "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nVia: 1.1 sluice\r\nConnection: "
            "close\r\n\r\nbig");
}

TEST_CASE("time limits: a slow head is 408, a silent upstream 504, an idle connection closes") {
  Upstream upstream;
  WorkerOptions options;
  options.timeouts.head_ms = 100;
  options.timeouts.keep_alive_ms = 100;
  options.timeouts.response_ms = 100;
  Fixture fixture({upstream.address()}, options);
  Wire slow = fixture.connect();
  slow.send("GET / HT");
  EXPECT_EQ(slow.read_to_end().substr(0, 28), "HTTP/1.1 408 Request Timeout");
  Wire silent = fixture.connect();
  EXPECT_EQ(silent.read_to_end(), "");
  Wire client = fixture.connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  Wire server = upstream.accept();
  EXPECT_EQ(client.read_head().substr(0, 28), "HTTP/1.1 504 Gateway Timeout");
  EXPECT_EQ(client.read_to_end().substr(0, 4), "504 ");
}

}  // namespace sluice::proxy::test
