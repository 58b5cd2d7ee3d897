#include "core/uv_network.h"

#include <filesystem>
#include <string>

#include "core/scope.h"
#include "test/test.h"

namespace sluice {

namespace {

/// Reads to the end of the stream.
Task<std::string> read_all(Stream& stream) {
  std::string all;
  char chunk[4096];
  for (;;) {
    Result<size_t> n = co_await stream.read(chunk);
    if (!n || *n == 0) co_return all;
    all.append(chunk, *n);
  }
}

Task<void> echo_once(Listener& listener) {
  Result<std::unique_ptr<Stream>> stream = co_await listener.accept();
  REQUIRE(stream);
  const std::string all = co_await read_all(**stream);
  EXPECT((co_await (*stream)->write(all)).has_value());
}

Task<void> send_and_check(UvLoop& loop, Network& network, Address to, std::string payload) {
  Result<std::unique_ptr<Stream>> stream = co_await network.connect(to, 5000);
  REQUIRE(stream);
  EXPECT((co_await (*stream)->write(payload)).has_value());
  EXPECT((*stream)->shutdown_write().has_value());
  const std::string back = co_await read_all(**stream);
  EXPECT_EQ(back.size(), payload.size());
  EXPECT((back == payload));
  loop.stop();
}

std::string folder() {
  std::string name = (std::filesystem::temp_directory_path() / "sluice-XXXXXX").string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  return name;
}

void round_trip(const Address& at) {
  UvLoop loop;
  UvNetwork network(loop);
  Result<std::unique_ptr<Listener>> listener = network.listen(at);
  REQUIRE(listener);
  Scope scope(loop);
  // More than any socket buffer, so that the write must wait for the reader.
  std::string payload(8 << 20, 'x');
  for (size_t i = 0; i < payload.size(); i += 997) payload[i] = static_cast<char>(i);
  scope.spawn(echo_once(**listener));
  scope.spawn(send_and_check(loop, network, (*listener)->local(), payload));
  loop.run();
}

}  // namespace

TEST_CASE("8 MiB go there and back over TCP") {
  round_trip(Address{.ip = "127.0.0.1"});
}

TEST_CASE("8 MiB go there and back over a Unix socket, and a stale file is replaced") {
  const std::string dir = folder();
  round_trip(Address{.path = dir + "/s"});
  round_trip(Address{.path = dir + "/s"});
  std::filesystem::remove_all(dir);
}

TEST_CASE("a refused connection names the address, and a port in use is a conflict") {
  UvLoop loop;
  UvNetwork network(loop);
  Result<std::unique_ptr<Listener>> listener = network.listen(Address{.ip = "127.0.0.1"});
  REQUIRE(listener);
  const Address taken = (*listener)->local();
  Result<std::unique_ptr<Listener>> second = network.listen(taken);
  REQUIRE(!second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_EQ(second.error().message, "listen " + to_string(taken) + ": Address already in use");
  listener->reset();
  Scope scope(loop);
  auto body = [&]() -> Task<void> {
    Result<std::unique_ptr<Stream>> stream = co_await network.connect(taken, 5000);
    REQUIRE(!stream);
    EXPECT_EQ(stream.error().code, Code::kUnavailable);
    EXPECT_EQ(stream.error().message, "connect " + to_string(taken) + ": Connection refused");
    loop.stop();
  };
  scope.spawn(body());
  loop.run();
}

TEST_CASE("a task cancelled in read, write, accept and connect leaves nothing behind") {
  UvLoop loop;
  UvNetwork network(loop);
  Result<std::unique_ptr<Listener>> listener = network.listen(Address{.ip = "127.0.0.1"});
  REQUIRE(listener);
  {
    Scope scope(loop);
    auto server = [&]() -> Task<void> {
      Result<std::unique_ptr<Stream>> first = co_await (*listener)->accept();
      Result<std::unique_ptr<Stream>> second = co_await (*listener)->accept();
      (void)co_await (*listener)->accept();
    };
    auto reader = [&]() -> Task<void> {
      Result<std::unique_ptr<Stream>> stream = co_await network.connect((*listener)->local(), 5000);
      REQUIRE(stream);
      char chunk[16];
      (void)co_await (*stream)->read(chunk);
    };
    auto writer = [&]() -> Task<void> {
      Result<std::unique_ptr<Stream>> stream = co_await network.connect((*listener)->local(), 5000);
      REQUIRE(stream);
      (void)co_await (*stream)->write(std::string(64 << 20, 'x'));
    };
    scope.spawn(server());
    scope.spawn(reader());
    scope.spawn(writer());
    loop.post_after(50, [&] { loop.stop(); });
    loop.run();
    EXPECT_EQ(scope.running(), 3u);
  }
}

TEST_CASE("addresses are read and printed") {
  EXPECT_EQ(to_string(*parse_address("[::1]:80")), "[::1]:80");
  EXPECT_EQ(to_string(*parse_address(":80")), "0.0.0.0:80");
  EXPECT_EQ(to_string(*parse_address("unix:///a/b")), "unix:///a/b");
  EXPECT_EQ(parse_address("1.2.3.4:65536").error().message,
            "address '1.2.3.4:65536': the port must be a number from 0 to 65535");
  EXPECT(!parse_address("localhost:80"));
  EXPECT(!parse_address("127.0.0.1"));
}

TEST_CASE("datagrams: there and back, an empty one too, and longer ones are passed over") {
  UvLoop loop;
  UvNetwork network(loop);
  for (const char* ip : {"127.0.0.1", "::1"}) {
    CAPTURE(ip);
    std::unique_ptr<Datagrams> server = *network.open_datagrams(Address{.ip = ip});
    std::unique_ptr<Datagrams> client = *network.open_datagrams(Address{.ip = ip});
    EXPECT(server->local().port != 0);
    EXPECT(network.open_datagrams(server->local()).error().message.find("in use") !=
           std::string::npos);
    std::vector<std::string> got;
    const auto echo = [](Datagrams& at) -> Task<void> {
      for (;;) {
        const Result<Datagram> one = co_await at.receive(10);
        REQUIRE(one);
        EXPECT(at.send(one->bytes + "!", one->from).has_value());
      }
    };
    const auto ask = [](UvLoop& on, Datagrams& from, Address to,
                        std::vector<std::string>& all) -> Task<void> {
      for (const std::string& text : {std::string("a"), std::string(11, 'x'), std::string()}) {
        EXPECT(from.send(text, to).has_value());
        if (text.size() > 10) continue;
        const Result<Datagram> back = co_await from.receive(100);
        REQUIRE(back);
        EXPECT_EQ(back->from.port, to.port);
        all.push_back(back->bytes);
      }
      on.stop();
    };
    Scope scope(loop);
    scope.spawn(echo(*server));
    scope.spawn(ask(loop, *client, server->local(), got));
    loop.run();
    EXPECT_EQ(got, std::vector<std::string>{"a!", "!"});
  }
  EXPECT_EQ(network.open_datagrams(Address{.ip = "here"}).error().code, Code::kInvalid);
}

}  // namespace sluice
