#include "core/http1.h"

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/http1_body.h"
#include "core/http1_scan.h"
#include "test/test.h"

namespace sluice::http1 {

namespace {

// The result of one head fed in pieces of `piece` bytes (0: whole), as one comparable line.
std::string feed(std::string_view input, size_t piece, bool request,
                 Method request_method = Method::kGet, Limits limits = {}) {
  HeadReader reader;
  Head head;
  ReadResult result{ReadState::kMore};
  size_t size = 0;
  while (result.state == ReadState::kMore && size < input.size()) {
    size = piece == 0 ? input.size() : std::min(size + piece, input.size());
    // A copy of exactly what has arrived, so that ASan sees a read past it.
    const std::vector<char> bytes(input.begin(), input.begin() + static_cast<ptrdiff_t>(size));
    const std::string_view view(bytes.data(), bytes.size());
    result = request ? reader.read_request(view, limits, head)
                     : reader.read_response(view, limits, request_method, head);
    if (result.state == ReadState::kBad) return std::to_string(result.status);
    if (result.state == ReadState::kDone) {
      std::string line = std::string(head.method_text) + "|" + std::string(head.authority) + "|" +
                         std::string(head.path) + "|" + std::to_string(head.status) + "|" +
                         std::to_string(static_cast<int>(head.framing)) + "|" +
                         std::to_string(head.content_length) + "|" + std::to_string(head.size) +
                         (head.keep_alive ? "|keep" : "|close") + (head.upgrade ? "|upgrade" : "") +
                         (head.expect_continue ? "|expect" : "");
      for (uint16_t i = 0; i < head.header_count; ++i) {
        line += "|" + std::string(head.headers[i].name) + "=" + std::string(head.headers[i].value);
      }
      return line;
    }
  }
  return "more";
}

std::string feed_all(std::string_view input, bool request, Method request_method = Method::kGet) {
  const std::string whole = feed(input, 0, request, request_method);
  for (size_t piece = 1; piece <= 31; ++piece) {
    CAPTURE(piece);
    EXPECT_EQ(feed(input, piece, request, request_method), whole);
  }
  return whole;
}

std::string request(std::string_view input) {
  return feed_all(input, true);
}
std::string response(std::string_view input, Method method = Method::kGet) {
  return feed_all(input, false, method);
}

}  // namespace

TEST_CASE("the vector scan and the plain scan see the same") {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    char block[64];
    for (char& c : block) c = static_cast<char>(random() % (round % 2 == 0 ? 256 : 34));
    const ScanMasks a = scan_block(block);
    const ScanMasks b = scan_block_plain(block);
    EXPECT_EQ(a.lf, b.lf);
    EXPECT_EQ(a.cr, b.cr);
    EXPECT_EQ(a.control, b.control);
  }
}

