// Connections whose first bytes are looked at: PROXY headers and ClientHellos, on real sockets.
#include "proxy/preface.h"

#include <string>
#include <vector>

#include "proxy/client_hello.h"
#include "test/proxy/wire.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

std::string u16(size_t n) {
  return {static_cast<char>(n >> 8), static_cast<char>(n)};
}

/// A small hello with a name, over records of `record` bytes.
std::string hello(const std::string& name, size_t record = 16384) {
  const std::string entry = std::string(1, '\0') + u16(name.size()) + name;
  const std::string list = u16(entry.size()) + entry;
  const std::string extensions = name.empty() ? "" : u16(0) + u16(list.size()) + list;
  const std::string body = "\x03\x03" + std::string(32, 'r') + std::string(1, '\0') + u16(2) +
                           "\x13\x01" + "\x01" + std::string(1, '\0') + u16(extensions.size()) +
                           extensions;
  const std::string message = "\x01" + std::string(1, '\0') + u16(body.size()) + body;
  std::string out;
  for (size_t at = 0; at < message.size(); at += record) {
    const std::string part = message.substr(at, record);
    out += "\x16\x03\x01" + u16(part.size()) + part;
  }
  return out;
}

ListenSpec listener(ListenProtocol protocol, bool proxy_protocol = false) {
  ListenSpec spec{.address = *SocketAddress::make("127.0.0.1", 0), .protocol = protocol};
  spec.proxy_protocol = proxy_protocol;
  return spec;
}

}  // namespace

