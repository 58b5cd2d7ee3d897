#include "core/password.h"

#include <crypt.h>

#include <memory>
#include <string>

#include "core/base64.h"
#include "core/digest.h"

namespace sluice {

namespace {

constexpr std::string_view kApr1 = "$apr1$";
constexpr std::string_view kSha = "{SHA}";
constexpr size_t kMostPassword = 512;  // the C library looks at no more

bool is_crypt_hash(std::string_view hash) {
  for (const std::string_view kind : {"$2a$", "$2b$", "$2y$", "$5$", "$6$", "$1$", "$y$"}) {
    if (hash.starts_with(kind)) return true;
  }
  return false;
}

/// The time tells how long the texts are, and nothing of what is in them.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

/// MD5-crypt as Apache has it: the C library's "$1$" with another name in the first digest.
std::string apr1(std::string_view password, std::string_view salt) {
  const auto md5 = [](std::string_view bytes) { return digest(DigestKind::kMd5, bytes); };
  const std::string key(password);
  const std::string inner = md5(key + std::string(salt) + key);
  std::string first = key + std::string(kApr1) + std::string(salt);
  for (size_t left = key.size(); left > 0; left -= std::min<size_t>(left, 16)) {
    first += inner.substr(0, std::min<size_t>(left, 16));
  }
  for (size_t bits = key.size(); bits > 0; bits >>= 1) first += (bits & 1) != 0 ? '\0' : key[0];
  std::string state = md5(first);
  for (int round = 0; round < 1000; ++round) {
    std::string text = (round & 1) != 0 ? key : state;
    if (round % 3 != 0) text += salt;
    if (round % 7 != 0) text += key;
    text += (round & 1) != 0 ? state : key;
    state = md5(text);
  }
  // 24 bits a group, the lowest six first, in an order of the bytes that is MD5-crypt's own.
  constexpr std::string_view kDigits =
      "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  constexpr int kGroups[5][3] = {{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}};
  std::string out;
  const auto add = [&](unsigned value, int digits) {
    for (; digits > 0; --digits, value >>= 6) out += kDigits[value & 63];
  };
  const auto byte = [&](int i) {
    return static_cast<unsigned char>(state[static_cast<size_t>(i)]);
  };
  for (const auto& group : kGroups) {
    add(static_cast<unsigned>(byte(group[0]) << 16 | byte(group[1]) << 8 | byte(group[2])), 4);
  }
  add(byte(11), 2);
  return out;
}

}  // namespace

bool is_password_hash(std::string_view hash) {
  if (hash.starts_with(kSha)) return base64_decode(hash.substr(kSha.size())).has_value();
  if (hash.starts_with(kApr1)) return hash.find('$', kApr1.size()) != std::string_view::npos;
  if (!is_crypt_hash(hash)) return false;
  // The library's own judgement: a setting that it does not know, or one that is cut off.
  const int verdict = crypt_checksalt(std::string(hash).c_str());
  return verdict != CRYPT_SALT_INVALID && verdict != CRYPT_SALT_METHOD_DISABLED;
}

bool verify_password(std::string_view password, std::string_view hash) {
  if (password.size() >= kMostPassword || password.contains('\0')) return false;
  if (hash.starts_with(kSha)) {
    return equal_in_constant_time(base64_encode(digest(DigestKind::kSha1, password)),
                                  hash.substr(kSha.size()));
  }
  if (hash.starts_with(kApr1)) {
    const std::string_view rest = hash.substr(kApr1.size());
    const size_t end = rest.find('$');
    if (end == std::string_view::npos) return false;
    return equal_in_constant_time(apr1(password, rest.substr(0, std::min<size_t>(end, 8))),
                                  rest.substr(end + 1));
  }
  if (!is_crypt_hash(hash)) return false;
  auto data = std::make_unique<crypt_data>();  // 32 KiB: too much for a stack
  const std::string setting(hash);
  const char* made = crypt_r(std::string(password).c_str(), setting.c_str(), data.get());
  return made != nullptr && made[0] != '*' && equal_in_constant_time(made, setting);
}

}  // namespace sluice
