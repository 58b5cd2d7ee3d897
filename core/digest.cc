#include "core/digest.h"

#include <crypt.h>
#include <openssl/base.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "core/check.h"
#include "core/hex.h"

#ifndef OPENSSL_IS_BORINGSSL
#error "this must be BoringSSL's header: OpenSSL's would link, and mix the two libraries"
#endif

namespace sluice {

std::string digest(DigestKind kind, std::string_view bytes) {
  const EVP_MD* algorithm = nullptr;
  switch (kind) {
    case DigestKind::kMd5: algorithm = EVP_md5(); break;
    case DigestKind::kSha1: algorithm = EVP_sha1(); break;
    case DigestKind::kSha256: algorithm = EVP_sha256(); break;
    case DigestKind::kSha512: algorithm = EVP_sha512(); break;
  }
  std::array<uint8_t, EVP_MAX_MD_SIZE> out{};
  unsigned length = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), out.data(), &length, algorithm, nullptr) == 1);
  return {reinterpret_cast<const char*>(out.data()), length};
}

std::array<uint8_t, 32> sha256(std::string_view bytes) {
  std::array<uint8_t, 32> out;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, EVP_sha256(), nullptr) == 1);
  return out;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

namespace {

constexpr size_t kUuidText = 36;

bool is_dash_place(size_t i) {
  return i == 8 || i == 13 || i == 18 || i == 23;
}

}  // namespace

Result<std::string> uuid_v5(std::string_view name_space, std::string_view name) {
  std::string input;
  bool good = name_space.size() == kUuidText;
  for (size_t i = 0; good && i < kUuidText;) {
    if (is_dash_place(i)) {
      good = name_space[i++] == '-';
      continue;
    }
    int high = hex_digit(name_space[i]);
    int low = hex_digit(name_space[i + 1]);
    good = high >= 0 && low >= 0;
    input += static_cast<char>(high * 16 + low);
    i += 2;
  }
  if (!good) return fail(Code::kInvalid, "\"{}\" is no UUID", name_space);
  input += name;
  std::string hash = digest(DigestKind::kSha1, input).substr(0, 16);
  hash[6] = static_cast<char>((hash[6] & 0x0F) | 0x50);  // version 5
  hash[8] = static_cast<char>((hash[8] & 0x3F) | 0x80);  // the RFC's variant
  std::string out = to_hex(hash);
  for (size_t i : {20, 16, 12, 8}) out.insert(i, "-");
  return out;
}

Result<std::string> bcrypt(std::string_view password, int64_t cost, Random& random) {
  constexpr int64_t kMinCost = 4;
  constexpr int64_t kMaxCost = 16;
  constexpr size_t kMaxPassword = 72;  // bcrypt looks at no more
  if (cost < kMinCost || cost > kMaxCost) {
    return fail(Code::kInvalid, "the cost must be from {} to {}", kMinCost, kMaxCost);
  }
  if (password.size() > kMaxPassword || password.contains('\0')) {
    return fail(Code::kInvalid, "the password must have at most {} bytes, none of them 0",
                kMaxPassword);
  }
  std::array<uint64_t, 2> salt{random.next(), random.next()};
  std::array<char, sizeof salt> salt_bytes{};
  std::memcpy(salt_bytes.data(), salt.data(), sizeof salt);
  std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> setting{};
  if (!crypt_gensalt_rn("$2a$", static_cast<unsigned long>(cost), salt_bytes.data(),
                        static_cast<int>(salt_bytes.size()), setting.data(),
                        static_cast<int>(setting.size()))) {
    return fail(Code::kUnsupported, "the C library has no bcrypt");
  }
  auto data = std::make_unique<crypt_data>();  // 32 KiB: too much for a stack
  const char* hash = crypt_r(std::string(password).c_str(), setting.data(), data.get());
  if (!hash || hash[0] == '*') return fail(Code::kInternal, "bcrypt failed");
  return std::string(hash);
}

Result<std::string> rsa_decrypt(std::string_view ciphertext, std::string_view private_key_pem) {
  constexpr size_t kMaxKey = 64u << 10;
  if (private_key_pem.size() > kMaxKey) return fail(Code::kLimit, "the key is too long");
  bssl::UniquePtr<BIO> bio(
      BIO_new_mem_buf(private_key_pem.data(), static_cast<int>(private_key_pem.size())));
  // Never asks for a passphrase on the terminal.
  auto no_passphrase = [](char*, int, int, void*) { return 0; };
  bssl::UniquePtr<RSA> key(PEM_read_bio_RSAPrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key) return fail(Code::kInvalid, "this is no RSA private key in PEM without a passphrase");
  std::vector<uint8_t> out(RSA_size(key.get()));
  size_t length = 0;
  int done = RSA_decrypt(key.get(), &length, out.data(), out.size(),
                         reinterpret_cast<const uint8_t*>(ciphertext.data()), ciphertext.size(),
                         RSA_PKCS1_PADDING);
  ERR_clear_error();
  if (done != 1) return fail(Code::kInvalid, "the text was not encrypted for this key");
  return std::string(reinterpret_cast<const char*>(out.data()), length);
}

}  // namespace sluice
