#include "core/tls/session.h"

#include "core/check.h"
#include "core/tls/boringssl.h"
#include "test/core/tls/material.h"
#include "test/core/tls/pair.h"
#include "test/test.h"

namespace sluice::tls::test {

namespace {

std::shared_ptr<const ServerContext> server_of(Keyring& keyring, ServerOptions options = {},
                                               std::shared_ptr<const Authorities> clients = nullptr,
                                               const PemPair& pair = any_pair()) {
  const std::vector<std::shared_ptr<const Certificate>> all{pair.load()};
  auto made = ServerContext::make(std::move(options), std::make_shared<const CertificateSet>(all),
                                  std::move(clients), keyring);
  CHECK(made.has_value());
  return *made;
}

std::shared_ptr<const ClientContext> client_of(const Authority& authority = any_authority()) {
  return ClientContext::make(authority.load());
}

const ConnectOptions kKnown{.server_name = "a.test"};

std::string pattern(size_t size) {
  std::string text(size, 0);
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

}  // namespace

TEST_CASE("bytes pass both ways, whole and cut at every byte, by both versions") {
  Keyring keyring(0);
  const std::string up = pattern(3'000);
  const std::string down = pattern(100'000);
  for (const uint16_t version : {0x0303, 0x0304}) {
    const auto server = server_of(keyring, {.min_version = version, .max_version = version});
    for (const size_t piece : {1, 2, 3, 4, 5, 6, 7, 11, 31, 100, 1'000, 16'384, 65'536}) {
      CAPTURE(version);
      CAPTURE(piece);
      Pair pair(server, client_of(), kKnown, piece);
      REQUIRE(pair.shake());
      EXPECT_EQ(pair.server.session->version(), version);
      EXPECT_EQ(pair.client.session->version(), version);
      EXPECT_NE(pair.client.session->cipher(), 0);
      EXPECT_EQ(pair.client.session->cipher(), pair.server.session->cipher());
      pair.send(pair.client, up);
      pair.send(pair.server, down);
      pair.run();
      EXPECT(pair.server.got == up);
      EXPECT(pair.client.got == down);
      EXPECT(pair.server.session->drained());
      pair.server.session->shutdown(pair.server.socket);
      pair.run();
      EXPECT(pair.client.ended);
      EXPECT(!pair.client.failed);
      EXPECT(!pair.server.ended);
    }
  }
}

TEST_CASE("an end without close_notify is an error, and what came before it still counts") {
  Keyring keyring(0);
  Pair pair(server_of(keyring), client_of(), kKnown);
  REQUIRE(pair.shake());
  pair.send(pair.server, "some of it");
  pair.run();
  pair.cut(pair.server);
  pair.run();
  EXPECT_EQ(pair.client.got, "some of it");
  EXPECT(pair.client.failed);
  EXPECT(!pair.client.ended);
  EXPECT_EQ(pair.client.session->error(),
            std::string("the peer's bytes ended without its close_notify"));
}

TEST_CASE("no byte counts as taken before it is with the system") {
  Keyring keyring(0);
  Pair pair(server_of(keyring), client_of(), kKnown);
  REQUIRE(pair.shake());
  // Nobody reads: the socket fills up, in the middle of some record.
  const std::string all = pattern(4'000'000);
  constexpr size_t kOffer = 1'000;
  size_t taken = 0;
  for (size_t put = kOffer; put == kOffer; taken += put) {
    put = pair.server.write(std::string_view(all).substr(taken, kOffer));
    EXPECT_EQ(pair.server.session->drained(), put == kOffer);
  }
  REQUIRE(taken < all.size());
  EXPECT_EQ(pair.server.write(std::string_view(all).substr(taken)), 0u);
  // The end waits behind what waits.
  pair.send(pair.server, std::string_view(all).substr(taken));
  pair.server.session->shutdown(pair.server.socket);
  pair.run();
  EXPECT(pair.client.got == all);
  EXPECT(pair.client.ended);
}

TEST_CASE("a retry may offer fewer bytes than the call before it") {
  Keyring keyring(0);
  Pair pair(server_of(keyring), client_of(), kKnown);
  REQUIRE(pair.shake());
  const std::string all = pattern(4'000'000);
  size_t taken = pair.server.write(all);
  REQUIRE(taken < all.size());
  while (taken < all.size()) {
    pair.run();
    taken += pair.server.write(std::string_view(all).substr(taken, 100'001));
  }
  pair.run();
  EXPECT(pair.client.got == all);
}

TEST_CASE("an upstream's certificate is judged by name, authority and time") {
  Keyring keyring(0);
  const auto server = server_of(keyring);
  const auto refused = [&](const std::shared_ptr<const ServerContext>& context,
                           const std::shared_ptr<const ClientContext>& client,
                           const ConnectOptions& options) {
    Pair pair(context, client, options);
    EXPECT(!pair.shake());
    EXPECT(pair.client.failed);
    EXPECT(pair.server.failed);  // the alert arrives
    return std::string(pair.client.session->error());
  };
  for (const char* name : {"a.test", "A.TEST", "x.b.test", "127.0.0.1"}) {
    CAPTURE(name);
    Pair pair(server, client_of(), {.server_name = name});
    EXPECT(pair.shake());
  }
  EXPECT_EQ(refused(server, client_of(), {.server_name = "b.test"}), "Hostname mismatch");
  EXPECT_EQ(refused(server, client_of(), {.server_name = "x.y.b.test"}), "Hostname mismatch");
  EXPECT_EQ(refused(server, client_of(), {.server_name = "127.0.0.2"}), "IP address mismatch");
  const Authority other;
  EXPECT_EQ(refused(server, client_of(other), kKnown), "unable to get local issuer certificate");
  const PemPair old = any_authority().issue({.names = {"a.test"}, .days = -1});
  const auto expired = server_of(keyring, {}, nullptr, old);
  EXPECT_EQ(refused(expired, client_of(), kKnown), "certificate has expired");
  Pair pair(expired, client_of(other), {.server_name = "b.test", .skip_verify = true});
  EXPECT(pair.shake());
}

TEST_CASE(
    "a session resumes by its ticket: in another context, by an older key, never by a lost one") {
  for (const uint16_t version : {0x0303, 0x0304}) {
    CAPTURE(version);
    Keyring keyring(0);
    const ServerOptions options{.min_version = version, .max_version = version};
    const auto client = client_of();
    const auto visit = [&](const std::shared_ptr<const ServerContext>& server, Ticket& ticket) {
      Pair pair(server, client, {.server_name = "a.test", .ticket = &ticket});
      REQUIRE(pair.shake());
      pair.send(pair.server, "hello");  // with it come the tickets of TLS 1.3
      pair.run();
      EXPECT_EQ(pair.client.got, "hello");
      EXPECT_EQ(pair.client.session->resumed(), pair.server.session->resumed());
      if (Ticket fresh = pair.client.session->take_ticket()) ticket = std::move(fresh);
      return pair.server.session->resumed();
    };
    Ticket ticket;
    const auto first = server_of(keyring, options);
    EXPECT(!visit(first, ticket));
    REQUIRE(ticket);
    EXPECT(visit(first, ticket));
    // A reload makes another context.
    EXPECT(visit(server_of(keyring, options), ticket));
    // A key that is not the newest opens, and the client gets a new ticket.
    keyring.rotate(Keyring::kRotateMs - 1);
    const TicketKey before = keyring.newest();
    keyring.rotate(Keyring::kRotateMs);
    EXPECT(keyring.newest().name != before.name);
    EXPECT(visit(first, ticket));
    for (uint32_t i = 2; i <= Keyring::kKept; ++i) keyring.rotate(i * Keyring::kRotateMs);
    EXPECT(visit(first, ticket));
    for (uint32_t i = 0; i < Keyring::kKept; ++i) keyring.rotate((10 + i) * Keyring::kRotateMs);
    EXPECT(!visit(first, ticket));
    Keyring stranger(0);
    EXPECT(!visit(server_of(stranger, options), ticket));
  }
}

TEST_CASE("a ticket is good for the server name that it was given for, and no other") {
  for (const uint16_t version : {0x0303, 0x0304}) {
    CAPTURE(version);
    Keyring keyring(0);
    const auto server = server_of(keyring, {.min_version = version, .max_version = version});
    const auto client = client_of();
    Ticket ticket;
    const auto visit = [&](const char* name) {
      Pair pair(server, client, {.server_name = name, .skip_verify = true, .ticket = &ticket});
      REQUIRE(pair.shake());
      pair.send(pair.server, "hello");
      pair.run();
      if (Ticket fresh = pair.client.session->take_ticket()) ticket = std::move(fresh);
      return pair.server.session->resumed();
    };
    EXPECT(!visit("a.test"));
    EXPECT(visit("a.test"));
    EXPECT(visit("A.test"));
    EXPECT(!visit("b.test"));
    EXPECT(visit("b.test"));
    EXPECT(!visit(""));
    EXPECT(visit(""));
  }
}

TEST_CASE("a client certificate is asked for, judged, and never got around by a ticket") {
  const Authority clients;
  const Authority strangers;
  const PemPair ours = clients.issue({.names = {"client"}});
  const PemPair theirs = strangers.issue({.names = {"client"}});
  const auto with_pair = [](const PemPair& pair) {
    auto context = client_of();
    const auto certificate = pair.load();
    CRYPTO_BUFFER* chain = certificate->parts().chain[0].get();
    CHECK(SSL_CTX_set_chain_and_key(context->parts().context.get(), &chain, 1,
                                    certificate->parts().key.get(), nullptr) == 1);
    return context;
  };
  for (const uint16_t version : {0x0303, 0x0304}) {
    CAPTURE(version);
    // One keyring for both policies, which Keyrings never gives: the policy alone must keep them
    // apart.
    Keyring keyring(0);
    const ServerOptions options{.min_version = version, .max_version = version};
    const auto open = server_of(keyring, options);
    const auto closed = server_of(keyring, options, clients.load());
    const auto visit = [&](const std::shared_ptr<const ServerContext>& server,
                           const std::shared_ptr<const ClientContext>& client, Ticket& ticket) {
      Pair pair(server, client, {.server_name = "a.test", .ticket = &ticket});
      pair.run();
      const bool good = pair.server.session->established() && !pair.server.failed;
      if (good) pair.send(pair.server, "hello");
      pair.run();
      if (Ticket fresh = pair.client.session->take_ticket()) ticket = std::move(fresh);
      return std::pair(good, good && pair.server.session->resumed());
    };
    Ticket none;
    EXPECT(!visit(closed, client_of(), none).first);
    EXPECT(!visit(closed, with_pair(theirs), none).first);
    Ticket good;
    const auto known = with_pair(ours);
    EXPECT(visit(closed, known, good) == std::pair(true, false));
    REQUIRE(good);
    EXPECT(visit(closed, known, good) == std::pair(true, true));
    Ticket anonymous;
    const auto plain = client_of();
    EXPECT(visit(open, plain, anonymous) == std::pair(true, false));
    EXPECT(visit(open, plain, anonymous) == std::pair(true, true));
    EXPECT(!visit(closed, plain, anonymous).first);
    // Another set of authorities is another policy.
    const auto changed = server_of(keyring, options, strangers.load());
    EXPECT(!visit(changed, known, good).first);
  }
}

TEST_CASE("ciphers are named in three ways; what is not known is refused by its name") {
  Keyring keyring(0);
  const auto certificates = std::make_shared<const CertificateSet>(
      std::vector<std::shared_ptr<const Certificate>>{any_pair().load()});
  const auto reason = [&](ServerOptions options) {
    auto made = ServerContext::make(std::move(options), certificates, nullptr, keyring);
    return made ? std::string() : made.error().message;
  };
  EXPECT_EQ(reason({.ciphers = "0x1234"}), "cipher 0x1234 is not known");
  EXPECT_EQ(reason({.ciphers = "ECDHE-RSA-AES128-GCM-SHA256,NONE"}), "cipher NONE is not known");
  EXPECT_EQ(reason({.ciphers = "TLS_AES_128_GCM_SHA256"}), "no cipher for TLS 1.2");
  EXPECT_EQ(reason({.min_version = 0x0304, .max_version = 0x0303}),
            "the least TLS version is above the greatest");
  EXPECT_EQ(reason({.min_version = 0x0301}), "");
  EXPECT_EQ(reason({.ciphers = "tls_aes_128_gcm_sha256"}), "no cipher for TLS 1.2");
  for (const char* name : {"ECDHE-ECDSA-CHACHA20-POLY1305", "0xcca9", "0XCCA9",
                           "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                           "tls_ecdhe_ecdsa_with_chacha20_poly1305"}) {
    CAPTURE(name);
    Pair pair(server_of(keyring, {.max_version = 0x0303, .ciphers = name}), client_of(), kKnown);
    REQUIRE(pair.shake());
    EXPECT_EQ(pair.client.session->cipher(), 0xcca9);
  }
}

TEST_CASE("ALPN: what both speak is chosen; nothing in common is refused; not asked is no matter") {
  Keyring keyring(0);
  const auto server = server_of(keyring, {.alpn = {"http/1.1"}});
  const auto chosen = [&](std::string_view offer) {
    auto client = client_of();
    SSL_CTX* context = client->parts().context.get();
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const uint8_t*>(offer.data()), offer.size());
    Pair pair(server, client, kKnown);
    return pair.shake();
  };
  EXPECT(chosen("\x08http/1.1"));
  EXPECT(chosen("\x02h2\x08http/1.1"));
  EXPECT(chosen(""));
  EXPECT(!chosen("\x02h2"));
}

TEST_CASE("what is no TLS ends the session with an alert") {
  Keyring keyring(0);
  BufferPool pool;
  Pair pair(server_of(keyring), client_of(), kKnown);
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  pair.client.socket.write(text.data(), text.size());
  pair.run();
  EXPECT(pair.server.failed);
  EXPECT(!pair.server.session->established());
}

}  // namespace sluice::tls::test
