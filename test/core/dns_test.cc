#include "core/dns.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "core/scope.h"
#include "test/test.h"

namespace sluice {
namespace {

/// A server that hears questions; it answers what the test makes it answer.
struct Server {
  Server() : fd(::socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }
  ~Server() { ::close(fd); }
  bool hears() const {
    char room[1];
    return ::recv(fd, room, sizeof room, MSG_PEEK | MSG_DONTWAIT) > 0;
  }
  const int fd;
  std::string address;
};

Task<void> ask(DnsLookup& dns, std::string name, std::optional<Result<HostAddresses>>& out,
               UvLoop& loop) {
  out.emplace(co_await dns.look_up(std::move(name)));
  loop.stop();
}

TEST_CASE("a look-up that is not waited for any more is withdrawn, and so are all at the end") {
  const Server server;
  UvLoop loop;
  auto opened = DnsLookup::open(loop, {.servers = server.address});
  REQUIRE(opened.has_value());
  std::optional<Result<HostAddresses>> one;
  std::optional<Result<HostAddresses>> two;
  {
    Scope scope(loop);
    scope.spawn(ask(**opened, "one.test.", one, loop));
    scope.spawn(ask(**opened, "two.test.", two, loop));
    while (!server.hears()) {
      loop.post_after(1, [&loop] { loop.stop(); });
      loop.run();
    }
  }
  // The tasks are gone; what they asked is still under way.
  loop.post_after(10, [&loop] { loop.stop(); });
  loop.run();
  opened->reset();
  EXPECT(!one.has_value());
  EXPECT(!two.has_value());
}

TEST_CASE("a silent server is no server, after the tries that the options allow") {
  const Server server;
  UvLoop loop;
  auto opened = DnsLookup::open(loop, {.servers = server.address, .timeout_ms = 20, .tries = 2});
  REQUIRE(opened.has_value());
  std::optional<Result<HostAddresses>> said;
  Scope scope(loop);
  scope.spawn(ask(**opened, "one.test.", said, loop));
  loop.run();
  REQUIRE(said.has_value());
  REQUIRE(!said->has_value());
  EXPECT(said->error().code == Code::kTimeout);
  EXPECT_EQ(said->error().message, "one.test.: no server answered");
}

TEST_CASE("names that are none are not asked of a server; addresses of servers are checked") {
  const Server server;
  UvLoop loop;
  auto opened = DnsLookup::open(loop, {.servers = server.address});
  REQUIRE(opened.has_value());
  for (const std::string& name :
       {std::string(), std::string("."), std::string("a..b"), std::string(".a"), std::string("a b"),
        std::string("a\0b", 3), std::string("a/b"), std::string(64, 'a'),
        "a." + std::string(252, 'b')}) {
    std::optional<Result<HostAddresses>> said;
    Scope scope(loop);
    scope.spawn(ask(**opened, name, said, loop));
    loop.run();
    REQUIRE(said.has_value());
    REQUIRE(!said->has_value());
    EXPECT(said->error().code == Code::kInvalid);
  }
  EXPECT(!server.hears());
  EXPECT(!DnsLookup::open(loop, {.servers = "not-an-address"}).has_value());
}

}  // namespace
}  // namespace sluice
