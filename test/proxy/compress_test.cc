#include "proxy/compress.h"

#include <memory>
#include <string>
#include <thread>

#include "test/gunzip.h"
#include "test/proxy/wire.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

const Regex& types() {
  static const Regex kTypes = *Regex::compile("^(text/.*|application/json)(;.*)?$");
  return kTypes;
}

WorkerOptions compressing() {
  WorkerOptions options;
  options.gzip_types = &types();
  return options;
}

std::string request(const std::string& encodings, const std::string& version = "1.1") {
  return "GET / HTTP/" + version + "\r\nHost: x\r\n" +
         (encodings.empty() ? "" : "Accept-Encoding: " + encodings + "\r\n") + "\r\n";
}

/// The payload of a chunked body, up to its end.
std::string read_chunks(Wire& wire) {
  std::string out;
  for (;;) {
    std::string line;
    while (!line.ends_with("\r\n")) {
      const std::string byte = wire.read(1);
      REQUIRE(!byte.empty());
      line += byte;
    }
    const size_t size = std::stoul(line, nullptr, 16);
    out += wire.read(size);
    EXPECT_EQ(wire.read(2), "\r\n");
    if (size == 0) return out;
  }
}

/// Text that does not compress to nothing.
std::string text_of(size_t size) {
  std::string out;
  uint32_t state = 1;
  while (out.size() < size) {
    state = state * 1664525 + 1013904223;
    out += std::to_string(state >> 12) + " words and words ";
  }
  out.resize(size);
  return out;
}

}  // namespace

TEST_CASE("who accepts gzip, and what is compressible") {
  const auto accepts = [](const std::string& header) {
    http1::HeadReader reader;
    auto head = std::make_unique<http1::Head>();
    const std::string text = "GET / HTTP/1.1\r\nHost: x\r\n" + header + "\r\n";
    REQUIRE(reader.read_request(text, {}, *head).state == http1::ReadState::kDone);
    return accepts_gzip(*head);
  };
  for (const char* yes :
       {"gzip", "deflate, gzip", "GZIP", "gzip;q=0.5", "br;q=1, gzip ; q=0.001"}) {
    EXPECT(accepts("Accept-Encoding: " + std::string(yes) + "\r\n"));
  }
  for (const char* no : {"br", "identity", "gzip;q=0", "gzip; q=0.000", "xgzip", "", "*;q=0"}) {
    EXPECT(!accepts("Accept-Encoding: " + std::string(no) + "\r\n"));
  }
  EXPECT(!accepts(""));
  const auto compressible = [](const std::string& status, const std::string& headers) {
    http1::HeadReader reader;
    auto head = std::make_unique<http1::Head>();
    const std::string text = "HTTP/1.1 " + status + "\r\n" + headers + "\r\n";
    REQUIRE(reader.read_response(text, {}, http1::Method::kGet, *head).state ==
            http1::ReadState::kDone);
    return is_compressible(*head, types());
  };
  EXPECT(compressible("200 OK", "Content-Type: text/html; charset=utf-8\r\n"));
  EXPECT(compressible("404 Not Found", "Content-Type: application/json\r\n"));
  EXPECT(!compressible("200 OK", "Content-Type: image/png\r\n"));
  EXPECT(!compressible("200 OK", ""));
  for (const char* header : {"Content-Encoding: br", "Content-Range: bytes 0-1/2",
                             "Cache-Control: private, no-transform"}) {
    EXPECT(!compressible("200 OK", "Content-Type: text/html\r\n" + std::string(header) + "\r\n"));
  }
  EXPECT(!compressible("206 Partial Content", "Content-Type: text/html\r\n"));
  EXPECT(!compressible("304 Not Modified", "Content-Type: text/html\r\n"));
}

