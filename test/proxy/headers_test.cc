#include "proxy/headers.h"

#include <memory>
#include <string>

#include "proxy/address_ranges.h"
#include "proxy/redirect.h"
#include "test/test.h"

namespace sluice::proxy {
namespace {

/// What reaches the upstream of a request.
std::string sent(const std::string& request, const ClientFacts& client, const HeaderPolicy& policy,
                 RequestEdit edit = {.path = "/"}) {
  http1::HeadReader reader;
  auto head = std::make_unique<http1::Head>();
  REQUIRE(reader.read_request(request, {}, *head).state == http1::ReadState::kDone);
  std::string room(request.size() + kAddedHeadBytes + room_for(policy), '\0');
  HeadWriter out(room.data(), room.size());
  REQUIRE(write_request_head(out, *head, edit, client, policy));
  room.resize(out.size());
  return room;
}

std::string answered(const std::string& response, const ResponseEdit& edit,
                     http1::Method method = http1::Method::kGet) {
  http1::HeadReader reader;
  auto head = std::make_unique<http1::Head>();
  REQUIRE(reader.read_response(response, {}, method, *head).state == http1::ReadState::kDone);
  std::string room(response.size() + kAddedHeadBytes, '\0');
  HeadWriter out(room.data(), room.size());
  REQUIRE(write_response_head(out, *head, edit));
  room.resize(out.size());
  return room;
}

ClientFacts plain() {
  ClientFacts client;
  client.peer = *SocketAddress::make("10.1.2.3", 4567);
  client.listener_port = 9999;
  return client;
}

const std::string kGet = "GET / HTTP/1.1\r\nHost: mysite.com:8443\r\n";

}  // namespace

TEST_CASE("the headers of a plain request, and the port that the client named") {
  EXPECT_EQ(sent(kGet + "\r\n", plain(), {}),
            kGet +
                "X-Forwarded-For: 10.1.2.3\r\nX-Real-Ip: 10.1.2.3\r\nX-Forwarded-Proto: http\r\n"
                "X-Forwarded-Port: 8443\r\nX-Forwarded-Host: mysite.com:8443\r\n"
                "Forwarded: for=10.1.2.3; proto=http; httpproto=http/1.1\r\n"
                "Via: 1.1 sluice\r\n\r\n");
  // A stripped prefix, another Host.
  const std::string got = sent(kGet + "X-Forwarded-Prefix: /evil\r\n\r\n", plain(), {},
                               {.path = "/x?y", .host = "in.local", .stripped_prefix = "/app"});
  EXPECT_EQ(got.substr(0, 39), "GET /x?y HTTP/1.1\r\nHost: in.local\r\nX-Fo");
  EXPECT(got.find("X-Forwarded-Host: mysite.com:8443\r\nX-Forwarded-Prefix: /app\r\n") !=
         std::string::npos);
}

TEST_CASE("over TLS: https, 443, version and cipher; an IPv6 peer is quoted, by= as well") {
  ClientFacts client = plain();
  client.peer = *SocketAddress::make("2001:db8::1", 4567);
  client.tls = true;
  client.tls_version = 0x0304;
  client.tls_cipher = 0x1301;
  const std::string request = "GET / HTTP/1.0\r\n\r\n";
  EXPECT_EQ(
      sent(request, client, {.local_ip = "2001:db8::2"}),
      "GET / HTTP/1.1\r\nHost: \r\nX-Forwarded-For: 2001:db8::1\r\nX-Real-Ip: 2001:db8::1\r\n"
      "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nForwarded: for=\"[2001:db8::1]\"; "
      "proto=https; by=\"[2001:db8::2]\"; httpproto=http/1.0; tlsver=tls13; tlscipher=0x1301\r\n"
      "Via: 1.0 sluice\r\n\r\n");
  client.tls_version = 0x0301;
  client.tls_cipher = 0xc02f;
  EXPECT(sent(request, client, {}).find("; tlsver=tls10; tlscipher=0xc02f\r\n") !=
         std::string::npos);
  client.tls_version = 0x0399;
  EXPECT(sent(request, client, {}).find("; tlsver=0x0399; ") != std::string::npos);
}

TEST_CASE("a websocket: Forwarded says ws or wss, X-Forwarded-Proto the scheme under it") {
  const std::string request =
      kGet + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
  ClientFacts client = plain();
  std::string got = sent(request, client, {});
  EXPECT(got.find("X-Forwarded-Proto: http\r\n") != std::string::npos);
  EXPECT(got.find("; proto=ws; ") != std::string::npos);
  EXPECT(got.find("Sec-WebSocket-Version: 13\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n") !=
         std::string::npos);
  client.tls = true;
  got = sent(request, client, {});
  EXPECT(got.find("X-Forwarded-Proto: https\r\n") != std::string::npos);
  EXPECT(got.find("; proto=wss; ") != std::string::npos);
}

TEST_CASE("an upgrade to anything else is passed on, and Forwarded says http") {
  const std::string got = sent(kGet + "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n", plain(), {});
  EXPECT(got.find("Connection: Upgrade\r\nUpgrade: tcp\r\n") != std::string::npos);
  EXPECT(got.find("; proto=http; ") != std::string::npos);
}

TEST_CASE("the headers that flags name are ours alone") {
  const HeaderPolicy policy{.client_ip = "X-Client-Ip",
                            .tls_name = "X-Tls",
                            .tls_value = "yes",
                            .request_id = "X-Request-Id"};
  const std::string claims =
      "x-client-ip: 1.1.1.1\r\nX_Client_Ip: 1.1.1.1\r\nX-TLS: yes\r\nX-Request-ID: mine\r\n";
  ClientFacts client = plain();
  client.trusted = true;  // for these makes no difference
  std::string got =
      sent(kGet + claims + "A: b\r\n\r\n", client, policy, {.path = "/", .request_id = "id-1"});
  EXPECT_EQ(got.substr(0, kGet.size() + 6), kGet + "A: b\r\n");
  EXPECT(
      got.ends_with("httpproto=http/1.1\r\nX-Client-Ip: 10.1.2.3\r\nX-Request-Id: id-1\r\nVia: 1.1 "
                    "sluice\r\n\r\n"));
  client.tls = true;
  got = sent(kGet + claims + "\r\n", client, policy, {.path = "/", .request_id = "id-2"});
  EXPECT(
      got.ends_with("\r\nX-Client-Ip: 10.1.2.3\r\nX-Tls: yes\r\nX-Request-Id: id-2\r\n"
                    "Via: 1.1 sluice\r\n\r\n"));
}

TEST_CASE("a believed peer: its words stay, our element comes behind them") {
  ClientFacts client = plain();
  client.trusted = true;
  const std::string got = sent(
      kGet +
          "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Real-Ip: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
          "X-Forwarded-Port: 443\r\nX-Forwarded-Host: outer\r\nX-Forwarded-Prefix: /o\r\n"
          "Forwarded: for=1.1.1.1\r\nForwarded: for=2.2.2.2\r\nVia: 1.1 a\r\n"
          "Connection: x-forwarded-for, via, forwarded\r\n\r\n",
      client, {});
  EXPECT_EQ(got, kGet +
                     "Via: 1.1 a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 10.1.2.3\r\n"
                     "X-Real-Ip: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n"
                     "X-Forwarded-Host: outer\r\nX-Forwarded-Prefix: /o\r\n"
                     "Forwarded: for=1.1.1.1, for=2.2.2.2, for=10.1.2.3; proto=http; "
                     "httpproto=http/1.1\r\nVia: 1.1 sluice\r\n\r\n");
}

TEST_CASE("Connection takes no claim of a believed peer back: the same goes on, and is acted on") {
  ClientFacts client = plain();
  client.trusted = true;
  for (const std::string claim :
       {"X-Forwarded-Proto: https\r\n", "Forwarded: for=1.1.1.1;proto=https\r\n"}) {
    for (const std::string named : {"X-Forwarded-Proto, Forwarded", "forwarded", "Host"}) {
      CAPTURE(claim + named);
      const std::string request = kGet + claim + "Connection: " + named + "\r\n\r\n";
      EXPECT(sent(request, client, {}).find("\r\nX-Forwarded-Proto: https\r\n") !=
             std::string::npos);
      http1::HeadReader reader;
      const auto head = std::make_unique<http1::Head>();
      REQUIRE(reader.read_request(request, {}, *head).state == http1::ReadState::kDone);
      EXPECT(asked_for_https(*head, client));
    }
  }
}

TEST_CASE("a believed peer that says Forwarded alone: X-Forwarded-Proto is its proto") {
  ClientFacts client = plain();
  const std::string request = kGet + "Forwarded: for=1.1.1.1; proto=https\r\n\r\n";
  EXPECT(sent(request, client, {}).find("X-Forwarded-Proto: http\r\n") != std::string::npos);
  client.trusted = true;
  EXPECT(sent(request, client, {}).find("X-Forwarded-Proto: https\r\n") != std::string::npos);
  EXPECT(sent(kGet + "Forwarded: for=1.1.1.1\r\n\r\n", client, {})
             .find("X-Forwarded-Proto: http\r\n") != std::string::npos);
}

TEST_CASE("a response: hop by hop headers go, HSTS in place of the upstream's, Via behind") {
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nConnection: a\r\nA: 1\r\nKeep-Alive: timeout=5\r\n"
                     "Proxy-Connection: x\r\nTE: x\r\nUpgrade: h2\r\nB: 2\r\nContent-Length: 0\r\n"
                     "Strict-Transport-Security: max-age=1\r\nVia: 1.1 in\r\n\r\n",
                     {.sts = "max-age=31536000; includeSubdomains; preload"}),
            "HTTP/1.1 200 OK\r\nB: 2\r\nContent-Length: 0\r\nVia: 1.1 in\r\n"
            "Strict-Transport-Security: max-age=31536000; includeSubdomains; preload\r\n"
            "Via: 1.1 sluice\r\n\r\n");
  EXPECT_EQ(
      answered("HTTP/1.0 200 OK\r\nStrict-Transport-Security: max-age=1\r\n\r\n", {.close = true}),
      "HTTP/1.1 200 OK\r\nStrict-Transport-Security: max-age=1\r\nVia: 1.0 sluice\r\n"
      "Connection: close\r\n\r\n");
  EXPECT_EQ(answered("HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 1\r\n\r\n", {}),
            "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
}

