// What a full TLS 1.3 handshake costs the server in the cryptography alone: a signature and an
// X25519 key exchange (RFC 8446 4.4.3, 7.4.2). Built twice, with BoringSSL and with OpenSSL, so
// that the comparison can take each library's own part from the handshakes of the proxies that use
// it.
//
//   crypto-boringssl | crypto-openssl
//
// Prints one line of JSON: CPU microseconds of p256 and rsa, each with the key exchange.
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace {

constexpr int kRuns = 15;
constexpr int64_t kRunNs = 60'000'000;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;
using Digest = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

void must(bool fine, const char* what) {
  if (fine) return;
  std::fprintf(stderr, "crypto: %s failed\n", what);
  std::exit(1);
}

Key make_key(int type) {
  const KeyContext context(EVP_PKEY_CTX_new_id(type, nullptr), EVP_PKEY_CTX_free);
  must(EVP_PKEY_keygen_init(context.get()) == 1, "keygen_init");
  if (type == EVP_PKEY_RSA) {
    must(EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), 2048) == 1, "keygen_bits");
  } else if (type == EVP_PKEY_EC) {
    must(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context.get(), NID_X9_62_prime256v1) == 1,
         "the curve");
  }
  EVP_PKEY* key = nullptr;
  must(EVP_PKEY_keygen(context.get(), &key) == 1, "keygen");
  return {key, EVP_PKEY_free};
}

/// Over as many bytes as CertificateVerify has: 64 spaces, a text, a zero and a SHA-256.
void sign(EVP_PKEY* key, bool pss) {
  const std::array<uint8_t, 130> text{};
  std::array<uint8_t, 512> signature;
  const Digest digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  must(EVP_DigestSignInit(digest.get(), &options, EVP_sha256(), nullptr, key) == 1, "SignInit");
  if (pss) {
    must(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(options, -1) == 1,
         "PSS");
  }
  size_t size = signature.size();
  must(EVP_DigestSign(digest.get(), signature.data(), &size, text.data(), text.size()) == 1,
       "the signature");
}

void exchange_keys(EVP_PKEY* theirs) {
  const Key ours = make_key(EVP_PKEY_X25519);
  const KeyContext context(EVP_PKEY_CTX_new(ours.get(), nullptr), EVP_PKEY_CTX_free);
  std::array<uint8_t, 32> secret;
  size_t size = secret.size();
  must(EVP_PKEY_derive_init(context.get()) == 1 &&
           EVP_PKEY_derive_set_peer(context.get(), theirs) == 1 &&
           EVP_PKEY_derive(context.get(), secret.data(), &size) == 1,
       "the key exchange");
}

int64_t cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// Median microseconds of one call.
template <class Call>
double measure(Call call) {
  std::array<double, kRuns> runs;
  for (double& run : runs) {
    int calls = 0;
    const int64_t start = cpu_ns();
    int64_t used = 0;
    for (; used < kRunNs; used = cpu_ns() - start, ++calls) call();
    run = static_cast<double>(used) / calls / 1000;
  }
  std::sort(runs.begin(), runs.end());
  return runs[kRuns / 2];
}

}  // namespace

int main() {
  const Key p256 = make_key(EVP_PKEY_EC);
  const Key rsa = make_key(EVP_PKEY_RSA);
  const Key peer = make_key(EVP_PKEY_X25519);
  const auto handshake = [&](EVP_PKEY* key, bool pss) {
    return measure([&] {
      sign(key, pss);
      exchange_keys(peer.get());
    });
  };
  std::printf("{\"p256\": %.3f, \"rsa\": %.3f}\n", handshake(p256.get(), false),
              handshake(rsa.get(), true));
  return 0;
}
