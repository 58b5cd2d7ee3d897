// Certificates with their keys, as a TLS server shows them, the choice among them by the client's
// SNI, and the authorities by which a peer's certificate is judged.
//
// All immutable once made: any thread. Made from PEM text; nothing here reads files. Limits:
// kMaxPemBytes a text, kMaxChain certificates in one chain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/result.h"

namespace sluice::tls {

inline constexpr size_t kMaxPemBytes = 1 << 20;
inline constexpr size_t kMaxChain = 16;

/// A leaf, the intermediates behind it, and the leaf's private key.
class Certificate {
 public:
  /// The key may stand in the same text as the certificates. kInvalid with the reason: no
  /// certificate, no key, a key that is not the leaf's, a passphrase.
  static Result<std::shared_ptr<const Certificate>> load(std::string_view certificate_pem,
                                                         std::string_view key_pem);
  ~Certificate();
  /// The DNS names that it is for, in lower case, wildcards as they are; the common name too, as
  /// fabio has it.
  const std::vector<std::string>& names() const;

  struct Parts;  // core/tls/boringssl.h
  const Parts& parts() const { return *parts_; }

 private:
  explicit Certificate(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

/// A server name as it is compared: in lower case, without the dots at its end.
std::string comparable_name(std::string_view server_name);

/// The certificates of a listener, in the order of its stores.
class CertificateSet {
 public:
  explicit CertificateSet(std::vector<std::shared_ptr<const Certificate>> certificates);

  /// fabio's order: the exact name, then the name with its labels replaced by `*` one after another
  /// from the left, then the first certificate, or with `strict` none. nullptr: none.
  const Certificate* find(std::string_view server_name, bool strict) const;
  size_t size() const { return certificates_.size(); }

 private:
  std::vector<std::shared_ptr<const Certificate>> certificates_;
  std::unordered_map<std::string, uint32_t> by_name_;  // of two with one name the first
};

/// CA certificates. One that is no CA counts as itself, so that a self-signed one can be named.
class Authorities {
 public:
  /// kInvalid if any certificate is bad, or there is none.
  static Result<std::shared_ptr<const Authorities>> load(std::string_view pem);
  /// Leaves out what cannot be read, as a system's bundle may hold; there may be none.
  static std::shared_ptr<const Authorities> load_bundle(std::string_view pem);
  ~Authorities();

  size_t count() const;
  /// 32 bytes, the same for the same certificates in any order: the policy by which sessions are
  /// told apart.
  const std::string& fingerprint() const;

  struct Parts;
  const Parts& parts() const { return *parts_; }

 private:
  explicit Authorities(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice::tls
