#include "core/tls/certificate.h"

#include "test/core/tls/material.h"
#include "test/test.h"

namespace sluice::tls::test {

TEST_CASE("a certificate is loaded with its key and its names, or refused with a reason") {
  const PemPair& pair = any_pair();
  auto made = Certificate::load(pair.certificate, pair.key);
  REQUIRE(made);
  EXPECT((*made)->names() == std::vector<std::string>{"a.test", "*.b.test"});
  EXPECT(Certificate::load(pair.both(), pair.both()));
  EXPECT(Certificate::load(pair.key + pair.certificate, pair.certificate + pair.key));
  const auto reason = [](std::string_view certificate, std::string_view key) {
    auto bad = Certificate::load(certificate, key);
    REQUIRE(!bad);
    return bad.error().message;
  };
  const PemPair other = any_authority().issue({.names = {"other"}, .rsa = true});
  EXPECT_EQ(reason(pair.certificate, other.key), "the private key is not the certificate's");
  EXPECT_EQ(reason(pair.key, pair.key), "no certificate in it");
  EXPECT_EQ(reason("", pair.key), "no certificate in it");
  EXPECT_EQ(reason("nothing of the kind", pair.key), "no certificate in it");
  EXPECT_EQ(reason(pair.certificate, pair.certificate),
            "no private key without a passphrase: NO_START_LINE");
  const std::string half = pair.certificate.substr(0, pair.certificate.size() / 2);
  EXPECT_EQ(reason(half, pair.key), "not PEM: BAD_END_LINE");
}

TEST_CASE(
    "the choice: exact, then stars from the left, else the first, or none where it is strict") {
  const Authority& ca = any_authority();
  const auto load = [&](std::vector<std::string> names) {
    return ca.issue({.names = std::move(names)}).load();
  };
  const auto first = load({"first.test"});
  const auto exact = load({"a.x.test", "A.Upper.test"});
  const auto star = load({"*.x.test"});
  const auto stars = load({"*.*.test"});
  const auto twice = load({"first.test"});
  const CertificateSet set({first, exact, star, stars, twice});
  EXPECT(set.find("a.x.test", false) == exact.get());
  EXPECT(set.find("A.X.TEST.", false) == exact.get());
  EXPECT(set.find("a.upper.test", false) == exact.get());
  EXPECT(set.find("b.x.test", false) == star.get());
  EXPECT(set.find("b.y.test", false) == stars.get());
  EXPECT(set.find("first.test", false) == first.get());
  EXPECT(set.find("a.b.x.test", false) == first.get());
  EXPECT(set.find("x.test", false) == first.get());
  EXPECT(set.find("", false) == first.get());
  EXPECT(set.find("a.b.x.test", true) == nullptr);
  EXPECT(set.find("", true) == nullptr);
  EXPECT(set.find("b.x.test", true) == star.get());
  EXPECT(CertificateSet({}).find("a", false) == nullptr);
}

TEST_CASE("authorities are told apart by what they hold, in whatever order") {
  const Authority a;
  const Authority b;
  const auto print = [](const std::string& pem) {
    auto made = Authorities::load(pem);
    REQUIRE(made);
    return (*made)->fingerprint();
  };
  EXPECT_EQ(print(a.pem() + b.pem()), print(b.pem() + a.pem() + b.pem()));
  EXPECT_NE(print(a.pem()), print(a.pem() + b.pem()));
  EXPECT_EQ(print(a.pem()).size(), 32u);
  EXPECT(!Authorities::load(""));
  const std::string bad =
      "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n" + a.pem();
  EXPECT(!Authorities::load(bad));
  EXPECT_EQ(Authorities::load_bundle(bad)->count(), 1u);
  EXPECT_EQ(Authorities::load_bundle("")->count(), 0u);
}

}  // namespace sluice::tls::test