TEST_CASE("trusted peers: words and ranges, and a bad one by its name") {
  const auto trusts = [](const char* list, const char* ip) {
    const auto ranges = parse_trusted(list);
    REQUIRE(ranges.has_value());
    return contains(*ranges, *SocketAddress::make(ip, 1));
  };
  for (const char* ip : {"127.0.0.1", "10.0.0.1", "172.31.0.1", "192.168.1.1", "169.254.1.1", "::1",
                         "fd00::1", "fe80::1", "::ffff:10.0.0.1"}) {
    CAPTURE(ip);
    EXPECT(trusts("private", ip));
    EXPECT(trusts("all", ip));
    EXPECT(!trusts("none", ip));
    EXPECT(!trusts("", ip));
  }
  for (const char* ip : {"8.8.8.8", "172.32.0.1", "11.0.0.1", "2001:db8::1", "::ffff:8.8.8.8"}) {
    CAPTURE(ip);
    EXPECT(!trusts("private", ip));
    EXPECT(trusts("8.0.0.0/8, 172.32.0.1,11.0.0.0/30,2001:db8::/32", ip));
  }
  const auto bad = parse_trusted("10.0.0.0/8, 10.0.0.0/33");
  REQUIRE(!bad.has_value());
  EXPECT(bad.error().message.find("10.0.0.0/33") != std::string::npos);
  EXPECT(!parse_trusted("localhost").has_value());
}

}  // namespace sluice::proxy
