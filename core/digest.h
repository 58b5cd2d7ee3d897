// Digests, and the few other cryptographic answers that job files ask for. The cryptography is
// BoringSSL's and the C library's; nothing of it is made here.
//
// Pure; any thread. For fingerprints of content; passwords go through bcrypt.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/random.h"
#include "core/result.h"

namespace sluice {

enum class DigestKind : uint8_t { kMd5, kSha1, kSha256, kSha512 };

/// The digest's bytes: 16, 20, 32 or 64.
std::string digest(DigestKind kind, std::string_view bytes);

/// The same of SHA-256 without an allocation.
std::array<uint8_t, 32> sha256(std::string_view bytes);

/// Lower case.
std::string to_hex(std::string_view bytes);

/// RFC 9562 section 5.5, in the 36-character form. The name space is a UUID in that form.
Result<std::string> uuid_v5(std::string_view name_space, std::string_view name);

/// "$2a$<cost>$...", cost 4 to 16: each step doubles the time, 10 takes about 50 ms, 16 some
/// seconds.
Result<std::string> bcrypt(std::string_view password, int64_t cost, Random& random);

/// PKCS #1 v1.5, with a private key in PEM (PKCS #1 form, no passphrase).
Result<std::string> rsa_decrypt(std::string_view ciphertext, std::string_view private_key_pem);

}  // namespace sluice