TEST_CASE("a ClientHello passes through whole, however it came, and then both ways") {
  Upstream upstream;
  Fixture fixture({upstream.address()}, {}, {listener(ListenProtocol::kTcpSni)});
  for (const size_t record : {size_t{16384}, size_t{1}, size_t{9}}) {
    for (const size_t piece : {size_t{1}, size_t{10}, size_t{100'000}}) {
      Wire client = fixture.connect(2);
      const std::string bytes = hello("shop.example", record) + "more";
      client.send_pieces(bytes, piece);
      Wire server = upstream.accept();
      EXPECT_EQ(server.read(bytes.size()), bytes);
      EXPECT_EQ(fixture.last_stream().server_name, "shop.example");
      server.send("answer");
      EXPECT_EQ(client.read(6), "answer");
      client.end();
      EXPECT_EQ(server.read_to_end(), "");
      server.end();
      EXPECT_EQ(client.read_to_end(), "");
    }
  }
}

TEST_CASE("the next endpoint gets the whole hello when the first refuses") {
  Upstream upstream;
  SocketAddress nobody;
  {
    Upstream gone;
    nobody = gone.address();
  }
  Fixture fixture({nobody, upstream.address()}, {}, {listener(ListenProtocol::kTcpSni)});
  Wire client = fixture.connect(2);
  client.send(hello("shop.example"));
  Wire server = upstream.accept();
  EXPECT_EQ(server.read(hello("shop.example").size()), hello("shop.example"));
}

TEST_CASE("what is no TLS ends cleanly, without a reset and without an upstream") {
  Upstream upstream;
  Fixture fixture({upstream.address()}, {}, {listener(ListenProtocol::kTcpSni)});
  const std::string cases[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                               std::string("\x80\x2e\x01\x03", 4),
                               std::string("\x16\x03\x01\x00\x00", 5)};
  for (const std::string& bytes : cases) {
    Wire client = fixture.connect(2);
    client.send(bytes);
    bool reset = true;
    EXPECT_EQ(client.read_to_end(&reset), "");
    EXPECT(!reset);
  }
  EXPECT(!upstream.waits(50));
}

TEST_CASE("a hello that does not come, and a PROXY header that does not, run into their limits") {
  Upstream upstream;
  WorkerOptions options;
  options.timeouts.head_ms = 100;
  ListenSpec proxied = listener(ListenProtocol::kTcp, true);
  proxied.proxy_timeout_ms = 100;
  Fixture fixture({upstream.address()}, options, {listener(ListenProtocol::kTcpSni), proxied});
  for (const size_t index : {size_t{2}, size_t{3}}) {
    for (const bool some : {false, true}) {
      Wire client = fixture.connect(index);
      if (some) client.send(index == 2 ? hello("a").substr(0, 20) : "PROXY TCP4 192.0.2.1 ");
      EXPECT_EQ(client.read_to_end(), "");
    }
  }
  EXPECT(!upstream.waits(50));
}

TEST_CASE("a PROXY header says who the client is: tcp, tcp+sni and http") {
  Upstream upstream;
  Fixture fixture({upstream.address()}, {},
                  {listener(ListenProtocol::kTcp, true), listener(ListenProtocol::kTcpSni, true),
                   listener(ListenProtocol::kHttp, true)});
  const std::string header = "PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n";
  for (const size_t piece : {size_t{1}, size_t{5}, size_t{100'000}}) {
    Wire tcp = fixture.connect(2);
    tcp.send_pieces(header + "hello", piece);
    Wire server = upstream.accept();
    EXPECT_EQ(server.read(5), "hello");
    EXPECT_EQ(fixture.last_stream().peer, "192.0.2.7:56324");

    Wire sni = fixture.connect(3);
    sni.send_pieces(header + hello("shop.example"), piece);
    server = upstream.accept();
    EXPECT_EQ(server.read(hello("shop.example").size()), hello("shop.example"));
    EXPECT_EQ(fixture.last_stream().peer, "192.0.2.7:56324");

    Wire http = fixture.connect(4);
    http.send_pieces(header + "GET / HTTP/1.1\r\nHost: x\r\n\r\n", piece);
    server = upstream.accept();
    const std::string head = server.read_head();
    EXPECT(head.find("X-Forwarded-For: 192.0.2.7\r\n") != std::string::npos);
    server.send("HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_EQ(http.read_head(), "HTTP/1.1 204 No Content\r\nVia: 1.1 sluice\r\n\r\n");
  }
}

TEST_CASE("where a PROXY header is due, nothing else will do; where it is not, it is not read") {
  Upstream upstream;
  Fixture fixture({upstream.address()}, {}, {listener(ListenProtocol::kTcp, true)});
  Wire without = fixture.connect(2);
  without.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(without.read_to_end(), "");
  EXPECT(!upstream.waits(50));
  Wire plain = fixture.connect_tcp();
  plain.send("PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n");
  Wire server = upstream.accept();
  EXPECT_EQ(server.read(45), "PROXY TCP4 192.0.2.7 198.51.100.2 56324 443\r\n");
  EXPECT_EQ(fixture.last_stream().peer.substr(0, 10), "127.0.0.1:");
}

TEST_CASE("a server that speaks first does, also behind a PROXY header") {
  Upstream upstream;
  Fixture fixture({upstream.address()}, {}, {listener(ListenProtocol::kTcp, true)});
  Wire client = fixture.connect(2);
  client.send("PROXY UNKNOWN\r\n");
  Wire server = upstream.accept();
  server.send("220 ready\r\n");
  EXPECT_EQ(client.read(11), "220 ready\r\n");
}

TEST_CASE("an upstream that wants a PROXY header gets one first") {
  Upstream upstream;
  Fixture fixture({upstream.address()}, {}, {listener(ListenProtocol::kTcp, true)}, true);
  Wire client = fixture.connect(2);
  client.send("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\nhello");
  Wire server = upstream.accept();
  const std::string expected = "PROXY TCP6 2001:db8::1 ::ffff:127.0.0.1 56324 " +
                               std::to_string(fixture.proxy().addresses()[2].port()) + "\r\nhello";
  EXPECT_EQ(server.read(expected.size()), expected);
  Wire direct = fixture.connect_tcp();
  direct.send("x");
  server = upstream.accept();
  const std::string own = "PROXY TCP4 127.0.0.1 127.0.0.1 " +
                          std::to_string(direct.socket().local_address().port()) + " " +
                          std::to_string(fixture.proxy().addresses()[1].port()) + "\r\nx";
  EXPECT_EQ(server.read(own.size()), own);
}

TEST_CASE("rt, wt and it of a listener end what is silent, sends nothing, takes nothing") {
  Upstream upstream;
  ListenSpec idle = listener(ListenProtocol::kTcp);
  idle.idle_timeout_ms = 150;
  ListenSpec reading = listener(ListenProtocol::kTcp);
  reading.read_timeout_ms = 150;
  ListenSpec writing = listener(ListenProtocol::kTcp);
  writing.write_timeout_ms = 150;
  Fixture fixture({upstream.address()}, {}, {idle, reading, writing});
  bool reset = true;
  {
    Wire client = fixture.connect(2);
    Wire server = upstream.accept();
    EXPECT_EQ(client.read_to_end(&reset), "");
    EXPECT(!reset);
    EXPECT_EQ(server.read_to_end(), "");
  }
  {
    // The upstream goes on; the client says nothing.
    Wire client = fixture.connect(3);
    Wire server = upstream.accept();
    server.send("news");
    EXPECT_EQ(client.read(4), "news");
    EXPECT_EQ(client.read_to_end(), "");
  }
  {
    Wire client = fixture.connect(4);
    Wire server = upstream.accept();
    server.send("more than all buffers hold");
    const std::string much(1 << 20, 'x');
    reset = false;
    for (int i = 0; i < 64 && !reset; ++i) {
      reset = server.socket().write(much.data(), much.size()).state == IoState::kError;
    }
    // It was cut with bytes on their way: that is no end.
    client.read_to_end(&reset);
    EXPECT(reset);
  }
}

}  // namespace sluice::proxy::test