TEST_CASE("a compressed response: its head, its bytes, and the connection goes on") {
  Upstream upstream;
  Fixture fixture({upstream.address()}, compressing());
  Wire client = fixture.connect();
  Wire server;
  for (const size_t size : {0, 1, 1000, 70'000, 3'000'000}) {
    for (const bool chunked : {false, true}) {
      CAPTURE(size);
      CAPTURE(chunked);
      const std::string body = text_of(size);
      client.send(request("gzip, br"));
      if (!server.open()) server = upstream.accept();
      server.read_head();
      std::thread sender([&] {
        server.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nETag: \"a\"\r\n"
            "Accept-Ranges: bytes\r\nVary: Origin\r\n");
        if (chunked) {
          server.send("Transfer-Encoding: chunked\r\n\r\n");
          for (size_t at = 0; at < size; at += 5000) {
            const std::string part = body.substr(at, 5000);
            char line[16];
            std::snprintf(line, sizeof line, "%zx\r\n", part.size());
            server.send(line + part + "\r\n");
          }
          server.send("0\r\nDigest: of the plain text\r\n\r\n");
        } else {
          server.send("Content-Length: " + std::to_string(size) + "\r\n\r\n" + body);
        }
      });
      const std::string head = client.read_head();
      if (size == 0 && !chunked) {  // nothing to compress
        EXPECT(head.find("Content-Encoding") == std::string::npos);
        EXPECT(head.find("\r\nContent-Length: 0\r\n") != std::string::npos);
        sender.join();
        continue;
      }
      EXPECT_EQ(head,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nVary: Origin\r\nETag: W/\"a\"\r\n"
                "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\nVia: 1.1 sluice\r\n"
                "Transfer-Encoding: chunked\r\n\r\n");
      const std::string got = read_chunks(client);
      sender.join();
      EXPECT(gunzip(got) == body);
      if (size > 10'000) EXPECT(got.size() < size / 2);
    }
  }
}

TEST_CASE(
    "not compressed: who did not ask, 1.0, HEAD, other types; Vary where it might have been") {
  Upstream upstream;
  Fixture fixture({upstream.address()}, compressing());
  const auto ask = [&](const std::string& what, const std::string& type) {
    Wire client = fixture.connect();
    client.send(what);
    Wire server = upstream.accept();
    server.read_head();
    server.send("HTTP/1.1 200 OK\r\nContent-Type: " + type +
                "\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    const std::string head = client.read_head();
    EXPECT(head.find("Content-Encoding") == std::string::npos);
    EXPECT(head.find("\r\nContent-Length: 2\r\n") != std::string::npos);
    return head.find("\r\nVary: Accept-Encoding\r\n") != std::string::npos;
  };
  EXPECT(ask(request(""), "text/html"));
  EXPECT(ask(request("br"), "text/html"));
  EXPECT(ask(request("gzip", "1.0"), "text/html"));
  EXPECT(!ask(request("gzip"), "image/png"));
  EXPECT(ask("HEAD / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", "text/html"));
}

TEST_CASE("compressed events come out as they went in; a cut upstream shows") {
  Upstream upstream;
  Fixture fixture({upstream.address()}, compressing());
  Wire client = fixture.connect();
  client.send(request("gzip"));
  Wire server = upstream.accept();
  server.read_head();
  server.send(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.read_head();
  std::string got;
  std::string sent;
  for (const std::string event : {"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}) {
    server.send("9\r\n" + event + "\r\n");
    sent += event;
    // One or two chunks hold it all.
    while (gunzip(got, true) != sent) {
      std::string line;
      while (!line.ends_with("\r\n")) line += client.read(1);
      got += client.read(std::stoul(line, nullptr, 16));
      client.read(2);
    }
  }
  server.close();
  EXPECT_EQ(client.read_to_end(), "");  // no last chunk
}

TEST_CASE("a client that reads late gets all of a compressed response, its end included") {
  Upstream upstream;
  Fixture fixture({upstream.address()}, compressing());
  Wire client = fixture.connect();
  client.send(request("gzip"));
  Wire server = upstream.accept();
  server.read_head();
  // Random bytes: what comes out is as much as went in, and far more than buffers hold.
  std::string body;
  uint64_t state = 88172645463325252;
  while (body.size() < 20'000'000) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    body.append(reinterpret_cast<const char*>(&state), sizeof state);
  }
  std::thread sender([&] {
    server.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
    server.send(body);
    server.close();
  });
  // Its buffers are full by the time that another request has gone through the same reactor.
  Wire other = fixture.connect();
  other.send(request(""));
  Wire second = upstream.accept();
  second.read_head();
  second.send("HTTP/1.1 204 No Content\r\n\r\n");
  other.read_head();
  client.read_head();
  const std::string got = read_chunks(client);
  sender.join();
  EXPECT(gunzip(got) == body);
  client.send(request(""));
  EXPECT_EQ(second.read_head().substr(0, 5), "GET /");
}

}  // namespace sluice::proxy::test
