// TLS at both ends of the data plane: the same exchanges as over plain connections, and what only
// TLS has.
#include <future>
#include <string>
#include <thread>

#include "test/core/tls/material.h"
#include "test/proxy/tls_wire.h"
#include "test/proxy/wire.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

EndpointKey plain(const Upstream& upstream) {
  return {.destination = {.host = "127.0.0.1", .port = upstream.address().port()}};
}

EndpointKey sealed(const Upstream& upstream, const std::string& name = "a.test") {
  return {.destination = {.scheme = Scheme::kHttps,
                          .host = "127.0.0.1",
                          .port = upstream.address().port()},
          .server_name = name};
}

Fixture::Tls setting(std::vector<EndpointKey> endpoints) {
  return {std::move(endpoints), any_server_context(), any_client_context()};
}

std::string pattern(size_t size) {
  std::string text(size, 0);
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr const char* kEmptyAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
constexpr const char* kPassedOn = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 sluice\r\n\r\n";

}  // namespace

TEST_CASE("a TLS client's requests reach a plain upstream, which is told") {
  Upstream upstream;
  Fixture fixture(setting({plain(upstream)}));
  TlsWire client = TlsWire::connect(fixture.connect_tls(), "a.test");
  client.send(std::string(kGet) + kGet);
  Wire server = upstream.accept();
  for (int i = 0; i < 2; ++i) {
    const std::string head = server.read_head();
    EXPECT(head.find("X-Forwarded-Proto: https\r\n") != std::string::npos);
    EXPECT(head.find("; proto=https") != std::string::npos);
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_EQ(client.read_head(),
              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.1 sluice\r\n\r\n");
    EXPECT_EQ(client.read(2), "hi");
  }
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  server.read_head();
  server.send(kEmptyAnswer);
  bool clean = false;
  client.read_to_end(&clean);
  EXPECT(clean);
}

TEST_CASE("a TLS upstream's connection is kept, and the next one resumes its session") {
  Upstream upstream;
  Fixture fixture(setting({sealed(upstream)}));
  Wire client = fixture.connect();
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    client.send(kGet);
    TlsWire server = TlsWire::accept(upstream.accept());
    for (int i = 0; i < 3; ++i) {
      if (i > 0) client.send(kGet);
      EXPECT_EQ(server.read_head().substr(0, 5), "GET /");
      server.send(kEmptyAnswer);
      EXPECT_EQ(client.read_head(), kPassedOn);
      EXPECT(!upstream.waits(0));
    }
    EXPECT_EQ(server.session().resumed(), round > 0);
    server.close();
  }
}

TEST_CASE("a TLS upstream that says what nobody asked for is not asked again") {
  Upstream upstream;
  Fixture fixture(setting({sealed(upstream)}));
  Wire client = fixture.connect();
  client.send(kGet);
  TlsWire server = TlsWire::accept(upstream.accept());
  server.read_head();
  server.send(kEmptyAnswer);
  EXPECT_EQ(client.read_head(), kPassedOn);
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: poison\r\n\r\n");
  EXPECT_EQ(server.read_to_end(), "");
  client.send(kGet);
  TlsWire next = TlsWire::accept(upstream.accept());
  next.read_head();
  next.send(kEmptyAnswer);
  EXPECT_EQ(client.read_head(), kPassedOn);
}

