// The control plane's HTTP client against its server, and both against raw bytes, over real
// sockets.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "core/http_client.h"
#include "core/http_server.h"
#include "core/uv_network.h"
#include "test/test.h"

namespace sluice {

namespace {

/// A server on a fresh port and whatever a test does with it, run to the end.
struct Bench {
  UvLoop loop;
  UvNetwork network{loop};
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<HttpClient> client;
  std::unique_ptr<Scope> accepting = std::make_unique<Scope>(loop);
  std::unique_ptr<Scope> scope = std::make_unique<Scope>(loop);
  int handled = 0;
  bool release = false;  // what is asked for as /held

  explicit Bench(HttpServerOptions options = {}) {
    auto listener = network.listen(Address{.ip = "127.0.0.1"});
    REQUIRE(listener);
    server = std::make_unique<HttpServer>(
        loop, std::move(*listener),
        [this](const HttpServerRequest& request, HttpResponseWriter& writer) {
          return handle(request, writer);
        },
        std::move(options));
    client = std::make_unique<HttpClient>(loop, network, server->local());
    accepting->spawn(server->run());
  }
  ~Bench() {
    scope.reset();
    accepting.reset();
    client.reset();
    server.reset();
  }

  Task<void> handle(const HttpServerRequest& request, HttpResponseWriter& writer) {
    ++handled;
    if (request.path == "/stream") {
      (void)co_await writer.start(200, "text/plain");
      for (int i = 0; i < 3; ++i) (void)co_await writer.write("piece" + std::to_string(i));
      (void)co_await writer.finish();
    } else if (request.path == "/forever") {
      writer.cancel_on_close();
      struct Gone {
        Bench& bench;
        ~Gone() { bench.loop.stop(); }
      } gone{*this};
      co_await sleep_for(loop, 3'600'000);
    } else if (request.path == "/news") {
      writer.cancel_on_close();
      co_await sleep_for(loop, 3'600'000);
    } else if (request.path == "/held") {
      while (!release) co_await sleep_for(loop, 1);
      (void)co_await writer.respond(200, "text/plain", "held");
    } else {
      writer.add_header("X-Method", request.method);
      for (const auto& [key, value] : request.query) {
        if (key == "said") writer.add_header("X-Said", value);
      }
      (void)co_await writer.respond(200, "text/plain", request.target + "|" + request.body);
    }
  }

  void run(Task<void> task) {
    auto body = [](Task<void> inner, UvLoop& on) -> Task<void> {
      co_await inner;
      on.stop();
    };
    scope->spawn(body(std::move(task), loop));
    loop.run();
  }

  /// Sends the bytes in pieces of `piece` bytes and reads to the end of the stream.
  Task<void> raw(std::string bytes, size_t piece, std::string& answer) {
    Result<std::unique_ptr<Stream>> stream = co_await network.connect(server->local(), 5000);
    REQUIRE(stream);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      (void)co_await (*stream)->write(std::string_view(bytes).substr(at, piece));
    }
    (void)(*stream)->shutdown_write();
    char chunk[4096];
    for (;;) {
      Result<size_t> n = co_await (*stream)->read(chunk);
      if (!n || *n == 0) co_return;
      answer.append(chunk, *n);
    }
  }
};

}  // namespace

TEST_CASE("requests in a row use one connection, and bodies go both ways") {
  Bench bench;
  auto body = [](HttpClient& client) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      const std::string payload(static_cast<size_t>(i) * 300'000, 'b');
      Result<HttpResponse> got = co_await client.send(
          {.method = "PUT", .target = "/a?x=1", .headers = {}, .body = payload});
      REQUIRE(got);
      EXPECT_EQ(got->status, 200);
      EXPECT_EQ(*got->headers.find("x-method"), "PUT");
      EXPECT((got->body == "/a?x=1|" + payload));
    }
  };
  bench.run(body(*bench.client));
  EXPECT_EQ(bench.handled, 3);
}

TEST_CASE("a streamed answer arrives piece by piece and ends") {
  Bench bench;
  std::string all;
  auto body = [](HttpClient& client, std::string& out) -> Task<void> {
    auto exchange = co_await client.open({.target = "/stream"});
    REQUIRE(exchange);
    for (;;) {
      Result<std::string> piece = co_await (*exchange)->read();
      REQUIRE(piece);
      if (piece->empty()) co_return;
      out += *piece;
    }
  };
  bench.run(body(*bench.client, all));
  EXPECT_EQ(all, "piece0piece1piece2");
}

TEST_CASE("a long poll ends when its client goes away") {
  Bench bench;
  auto body = [](Bench& b) -> Task<void> {
    Result<std::unique_ptr<Stream>> stream = co_await b.network.connect(b.server->local(), 5000);
    REQUIRE(stream);
    (void)co_await (*stream)->write("GET /forever HTTP/1.1\r\nHost: x\r\n\r\n");
    while (b.handled == 0) co_await sleep_for(b.loop, 1);
  };
  bench.scope->spawn(body(bench));
  bench.loop.run();  // ends in the handler's destructor
  EXPECT_EQ(bench.handled, 1);
}

