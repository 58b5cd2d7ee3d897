// The two sides' settings: what a listener's connections share, and what connections to upstreams
// share. A reload makes a new context; the connections of the old one keep it until they end.
//
// Immutable once made; any thread. shared_ptr because a snapshot is posted to every reactor.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/tls/certificate.h"
#include "core/tls/keyring.h"

namespace sluice::tls {

struct ServerOptions {
  uint16_t min_version = 0;  // as in the protocol (0x0303 is TLS 1.2); 0: TLS 1.2
  uint16_t max_version = 0;  // 0: TLS 1.3
  /// For TLS 1.2 and before: names of the registry or BoringSSL's, or numbers (0xc02f), separated
  /// by commas or colons, the favourite first. "": those that give forward secrecy.
  std::string ciphers;
  bool strict_match = false;      // no certificate for the client's name: refuse
  std::vector<std::string> alpn;  // what we speak, the favourite first; empty: we do not say
};

class ServerContext {
 public:
  /// `clients`: every client must show a certificate of theirs; nullptr: none is asked for.
  /// The keyring is that of `clients`, and outlives the context. kInvalid: ciphers or versions.
  static Result<std::shared_ptr<const ServerContext>> make(
      ServerOptions options, std::shared_ptr<const CertificateSet> certificates,
      std::shared_ptr<const Authorities> clients, Keyring& keyring);
  ~ServerContext();

  struct Parts;  // core/tls/boringssl.h
  const Parts& parts() const { return *parts_; }

 private:
  explicit ServerContext(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

class ClientContext {
 public:
  /// `servers` is who is trusted to sign servers' certificates; `own` is shown to a server that
  /// asks for one, and may be nullptr.
  static std::shared_ptr<const ClientContext> make(std::shared_ptr<const Authorities> servers,
                                                   std::shared_ptr<const Certificate> own = {});
  ~ClientContext();

  struct Parts;
  const Parts& parts() const { return *parts_; }

 private:
  explicit ClientContext(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice::tls
