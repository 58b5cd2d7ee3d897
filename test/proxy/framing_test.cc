// The table of raw requests: what is refused and what passes, each sent whole and in pieces of one
// byte, with the bytes that reach the upstream.
#include <string>
#include <thread>
#include <vector>

#include "test/proxy/wire.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

using namespace std::string_literals;

struct Refused {
  std::string request;
  std::string status;
};

std::string get(const std::string& headers) {
  return "GET / HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
}
std::string post(const std::string& headers, const std::string& body = "") {
  return "POST / HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body;
}
std::string chunked(const std::string& body) {
  return post("Transfer-Encoding: chunked\r\n", body);
}

std::vector<Refused> refused_heads() {
  std::vector<Refused> rows;
  const auto add = [&](std::string request, std::string status = "400") {
    rows.push_back({std::move(request), std::move(status)});
  };
  // Controls and other bytes that may stand nowhere, in every place.
  for (int c = 0; c < 0x80; ++c) {
    const std::string byte(1, static_cast<char>(c));
    const bool control = (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
    if (control) {
      if (c != '\r') add("G" + byte + "T / HTTP/1.1\r\nHost: x\r\n\r\n");
      add("GET /a" + byte + "b HTTP/1.1\r\nHost: x\r\n\r\n");
      add(get("A: b" + byte + "c\r\n"));
      add(get("A" + byte + "B: c\r\n"));
    }
    if (std::string_view("\"(),/;<=>?@[\\]{} \t").find(byte) != std::string_view::npos) {
      add(get("A" + byte + "B: c\r\n"));
    }
  }
  for (const char* value :
       {"", "+1", "-1", "0x10", "1_0", "1 0", "1,1", "1, 2", "a", "1a", "99999999999999999999",
        "18446744073709551616", "9999999999999999999", "1.0", "1e3", "\"1\""}) {
    add(post("Content-Length: "s + value + "\r\n", "0123456789"));
  }
  for (const char* value :
       {"", "chunked, chunked", "chunked,", ",chunked", "x", "x, chunked", "chunked, x", "identity",
        "gzip", "gzip, chunked", "chunked;q=1", "\"chunked\"", "chunke", "chunkedd",
        "chunked chunked", "Chunked\t,x"}) {
    add(post("Transfer-Encoding: "s + value + "\r\n", "0\r\n\r\n"));
  }
  add(post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"));
  add(post("Content-Length: 1\r\nContent-Length: 1\r\n", "a"));
  add(post("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
  add(post("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", "0\r\n\r\n"));
  add(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
  add("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  add(post("Transfer-Encoding : chunked\r\n"));
  add(post("Content-Length : 1\r\n", "a"));
  add(post(" Content-Length: 1\r\n", "a"));
  add(post("A: b\r\n Content-Length: 1\r\n", "a"));
  add(post("A: b\r\n\tc\r\n"));
  add(get(": b\r\n"));
  add(get("A\r\n"));
  add(get("A: b\n"));
  add(get("E:\rTransfer-Encoding: chunked\r\n"));
  add("GET / HTTP/1.1\nHost: x\n\n");
  add("GET / HTTP/1.1\r\nHost: x\r\nA: b\n\r\n");
  add("GET / HTTP/1.1\rHost: x\r\n\r\n");
  add("GET / HTTP/1.1\r\n\r\n");
  add("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n");
  add("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n");
  for (const char* host :
       {"x:123456", "x:70000", "x:-1", "x:8a", "a b", "a,b",  "a/b",     "a@b", "a\\b", "[::1",
        "::1",      "[]",      "[zz]", ".",    "..x", "a..b", "x:80:80", "<x>", "x#y",  "x?y"}) {
    add("GET / HTTP/1.1\r\nHost: "s + host + "\r\n\r\n");
  }
  for (const char* target :
       {"x", "x:80", "*", "http://", "http:///x", "ftp://x/", "http://u@x/", "http://x?q",
        "http://a b/", "/a b", "/a#b", "//", "http://x:123456/", "\\x", "?q", "/\xc3\xa4"}) {
    if (target == "//"s) continue;  // a path, if an odd one
    add("GET "s + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  add("OPTIONS x HTTP/1.1\r\nHost: x\r\n\r\n");
  add("CONNECT /x HTTP/1.1\r\nHost: x\r\n\r\n");
  add("CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n");
  add("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", "405");
  add("GET / HTTP/1.1 \r\nHost: x\r\n\r\n");
  add("GET /  HTTP/1.1\r\nHost: x\r\n\r\n");
  add("GET  / HTTP/1.1\r\nHost: x\r\n\r\n");
  add(" GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  add("GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n");
  add("GET /\r\n\r\n");
  add("GET\r\n\r\n");
  add("GET / HTTP/1\r\nHost: x\r\n\r\n");
  add("GET / HTTP/1.\r\nHost: x\r\n\r\n");
  add("GET / HTTP/11.1\r\nHost: x\r\n\r\n");
  add("GET / http/1.1\r\nHost: x\r\n\r\n");
  add("GET / HTTQ/1.1\r\nHost: x\r\n\r\n");
  add("GET / HTTP/0.9\r\nHost: x\r\n\r\n", "505");
  add("GET / HTTP/1.2\r\nHost: x\r\n\r\n", "505");
  add("GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505");
  add("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505");
  add("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  add("\x16\x03\x01\x02\x00\x01\x00"s);
  add(post("Expect: tea\r\n"), "417");
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += "A: b\r\n";
  add(get(lines), "431");
  add(get("A: " + std::string(33'000, 'a') + "\r\n"), "431");
  add("GET /" + std::string(17'000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", "414");
  return rows;
}

// The head is fine, so it is on its way before the body's framing breaks: 400, and what has reached
// the upstream never ends as a whole request would.
std::vector<std::string> broken_bodies() {
  return {
      chunked("\r\nhello"),
      chunked(" 5\r\nhello\r\n0\r\n\r\n"),
      chunked("0x5\r\nhello\r\n0\r\n\r\n"),
      chunked("+5\r\nhello\r\n"),
      chunked("-5\r\nhello\r\n"),
      chunked("5\nhello\r\n0\r\n\r\n"),
      chunked("5\rhello\r\n"),
      chunked("5;a\rb\r\nhello\r\n"),
      chunked("5;a\nb\r\nhello\r\n"),
      chunked("5\r\nhelloX\r\n"),
      chunked("5\r\nhello\n0\r\n\r\n"),
      chunked("5\r\nhello\rX"),
      chunked("10000000000001\r\n"),
      chunked("fffffffffffffffff\r\n"),
      chunked("5g\r\nhello\r\n"),
      chunked("0\r\n\n"),
      chunked("0\r\nA: b\n\r\n"),
      chunked("0\r\nA: b\r\n c\r\n\r\n"),
      chunked("0\r\nA : b\r\n\r\n"),
      chunked("0\r\nA\r\n\r\n"),
      chunked("0\r\nContent-Length: 5\r\n\r\n"),
      chunked("0\r\nHost: y\r\n\r\n"),
      chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"),
      chunked("0\r\nX-Forwarded-For: y\r\n\r\n"),
      chunked("0\r\nForwarded: for=y\r\n\r\n"),
      chunked("0\r\nAuthorization: y\r\n\r\n"),
      chunked("0\r\nConnection: y\r\n\r\n"),
      chunked("0\r\nA: b\x01\r\n\r\n"),
      chunked("0\r\n: b\r\n\r\n"),
      chunked("0\r\rA: b\r\n\r\n"),
      chunked("5;"s + std::string(1100, 'a') + "\r\nhello\r\n0\r\n\r\n"),
      chunked("5\r\nhello\r\n-1\r\n\r\n"),
      chunked("5\r\nhello\r\n\r\n"),
      chunked("5\r\nhello\r\n0"s + std::string(1, '\0') + "\r\n\r\n"),
      chunked("5\r\nhello0\r\n\r\n"),
      chunked("5 5\r\nhello\r\n0\r\n\r\n"),
      chunked("1_0\r\nhello\r\n0\r\n\r\n"),
      chunked("0\r\nA: \rb\r\n\r\n"),
  };
}

struct Passed {
  std::string request;
  std::string head;  // what reaches the upstream, up to the headers that we add
  std::string body;
  std::string host = "x";  // of the request, as the headers that we add name it
  std::string port = "80";
  std::string version = "1.1";
};

// The headers that we add, for a client that is not trusted.
std::string added(const Passed& row) {
  return "X-Forwarded-For: 127.0.0.1\r\nX-Real-Ip: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
         "X-Forwarded-Port: " +
         row.port + "\r\n" + (row.host.empty() ? "" : "X-Forwarded-Host: " + row.host + "\r\n") +
         "Forwarded: for=127.0.0.1; proto=http; httpproto=http/" + row.version +
         "\r\nVia: " + row.version + " sluice\r\n\r\n";
}

// Names that say who a request is from, each sent by a client that is not trusted.
std::string claims() {
  std::string out;
  for (const char* name :
       {"X-Forwarded-For", "x-forwarded-for", "X-Forwarded-Proto", "X-Forwarded-Port",
        "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Ssl",
        "X-Forwarded-User", "X_Forwarded_For", "X_FORWARDED_PROTO", "X-Forwarded_Host", "X-Real-Ip",
        "X_Real_IP", "Forwarded"}) {
    out += name + ": evil\r\n"s;
  }
  return out;
}

std::vector<Passed> passed() {
  const std::string x = "Host: x\r\n";
  return {
      {"GET / HTTP/1.1\r\n" + x + "\r\n", "GET / HTTP/1.1\r\n" + x, ""},
      {"\r\nGET / HTTP/1.1\r\n" + x + "\r\n", "GET / HTTP/1.1\r\n" + x, ""},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / HTTP/1.1\r\nHost: \r\n", "", "",
       "80", "1.0"},
      {"GET /a%2Fb?c=%20 HTTP/1.1\r\n" + x + "\r\n", "GET /a%2Fb?c=%20 HTTP/1.1\r\n" + x, ""},
      {"GET http://Y:81/p?q HTTP/1.1\r\n" + x + "\r\n", "GET /p?q HTTP/1.1\r\nHost: Y:81\r\n", "",
       "Y:81", "81"},
      {"GET http://y HTTP/1.1\r\n" + x + "\r\n", "GET / HTTP/1.1\r\nHost: y\r\n", "", "y"},
      {"GET HTTPS://y/ HTTP/1.1\r\n" + x + "\r\n", "GET / HTTP/1.1\r\nHost: y\r\n", "", "y"},
      {"OPTIONS http://y HTTP/1.1\r\n" + x + "\r\n", "OPTIONS * HTTP/1.1\r\nHost: y\r\n", "", "y"},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost: \r\n", "", ""},
      {"GET / HTTP/1.1\r\nhOsT:\t x \t\r\n\r\n", "GET / HTTP/1.1\r\n" + x, ""},
      {"GET / HTTP/1.1\r\nHost: x:\r\n\r\n", "GET / HTTP/1.1\r\nHost: x:\r\n", "", "x:"},
      {"GET //a//b HTTP/1.1\r\n" + x + "\r\n", "GET //a//b HTTP/1.1\r\n" + x, ""},
      {"GET /%00 HTTP/1.1\r\n" + x + "\r\n", "GET /%00 HTTP/1.1\r\n" + x, ""},
      {"M-SEARCH / HTTP/1.1\r\n" + x + "\r\n", "M-SEARCH / HTTP/1.1\r\n" + x, ""},
      {get(claims()), "GET / HTTP/1.1\r\n" + x, ""},
      {get("A: 1\r\n" + claims() + "B: 2\r\n"), "GET / HTTP/1.1\r\n" + x + "A: 1\r\nB: 2\r\n", ""},
      {get("Via: 1.0 a, 1.1 b\r\n"), "GET / HTTP/1.1\r\n" + x + "Via: 1.0 a, 1.1 b\r\n", ""},
      {get("Connection: via, forwarded, x-real-ip, transfer-encoding, a\r\nVia: 1.0 a\r\nA: 1\r\n"),
       "GET / HTTP/1.1\r\n" + x + "Via: 1.0 a\r\n", ""},
      {get("Connection: a\r\nConnection: b\r\nA: 1\r\nB: 2\r\n"), "GET / HTTP/1.1\r\n" + x, ""},
      {get("Connection: ,, a ,\r\nA: 1\r\n"), "GET / HTTP/1.1\r\n" + x, ""},
      {get("Connection: close, a, b\r\nB: 1\r\nA: 2\r\nC: 3\r\n"),
       "GET / HTTP/1.1\r\n" + x + "C: 3\r\n", ""},
      {get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
       "GET / HTTP/1.1\r\n" + x, ""},
      {"GET / HTTP/1.0\r\n" + x + "Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\n\r\n",
       "GET / HTTP/1.1\r\n" + x, "", "x", "80", "1.0"},
      {get("Upgrade: websocket\r\n"), "GET / HTTP/1.1\r\n" + x, ""},
      {get("Connection: upgrade\r\n"), "GET / HTTP/1.1\r\n" + x, ""},
      {get("Trailer: a\r\nAuthorization: Basic eA==\r\nCookie: a=b\r\n"),
       "GET / HTTP/1.1\r\n" + x + "Trailer: a\r\nAuthorization: Basic eA==\r\nCookie: a=b\r\n", ""},
      {get("Expect: 100-continue\r\n"), "GET / HTTP/1.1\r\n" + x + "Expect: 100-continue\r\n", ""},
      {"POST / HTTP/1.0\r\n" + x + "Connection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
       "POST / HTTP/1.1\r\n" + x + "Content-Length: 2\r\n", "hi", "x", "80", "1.0"},
      {"DELETE / HTTP/1.1\r\n" + x + "Content-Length: 1\r\n\r\na",
       "DELETE / HTTP/1.1\r\n" + x + "Content-Length: 1\r\n", "a"},
      {"OPTIONS * HTTP/1.1\r\n" + x + "\r\n", "OPTIONS * HTTP/1.1\r\n" + x, ""},
      {"PROPFIND / HTTP/1.1\r\n" + x + "\r\n", "PROPFIND / HTTP/1.1\r\n" + x, ""},
      {get("A:b\r\nC:  d \t\r\n"), "GET / HTTP/1.1\r\n" + x + "A:b\r\nC:  d\r\n", ""},
      {get("Empty:\r\n"), "GET / HTTP/1.1\r\n" + x + "Empty:\r\n", ""},
      {get("A: \xe4\xff\r\n"), "GET / HTTP/1.1\r\n" + x + "A: \xe4\xff\r\n", ""},
      {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n", "",
       "[::1]:80"},
      {"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]\r\n", "", "[::1]"},
      {"GET / HTTP/1.1\r\nHost: a_b.x.\r\n\r\n", "GET / HTTP/1.1\r\nHost: a_b.x.\r\n", "",
       "a_b.x."},
      {get("Connection: Foo, close-not\r\nFoo: 1\r\nclose-not: 2\r\nBar: 3\r\n"),
       "GET / HTTP/1.1\r\n" + x + "Bar: 3\r\n", ""},
      {get("Connection: host, x-forwarded-for, content-length\r\n"), "GET / HTTP/1.1\r\n" + x, ""},
      {get("Keep-Alive: 5\r\nProxy-Connection: a\r\nTE: trailers\r\nUpgrade: "
           "h2c\r\nHTTP2-Settings: a\r\n"),
       "GET / HTTP/1.1\r\n" + x, ""},
      {post("Content-Length: 5\r\n", "hello"), "POST / HTTP/1.1\r\n" + x + "Content-Length: 5\r\n",
       "hello"},
      {post("Content-Length: 0\r\n"), "POST / HTTP/1.1\r\n" + x + "Content-Length: 0\r\n", ""},
      {post("content-LENGTH:0005 \r\n", "hello"),
       "POST / HTTP/1.1\r\n" + x + "content-LENGTH:0005\r\n", "hello"},
      {get("Content-Length: 2\r\n") + "hi", "GET / HTTP/1.1\r\n" + x + "Content-Length: 2\r\n",
       "hi"},
      {post("Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n"),
       "POST / HTTP/1.1\r\n" + x + "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"},
      {post("Transfer-Encoding: \tchunked\t\r\n", "0000\r\n\r\n"),
       "POST / HTTP/1.1\r\n" + x + "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"},
      {chunked("0 ;a=\"b\"\r\nA: b\r\nServer-Timing: c;d=1\r\n\r\n"),
       "POST / HTTP/1.1\r\n" + x + "Transfer-Encoding: chunked\r\n",
       "0\r\nA: b\r\nServer-Timing: c;d=1\r\n\r\n"},
      {chunked("0;ext\r\nA: b\r\n\r\n"),
       "POST / HTTP/1.1\r\n" + x + "Transfer-Encoding: chunked\r\n", "0\r\nA: b\r\n\r\n"},
      {post("Expect: 100-Continue\r\nContent-Length: 1\r\n", "a"),
       "POST / HTTP/1.1\r\n" + x + "Expect: 100-Continue\r\nContent-Length: 1\r\n", "a"},
  };
}

constexpr size_t kPieces[] = {1'000'000, 1};

}  // namespace

TEST_CASE("requests that are refused: the status, the close, and not one byte upstream") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  const std::vector<Refused> rows = refused_heads();
  EXPECT(rows.size() >= 200);
  for (const size_t piece : kPieces) {
    for (const Refused& row : rows) {
      // Long ones in larger pieces: ten thousand system calls a row show nothing more.
      const size_t size = row.request.size() > 10'000 && piece == 1 ? 613 : piece;
      CAPTURE(row.request);
      CAPTURE(size);
      Wire client = fixture.connect();
      client.send_pieces(row.request, size);
      const std::string answer = client.read_to_end();
      EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 " + row.status);
      EXPECT(answer.find("HTTP/1.1", 8) == std::string::npos);
      EXPECT_EQ(answer.find("\r\nAllow:\r\n") != std::string::npos, row.status == "405");
    }
  }
  EXPECT(!upstream.waits(0));
}

TEST_CASE("bodies whose framing breaks: 400, and the upstream sees no end") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  for (const size_t piece : kPieces) {
    for (const std::string& request : broken_bodies()) {
      CAPTURE(request);
      CAPTURE(piece);
      Wire client = fixture.connect();
      client.send_pieces(request, piece);
      EXPECT_EQ(client.read_to_end().substr(0, 12), "HTTP/1.1 400");
      if (!upstream.waits(0)) continue;  // refused before a connection was made
      Wire server = upstream.accept();
      const std::string got = server.read_to_end();
      EXPECT(got.find("0\r\n\r\n") == std::string::npos);
    }
  }
}

TEST_CASE("requests that pass: the bytes that reach the upstream") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  Wire server;
  for (const size_t piece : kPieces) {
    for (const Passed& row : passed()) {
      CAPTURE(row.request);
      CAPTURE(piece);
      client.send_pieces(row.request, piece);
      if (!server.open()) server = upstream.accept();
      REQUIRE(server.open());
      const std::string head = server.read_head();
      EXPECT_EQ(head, row.head + added(row));
      std::string body;
      if (row.head.find("chunked") != std::string::npos) {
        while (!body.ends_with(row.body.substr(row.body.rfind("0\r\n")))) {
          const std::string byte = server.read(1);
          REQUIRE(!byte.empty());
          body += byte;
        }
      } else {
        body = server.read(row.body.size());
      }
      EXPECT_EQ(body, row.body);
      server.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      const std::string answer = client.read_head();
      EXPECT_EQ(answer.substr(0, 15), "HTTP/1.1 200 OK");
      if (answer.find("Connection: close") != std::string::npos) client = fixture.connect();
    }
  }
}

TEST_CASE("responses that are malformed: 502, and the connection is not used again") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::vector<std::string> rows = {
      ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
      ok + "Content-Length: x\r\n\r\n",
      ok + "Content-Length: -1\r\n\r\n",
      ok + "Content-Length: 1, 1\r\n\r\na",
      ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      ok + "Transfer-Encoding: x\r\n\r\n",
      ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
      ok + "Transfer-Encoding: gzip, chunked\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
      ok + "A: b\r\n c\r\n\r\n",
      ok + "A : b\r\n\r\n",
      ok + ": b\r\n\r\n",
      ok + "A: b\x01\r\n\r\n",
      ok + "A: b\rc\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 099 OK\r\n\r\n",
      "HTTP/2 200 OK\r\n\r\n",
      "hello\r\n\r\n",
      "\r\n" + ok + "\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
      ok + "A: " + std::string(40'000, 'a') + "\r\n\r\n",
  };
  for (const size_t piece : kPieces) {
    for (const std::string& row : rows) {
      CAPTURE(row);
      CAPTURE(piece);
      Wire client = fixture.connect();
      client.send(get(""));
      Wire server = upstream.accept();
      server.read_head();
      server.send_pieces(row, row.size() > 10'000 && piece == 1 ? 613 : piece);
      EXPECT_EQ(client.read_head().substr(0, 12), "HTTP/1.1 502");
      server.read_to_end();
    }
  }
}

TEST_CASE("bytes beyond a response belong to nothing") {
  Upstream upstream;
  Fixture fixture({upstream.address()});
  Wire client = fixture.connect();
  client.send(get(""));
  Wire server = upstream.accept();
  server.read_head();
  server.send(
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: "
      "4\r\n\r\nevil");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 sluice\r\n\r\n");
  EXPECT_EQ(client.read(2), "ok");
  EXPECT_EQ(server.read_to_end(), "");
  client.send(get(""));
  Wire second = upstream.accept();
  second.read_head();
  second.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
  EXPECT_EQ(client.read_head(), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nVia: 1.1 sluice\r\n\r\n");
  EXPECT_EQ(client.read(4), "good");
}

}  // namespace sluice::proxy::test