TEST_CASE("a server that finishes answers whoever has connected, and waits for no long poll") {
  Bench bench;
  auto ask = [](Bench& b, std::string path, std::string& answer) -> Task<void> {
    co_await b.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n", 1000, answer);
  };
  std::string held, late;
  bench.scope->spawn(ask(bench, "/held", held));
  auto body = [](Bench& b, const std::string& answered, std::string& last) -> Task<void> {
    const Address at = b.server->local();
    Result<std::unique_ptr<Stream>> poll = co_await b.network.connect(at, 5000);
    REQUIRE(poll);
    (void)co_await (*poll)->write("GET /news HTTP/1.1\r\nHost: x\r\n\r\n");
    while (b.handled < 2) co_await sleep_for(b.loop, 1);
    // One that the listener has accepted, or the kernel holds, when it closes.
    const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(at.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    b.accepting.reset();
    REQUIRE(::connect(other, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    REQUIRE(::send(other, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n", 28, 0) == 28);
    co_await sleep_for(b.loop, 5);  // the loop takes it
    co_await b.server->close_listener();
    bool finished = false;
    auto finish = [](Bench& of, bool& out) -> Task<void> {
      co_await of.server->finish(5'000);
      out = true;
    };
    b.scope->spawn(finish(b, finished));
    co_await sleep_for(b.loop, 20);
    EXPECT(!finished);  // /held
    b.release = true;
    while (!finished || answered.empty()) co_await sleep_for(b.loop, 1);
    char chunk[4096];
    const ssize_t got = ::recv(other, chunk, sizeof chunk, 0);
    last.assign(chunk, got > 0 ? static_cast<size_t>(got) : 0);
    ::close(other);
    EXPECT_EQ(b.handled, 3);
  };
  bench.run(body(bench, held, late));
  EXPECT(held.ends_with("\r\n\r\nheld"));
  EXPECT(late.find("Connection: close\r\n") != std::string::npos);
  EXPECT_EQ(late.substr(late.size() - std::min<size_t>(late.size(), 3)), "/x|");
}

TEST_CASE("pipelined requests are answered in order, in whatever pieces they come") {
  const std::string two =
      "POST /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
      "GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  for (const size_t piece : {size_t{1}, size_t{7}, two.size()}) {
    Bench bench;
    std::string answer;
    bench.run(bench.raw(two, piece, answer));
    EXPECT_EQ(answer,
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Method: POST\r\nContent-Length: "
              "6\r\n\r\n/1|abc"
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Method: GET\r\nContent-Length: "
              "3\r\nConnection: close\r\n\r\n/2|");
  }
}

TEST_CASE("bad requests are refused and reach no handler") {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
      {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       "HTTP/1.1 400 "},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", "HTTP/1.1 413 "},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" +
           std::string(0xfff, 'x') + "\r\n0\r\n\r\n",
       "HTTP/1.1 413 "},
  };
  for (const auto& [bytes, want] : table) {
    Bench bench(HttpServerOptions{.body_limit_bytes = 100});
    std::string answer;
    bench.run(bench.raw(bytes, bytes.size(), answer));
    EXPECT_EQ(answer.substr(0, want.size()), want);
    EXPECT_EQ(bench.handled, 0);
  }
}

TEST_CASE("a client's word in a header of the answer ends no line of it") {
  Bench bench;
  std::string answer;
  bench.run(bench.raw("GET /?said=a%0d%0aX-Made-Up:%201%00b HTTP/1.0\r\n\r\n", 4096, answer));
  EXPECT(answer.find("\r\nX-Said: a  X-Made-Up: 1 b\r\n") != std::string::npos);
}

TEST_CASE("a request that would break its own head is not sent") {
  Bench bench;
  const auto refusal = [&](HttpRequest request, std::string host = "") {
    HttpClient client(bench.loop, bench.network, bench.server->local(), {.host = std::move(host)});
    std::string said;
    auto body = [](HttpClient& on, HttpRequest what, std::string& out) -> Task<void> {
      Result<HttpResponse> got = co_await on.send(std::move(what));
      out = got ? "it was sent" : got.error().message;
    };
    bench.run(body(client, std::move(request), said));
    return said;
  };
  EXPECT_EQ(refusal({.method = "GET / HTTP/1.1\r\nA:"}),
            "GET / HTTP/1.1\r\nA: /: 'GET / HTTP/1.1\r\nA:' is no method");
  EXPECT_EQ(refusal({.target = "/a b"}), "GET /a b: request target '/a b' is not escaped");
  EXPECT_EQ(refusal({}, "a\r\nB: c"), "GET /: header Host holds a line break");
  HttpRequest broken;
  broken.headers.add("A", "b\nC: d");
  EXPECT_EQ(refusal(broken), "GET /: header A holds a line break");
  EXPECT_EQ(refusal({}), "it was sent");
  EXPECT_EQ(bench.handled, 1);
}

TEST_CASE("a request without its end is refused at the time limit") {
  Bench bench(HttpServerOptions{.head_timeout_ms = 20});
  auto body = [](Bench& b) -> Task<void> {
    Result<std::unique_ptr<Stream>> stream = co_await b.network.connect(b.server->local(), 5000);
    REQUIRE(stream);
    (void)co_await (*stream)->write("GET / HTTP/1.1\r\nHos");
    char chunk[64];
    Result<size_t> n = co_await (*stream)->read(chunk);
    REQUIRE(n);
    EXPECT_EQ(std::string_view(chunk, 21), "HTTP/1.1 408 Request ");
  };
  bench.run(body(bench));
}

TEST_CASE("queries and escapes") {
  const auto fields = parse_query("a=1&b=%2Fx+y&c");
  REQUIRE(fields.size() == 3);
  EXPECT_EQ(fields[1].second, "/x y");
  EXPECT_EQ(fields[2].first, "c");
  EXPECT_EQ(percent_encode("a/b c~"), "a%2Fb%20c~");
  EXPECT_EQ(percent_decode("a%2Fb%zz%", false), "a/b%zz%");
}

}  // namespace sluice