namespace {

// With TLS on the one side, the other, both: nothing may go around the session.
template <class Client, class Accept>
void exchange_large(Client client, Upstream& upstream, Accept accept, Fixture& fixture) {
  const std::string large = pattern(6'000'000);
  std::thread sender([&] {
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 6000000\r\n\r\n");
    client.send(large);
  });
  auto server = accept(upstream.accept());
  EXPECT(server.read_head().starts_with("PUT /"));
  EXPECT(server.read(large.size()) == large);
  sender.join();
  std::thread answerer([&] {
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n");
    server.send(large);
  });
  EXPECT_EQ(client.read_head(),
            "HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\nVia: 1.1 sluice\r\n\r\n");
  EXPECT(client.read(large.size()) == large);
  answerer.join();
  // The client may have its last byte before the reactor has counted.
  for (int i = 0; i < 10'000 && fixture.endpoint(0).outstanding() != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(fixture.endpoint(0).outstanding(), 0u);
}

}  // namespace

TEST_CASE("large bodies pass both ways, whichever side has TLS") {
  Upstream upstream;
  const auto as_tls = [](Wire wire) { return TlsWire::accept(std::move(wire)); };
  const auto as_plain = [](Wire wire) { return wire; };
  Fixture to_tls(setting({sealed(upstream)}));
  exchange_large(TlsWire::connect(to_tls.connect_tls(), "a.test"), upstream, as_tls, to_tls);
  exchange_large(to_tls.connect(), upstream, as_tls, to_tls);
  Fixture to_plain(setting({plain(upstream)}));
  exchange_large(TlsWire::connect(to_plain.connect_tls(), "a.test"), upstream, as_plain, to_plain);
}

TEST_CASE("a body that ends at the close ends with close_notify, and is cut off without") {
  Upstream upstream;
  Fixture fixture(setting({sealed(upstream)}));
  for (const bool orderly : {true, false}) {
    CAPTURE(orderly);
    TlsWire client = TlsWire::connect(fixture.connect_tls(), "a.test");
    client.send(kGet);
    TlsWire server = TlsWire::accept(upstream.accept());
    server.read_head();
    server.send("HTTP/1.0 200 OK\r\n\r\nall of it");
    EXPECT_EQ(client.read_head(),
              "HTTP/1.1 200 OK\r\nVia: 1.0 sluice\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(client.read(9), "all of it");
    if (orderly) {
      server.close();
    } else {
      server.cut();
    }
    bool clean = false;
    EXPECT_EQ(client.read_to_end(&clean), "");
    EXPECT_EQ(clean, orderly);
  }
}

TEST_CASE("an upstream that is not who it should be is passed over; when all are, 502") {
  Upstream impostor;
  Upstream upstream;
  {
    Fixture fixture(setting({sealed(impostor, "b.test"), sealed(upstream)}));
    Wire client = fixture.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
    TlsWire wrong = TlsWire::accept(impostor.accept());
    EXPECT_EQ(wrong.read_to_end(), "");  // not one byte of the request
    TlsWire server = TlsWire::accept(upstream.accept());
    EXPECT(server.read_head().starts_with("POST /"));
    EXPECT_EQ(server.read(2), "ab");
    server.send(kEmptyAnswer);
    EXPECT_EQ(client.read_head(), kPassedOn);
    std::promise<uint64_t> failures;
    fixture.proxy().read_stats(
        [&](const ProxyStats& stats) { failures.set_value(stats.counters.tls_failures); });
    EXPECT_EQ(failures.get_future().get(), 1u);
  }
  Fixture fixture(setting({sealed(impostor, "b.test")}));
  Wire client = fixture.connect();
  client.send(kGet);
  for (int i = 0; i < 3; ++i) {
    Wire raw = impostor.accept(i == 0 ? 5'000 : 200);
    if (!raw.open()) break;
    TlsWire::accept(std::move(raw)).shake();
  }
  EXPECT_EQ(client.read_head().substr(0, 24), "HTTP/1.1 502 Bad Gateway");
}

TEST_CASE("new certificates are shown to new connections; those that are open go on") {
  Upstream upstream;
  Fixture fixture(setting({plain(upstream)}));
  TlsWire before = TlsWire::connect(fixture.connect_tls(), "a.test");
  before.send(kGet);
  Wire server = upstream.accept();
  server.read_head();
  tls::Keyring keyring(0);
  const std::vector<std::shared_ptr<const tls::Certificate>> other{
      tls::test::any_authority().issue({.names = {"other.test"}}).load()};
  auto context = tls::ServerContext::make({}, std::make_shared<const tls::CertificateSet>(other),
                                          nullptr, keyring);
  REQUIRE(context);
  fixture.proxy().set_tls(2, *context);
  TlsWire after = TlsWire::connect(fixture.connect_tls(), "other.test");
  EXPECT(after.shake());
  EXPECT(!TlsWire::connect(fixture.connect_tls(), "a.test").shake());
  server.send(kEmptyAnswer);
  EXPECT_EQ(before.read_head(), kPassedOn);
  before.send(kGet);
  server.read_head();
  server.send(kEmptyAnswer);
  EXPECT_EQ(before.read_head(), kPassedOn);
}

TEST_CASE("a handshake has a limit of its own") {
  WorkerOptions options;
  options.timeouts.handshake_ms = 200;
  options.timeouts.head_ms = 60'000;
  Upstream upstream;
  Fixture fixture(setting({plain(upstream)}), options);
  Wire client = fixture.connect_tls();
  client.send("\x16\x03\x01");
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_CASE("HTTP where TLS is spoken is told so in HTTP; anything else gets an alert at most") {
  Upstream upstream;
  Fixture fixture(setting({plain(upstream)}));
  Wire client = fixture.connect_tls();
  client.send(kGet);
  bool reset = true;
  const std::string answer = client.read_to_end(&reset);
  EXPECT(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT(
      answer.ends_with("\r\nContent-Length: 42\r\nConnection: close\r\n\r\n"
                       "400 Bad Request: HTTP was sent, not HTTPS\n"));
  EXPECT(!reset);
  Wire other = fixture.connect_tls();
  other.send("HELO a.test\r\n");
  EXPECT(other.read_to_end().size() < 16);
  EXPECT(!upstream.waits(0));
}

TEST_CASE("an upstream that never shakes hands is 504 after the handshake's limit") {
  WorkerOptions options;
  options.timeouts.handshake_ms = 200;
  Upstream upstream;
  Fixture fixture(setting({sealed(upstream)}), options);
  Wire client = fixture.connect();
  client.send(kGet);
  std::vector<Wire> silent;
  for (int i = 0; i < 3; ++i) silent.push_back(upstream.accept(i == 0 ? 5'000 : 500));
  EXPECT_EQ(client.read_head().substr(0, 12), "HTTP/1.1 50" + std::string("4"));
}

TEST_CASE("a client that has ended its direction still gets its answer") {
  Upstream upstream;
  Fixture fixture(setting({plain(upstream)}));
  TlsWire client = TlsWire::connect(fixture.connect_tls(), "a.test");
  client.send(kGet);
  client.end();
  Wire server = upstream.accept();
  server.read_head();
  server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  bool clean = false;
  const std::string got = client.read_to_end(&clean);
  EXPECT(got.ends_with("\r\n\r\nhi"));
  EXPECT(clean);
}

TEST_CASE("RSA signatures made elsewhere: many at once, clients that do not wait, a full queue") {
  Upstream upstream;
  tls::Keyring keyring(0);
  const std::vector<std::shared_ptr<const tls::Certificate>> rsa{
      tls::test::any_authority().issue({.names = {"a.test"}, .rsa = true}).load()};
  for (const uint16_t version : {0x0303, 0x0304}) {
    CAPTURE(version);
    auto context = tls::ServerContext::make({.min_version = version, .max_version = version},
                                            std::make_shared<const tls::CertificateSet>(rsa),
                                            nullptr, keyring);
    REQUIRE(context);
    Fixture::Tls tls = setting({plain(upstream)});
    tls.server = *context;
    tls.signers = 1;
    Fixture fixture(tls);
    // More hellos than the queue holds, before any answer is read; every third client leaves.
    std::vector<TlsWire> clients;
    for (size_t i = 0; i < 3 * tls::Signer::kQueued; ++i) {
      clients.push_back(TlsWire::connect(fixture.connect_tls(), "a.test"));
      clients.back().say_hello();
      if (i % 3 == 0) clients.back().cut();
    }
    for (size_t i = 0; i < clients.size(); ++i) {
      if (i % 3 == 0) continue;
      CAPTURE(i);
      EXPECT(clients[i].shake());
      EXPECT_EQ(clients[i].session().version(), version);
    }
  }
}

TEST_CASE("an upgraded connection is a tunnel between TLS and TLS, with its ends") {
  Upstream upstream;
  Fixture fixture(setting({sealed(upstream)}));
  TlsWire client = TlsWire::connect(fixture.connect_tls(), "a.test");
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: w\r\n\r\nearly");
  TlsWire server = TlsWire::accept(upstream.accept());
  EXPECT(server.read_head().find("Upgrade: w\r\n") != std::string::npos);
  server.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: w\r\n\r\nfirst");
  EXPECT(client.read_head().starts_with("HTTP/1.1 101"));
  EXPECT_EQ(client.read(5), "first");
  EXPECT_EQ(server.read(5), "early");
  const std::string large = pattern(3'000'000);
  std::thread sender([&] {
    client.send(large);
    client.end();
  });
  bool clean = false;
  EXPECT(server.read_to_end(&clean) == large);
  EXPECT(clean);
  sender.join();
  std::thread answerer([&] {
    server.send(large);
    server.close();
  });
  EXPECT(client.read_to_end(&clean) == large);
  EXPECT(clean);
  answerer.join();
}

TEST_CASE("a tcp listener ends TLS before a plain upstream, whoever speaks first") {
  Upstream upstream;
  Fixture::Tls tls = setting({plain(upstream)});
  tls.protocol = ListenProtocol::kTcp;
  Fixture fixture(tls);
  const std::string large = pattern(3'000'000);
  TlsWire client = TlsWire::connect(fixture.connect_tls(), "a.test");
  Wire server = upstream.accept();
  server.send("220 hello\r\n");
  EXPECT_EQ(client.read(11), "220 hello\r\n");
  std::thread sender([&] {
    client.send(large);
    client.end();
  });
  bool flag = true;
  EXPECT(server.read_to_end(&flag) == large);
  EXPECT(!flag);
  sender.join();
  std::thread answerer([&] {
    server.send(large);
    server.close();
  });
  EXPECT(client.read_to_end(&flag) == large);
  EXPECT(flag);
  answerer.join();
  // A client that is gone without its close_notify may have had more to say.
  TlsWire cut = TlsWire::connect(fixture.connect_tls(), "a.test");
  cut.send("half of it");
  Wire other = upstream.accept();
  EXPECT_EQ(other.read(10), "half of it");
  cut.cut();
  other.read_to_end(&flag);
  EXPECT(flag);
}

TEST_CASE("a tcp listener's handshake has a limit") {
  WorkerOptions options;
  options.timeouts.handshake_ms = 200;
  Upstream upstream;
  Fixture::Tls tls = setting({plain(upstream)});
  tls.protocol = ListenProtocol::kTcp;
  Fixture fixture(tls, options);
  Wire client = fixture.connect_tls();
  Wire server = upstream.accept();
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_EQ(server.read_to_end(), "");
}

TEST_CASE("https+tcp+sni passes on what leads to tcp, and ends TLS for the rest") {
  Upstream upstream;
  EndpointKey raw = plain(upstream);
  raw.destination.scheme = Scheme::kTcp;
  for (const bool passed : {true, false}) {
    CAPTURE(passed);
    Fixture::Tls tls = setting({passed ? raw : plain(upstream)});
    tls.protocol = ListenProtocol::kHttpsTcpSni;
    Fixture fixture(tls);
    TlsWire client = TlsWire::connect(fixture.connect_tls(), "a.test");
    std::thread sender([&] { client.send(kGet); });  // shakes hands with whoever is there
    Wire raw_server = upstream.accept();
    if (passed) {
      TlsWire server = TlsWire::accept(std::move(raw_server));
      EXPECT_EQ(server.read_head(), std::string(kGet));
      server.send(kEmptyAnswer);
    } else {
      EXPECT(raw_server.read_head().find("X-Forwarded-Proto: https\r\n") != std::string::npos);
      raw_server.send(kEmptyAnswer);
    }
    sender.join();
    EXPECT_EQ(client.read_head(), std::string(passed ? kEmptyAnswer : kPassedOn));
    EXPECT_EQ(fixture.last_stream().server_name, "a.test");
  }
}

TEST_CASE("a PROXY header stands in front of the handshake, in one piece with it or not") {
  Upstream upstream;
  Fixture::Tls tls = setting({plain(upstream)});
  tls.proxy_protocol = true;
  for (const ListenProtocol protocol : {ListenProtocol::kHttps, ListenProtocol::kHttpsTcpSni}) {
    tls.protocol = protocol;
    Fixture fixture(tls);
    Wire raw = fixture.connect_tls();
    raw.send("PROXY TCP4 192.0.2.7 192.0.2.8 1111 443\r\n");
    TlsWire client = TlsWire::connect(std::move(raw), "a.test");
    client.send(kGet);
    Wire server = upstream.accept();
    EXPECT(server.read_head().find("X-Real-Ip: 192.0.2.7\r\n") != std::string::npos);
    server.send(kEmptyAnswer);
    EXPECT_EQ(client.read_head(), kPassedOn);
  }
}

}  // namespace sluice::proxy::test