TEST_CASE("a request head in any pieces") {
  EXPECT_EQ(request("GET /a?b=c HTTP/1.1\r\nHost: x.com\r\nAccept:  */* \t\r\n\r\nrest"),
            "GET|x.com|/a?b=c|0|0|0|52|keep|Host=x.com|Accept=*/*");
  EXPECT_EQ(request("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), "GET|x|/|0|0|0|29|keep|Host=x");
  EXPECT_EQ(
      request("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n"),
      "POST|x|/|0|1|12|70|keep|expect|Host=x|Content-Length=12|Expect=100-continue");
  EXPECT_EQ(request("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"),
            "POST|x|/|0|2|0|56|keep|Host=x|Transfer-Encoding=Chunked");
  EXPECT_EQ(request("GET http://Y.com:81/p HTTP/1.1\r\nHost: x\r\n\r\n"),
            "GET|Y.com:81|/p|0|0|0|43|keep|Host=x");
  EXPECT_EQ(request("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), "OPTIONS|x|*|0|0|0|31|keep|Host=x");
  EXPECT_EQ(request("BAN /x HTTP/1.1\r\nHost: x\r\n\r\n"), "BAN|x|/x|0|0|0|28|keep|Host=x");
  EXPECT_EQ(request("X-MY_OWN * HTTP/1.1\r\nHost: x\r\n\r\n").substr(0, 3), "400");
  EXPECT_EQ(request("\r\nX-MY_OWN / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"),
            "X-MY_OWN|x|/|0|1|1|53|keep|Host=x|Content-Length=1");
  EXPECT_EQ(request("GET / HTTP/1.0\r\n\r\n"), "GET||/|0|0|0|18|close");
  EXPECT_EQ(request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            "GET||/|0|0|0|42|keep|Connection=keep-alive");
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: x\r\nConnection: close, x\r\n\r\n"),
            "GET|x|/|0|0|0|49|close|Host=x|Connection=close, x");
  EXPECT_EQ(
      request(
          "GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
      "GET|[::1]:80|/|0|0|0|75|keep|upgrade|Host=[::1]:80|Connection=Upgrade|Upgrade=websocket");
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n"), "more");
}

TEST_CASE("heads that smuggle, or are no heads, are refused") {
  const char* const refused[] = {
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, x\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x, chunked\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked,\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999999999999\r\n\r\n",
      "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
      "GET / HTTP/1.1\r\n Host: x\r\n\r\n",
      "GET / HTTP/1.1\nHost: x\n\n",
      "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nE:\rTransfer-Encoding: chunked\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nE: a\x01z\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nE: a\x7fz\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x:123456\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x:70000\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: .\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: ..x\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x,y\r\n\r\n",
      "CONNECT /x HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET http://u@x/ HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
      "GET / http/1.1\r\nHost: x\r\n\r\n",
      "GET / HTTP/1.10\r\nHost: x\r\n\r\n",
      "GET /\r\n\r\n",
      "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
      "get / HTTP/1.1\r\nHost: x\r\n\r\n",
      "HEAd / HTTP/1.1\r\nHost: x\r\n\r\n",
      "GET2 / HTTP/1.1\r\nHost: x\r\n\r\n",
      "BAN\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
      "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
      " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "\x16\x03\x01",
      "GET / HTTP/1.1\r\nHost: x\r\n\rX",
  };
  for (const char* input : refused) {
    CAPTURE(input);
    EXPECT_EQ(request(input), "400");
  }
  EXPECT_EQ(request(std::string_view("GET / HTTP/1.1\r\nHost: x\r\nE: a\0z\r\n\r\n", 35)), "400");
  EXPECT_EQ(request("GET / HTTP/2.0\r\nHost: x\r\n\r\n"), "505");
  EXPECT_EQ(request("GET / HTTP/1.2\r\nHost: x\r\n\r\n"), "505");
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n"), "417");
}

TEST_CASE("limits of a head hold in any pieces") {
  std::string lines = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 99; ++i) lines += "a: b\r\n";
  EXPECT_EQ(request(lines + "\r\n").substr(0, 5), "GET|x");
  EXPECT_EQ(request(lines + "a: b\r\n\r\n"), "431");
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
  const std::string fits = start + std::string(32 * 1024 - start.size() - 4, 'a') + "\r\n\r\n";
  EXPECT_EQ(request(fits).substr(0, 5), "GET|x");
  EXPECT_EQ(request(start + std::string(32 * 1024 - start.size() - 3, 'a') + "\r\n\r\n"), "431");
  EXPECT_EQ(request("GET /" + std::string(16 * 1024, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n"), "414");
  EXPECT_EQ(request("GET /" + std::string(16 * 1024 - 1, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n")
                .substr(0, 5),
            "GET|x");
  EXPECT_EQ(request("GET /" + std::string(40 * 1024, 'a')), "414");
}

TEST_CASE("a response head in any pieces, and how its body is framed") {
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            "||"
            "|200|1|5|38|keep|Content-Length=5");
  EXPECT_EQ(response("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "|||200|2|0|44|keep|Transfer-Encoding=chunked");
  EXPECT_EQ(response("HTTP/1.1 200 \r\n\r\n"), "|||200|3|0|17|close");
  EXPECT_EQ(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::kHead).substr(0, 10),
            "|||200|0|5");
  EXPECT_EQ(response("HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n").substr(0, 10), "|||304|0|5");
  EXPECT_EQ(response("HTTP/1.1 204 X\r\n\r\n").substr(0, 10), "|||204|0|0");
  EXPECT_EQ(response("HTTP/1.1 100 Continue\r\n\r\n").substr(0, 10), "|||100|0|0");
  EXPECT_EQ(response("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").substr(0, 19),
            "|||200|0|0|38|close");
  const char* const refused[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5a\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: a\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 20 OK\r\n\r\n",
      "HTTP/1.1  200 OK\r\n\r\n",
      "HTTP/1.1 200OK\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "hello\r\n\r\n",
      "HTTP/1.1 200 OK\n\n",
      "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
      "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
      "\r\nHTTP/1.1 200 OK\r\n\r\n",
  };
  for (const char* input : refused) {
    CAPTURE(input);
    EXPECT_EQ(response(input), "502");
  }
}

TEST_CASE("Connection's names, and authorities") {
  HeadReader reader;
  Head head;
  const std::string_view input =
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Foo\r\nfoo: 1\r\n\r\n";
  REQUIRE(reader.read_request(input, {}, head).state == ReadState::kDone);
  EXPECT(head.connection_names);
  EXPECT(head.connection_lists("FOO"));
  EXPECT(!head.connection_lists("bar"));
  EXPECT_EQ(head.find("Foo")->value, "1");
  EXPECT(head.find(Name::kHost)->value == "x");
  std::string_view host;
  uint16_t port = 0;
  EXPECT(split_authority("a.b:8080", host, port));
  EXPECT_EQ(host, "a.b");
  EXPECT_EQ(port, 8080);
  EXPECT(split_authority("a_b.:", host, port));
  EXPECT_EQ(port, 0);
  EXPECT(!split_authority("[::1]x", host, port));
  EXPECT(!split_authority("[]", host, port));
}

namespace {

// Payload, end and trailers of a body fed in pieces, unread bytes shown again with the next piece.
std::string body(std::string_view input, size_t piece, Framing framing, uint64_t length = 0) {
  BodyReader reader;
  reader.start(framing, length);
  std::string pending;
  std::string payload;
  size_t fed = 0;
  for (;;) {
    const std::vector<char> bytes(pending.begin(), pending.end());
    size_t at = 0;
    for (;;) {
      const BodyReader::Step step = reader.read({bytes.data() + at, bytes.size() - at});
      at += step.consumed;
      payload += step.data;
      if (step.state == BodyReader::State::kBad) return "bad";
      if (step.state == BodyReader::State::kEnd) {
        return payload + "|" + std::string(reader.trailers()) + "|" +
               std::to_string(input.size() - (fed - (bytes.size() - at)));
      }
      if (step.consumed == 0) break;
    }
    pending.erase(0, at);
    if (fed == input.size()) return payload + "|more";
    const size_t take = piece == 0 ? input.size() : std::min(piece, input.size() - fed);
    pending += input.substr(fed, take);
    fed += take;
  }
}

std::string body_all(std::string_view input, Framing framing, uint64_t length = 0) {
  const std::string whole = body(input, 0, framing, length);
  for (size_t piece = 1; piece <= 31; ++piece) {
    CAPTURE(piece);
    EXPECT_EQ(body(input, piece, framing, length), whole);
  }
  return whole;
}

}  // namespace

TEST_CASE("bodies in any pieces") {
  EXPECT_EQ(body_all("hello world", Framing::kLength, 5), "hello||6");
  EXPECT_EQ(body_all("hello", Framing::kLength, 9), "hello|more");
  EXPECT_EQ(body_all("hello", Framing::kNone), "||5");
  EXPECT_EQ(body_all("hello", Framing::kUntilClose), "hello|more");
  EXPECT_EQ(body_all("5\r\nhello\r\n0\r\n\r\nGET", Framing::kChunked), "hello||3");
  EXPECT_EQ(body_all("5;a=\"b\"\r\nhello\r\n00A  \r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\n",
                     Framing::kChunked),
            "hello0123456789|X: y\r\nZ:\r\n|0");
  EXPECT_EQ(body_all("5\r\nhel", Framing::kChunked), "hel|more");
  const char* const refused[] = {
      "\r\nhello",
      " 5\r\nhello",
      "0x5\r\nhello",
      "+5\r\nhello",
      "5\nhello",
      "5\rhello",
      "5;a\rb\r\nhello",
      "5;a\nb\r\nhello\r\n",
      "5\r\nhelloX",
      "5\r\nhello\n",
      "5\r\nhello\rX",
      "10000000000001\r\n",
      "5g\r\n",
      "fffffffffffffffff\r\n",
      "0\r\n\n",
      "0\r\nA: b\n\r\n",
      "0\r\nA: b\r\n c\r\n\r\n",
      "0\r\nA : b\r\n\r\n",
      "0\r\nA\r\n\r\n",
      "0\r\n: b\r\n\r\n",
      "0\r\nA: \rb\r\n\r\n",
      "0\r\nA: \x01\r\n\r\n",
      "0\r\nContent-Length: 1\r\n\r\n",
      "0\r\nTransfer-Encoding: chunked\r\n\r\n",
      "5 a\r\nhello",
  };
  for (const char* input : refused) {
    CAPTURE(input);
    EXPECT_EQ(body_all(input, Framing::kChunked), "bad");
  }
  EXPECT_EQ(body_all("5;" + std::string(1100, 'a'), Framing::kChunked), "bad");
  EXPECT_EQ(body_all("0\r\nA: " + std::string(9000, 'a'), Framing::kChunked), "bad");
  EXPECT_EQ(body_all("10000000000000\r\na", Framing::kChunked), "a|more");
}

TEST_CASE("payload that was spliced counts as read") {
  BodyReader reader;
  reader.start(Framing::kLength, 10);
  EXPECT_EQ(reader.payload_left(), 10u);
  reader.skip(4);
  EXPECT(!reader.done());
  EXPECT_EQ(reader.read("abcdefgh").consumed, 6u);
  EXPECT(reader.done());
  reader.start(Framing::kChunked, 0);
  EXPECT_EQ(reader.payload_left(), 0u);
  EXPECT_EQ(reader.read("6\r\nab").data, "ab");
  EXPECT_EQ(reader.payload_left(), 4u);
  reader.skip(4);
  EXPECT(reader.read("\r\n0\r\n\r\n").state == BodyReader::State::kEnd);
  char line[kMaxChunkHeader];
  EXPECT_EQ(std::string_view(line, write_chunk_line(line, 0x1fa0)), "1fa0\r\n");
  EXPECT_EQ(write_chunk_line(line, UINT64_MAX), kMaxChunkHeader);
}

}  // namespace sluice::http1
