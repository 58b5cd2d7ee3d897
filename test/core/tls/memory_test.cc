// What an idle connection's session holds, by the allocator's own count: the figures that
// core/tls/session.h names.
#include <malloc.h>

#include <string>
#include <vector>

#include "core/check.h"
#include "core/tls/boringssl.h"
#include "core/tls/session.h"
#include "test/core/tls/material.h"
#include "test/core/tls/pair.h"
#include "test/test.h"

namespace sluice::tls::test {

namespace {

constexpr size_t kPairs = 64;

size_t in_use() {
  return mallinfo2().uordblks;
}

/// Bytes a server's session holds after a handshake and a few bytes each way.
size_t held(uint16_t version, bool with_client_certificate) {
  Keyring keyring(0);
  const auto clients = with_client_certificate ? any_authority().load() : nullptr;
  const std::vector<std::shared_ptr<const Certificate>> all{any_pair().load()};
  const auto server =
      ServerContext::make({.min_version = version, .max_version = version, .alpn = {"http/1.1"}},
                          std::make_shared<const CertificateSet>(all), clients, keyring);
  const auto client = ClientContext::make(any_authority().load());
  const auto certificate = any_pair().load();
  CRYPTO_BUFFER* chain = certificate->parts().chain[0].get();
  CHECK(SSL_CTX_set_chain_and_key(client->parts().context.get(), &chain, 1,
                                  certificate->parts().key.get(), nullptr) == 1);
  std::vector<std::unique_ptr<Pair>> pairs;
  for (size_t i = 0; i < kPairs; ++i) {
    pairs.push_back(
        std::make_unique<Pair>(*server, client, ConnectOptions{.server_name = "a.test"}));
    REQUIRE(pairs.back()->shake());
    pairs.back()->send(pairs.back()->client, "GET / HTTP/1.1\r\n\r\n");
    pairs.back()->send(pairs.back()->server, std::string(20'000, 'x'));
    pairs.back()->run();
    REQUIRE(pairs.back()->client.got.size() == 20'000);
  }
  const size_t before = in_use();
  for (const auto& pair : pairs) pair->server.session.reset();
  return (before - in_use()) / kPairs;
}

}  // namespace

TEST_CASE("an idle session holds no more than it says") {
  if (in_use() == 0) return;  // a sanitizer's allocator does not count
  for (const uint16_t version : {0x0303, 0x0304}) {
    for (const bool with_certificate : {false, true}) {
      const size_t bytes = held(version, with_certificate);
      const std::string what = (version == 0x0303 ? "TLS 1.2" : "TLS 1.3") +
                               std::string(with_certificate ? " with" : " without") +
                               " a client's certificate: " + std::to_string(bytes) + " bytes";
      DOCTEST_MESSAGE(what);
      EXPECT(bytes > sizeof(Session));
      EXPECT(bytes <= Session::kIdleBytes);
    }
  }
}

}  // namespace sluice::tls::test
