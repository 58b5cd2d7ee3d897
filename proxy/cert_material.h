// CertMaterial: what a certificate store holds, as text, and how certificates are made of it: the
// good ones, with the reason of each that is left out.
//
// Pure but for the reading of files; any thread. Limits: CertLimits.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/disk.h"
#include "core/result.h"
#include "core/tls/certificate.h"
#include "proxy/cert_spec.h"

namespace sluice::proxy {

struct CertLimits {
  size_t files = 10'000;  // of a store
  size_t depth = 16;      // of folders
};

/// One bad certificate never blocks the others.
struct RejectedCert {
  std::string name;
  std::string reason;

  bool operator==(const RejectedCert&) const = default;
};

struct CertMaterial {
  struct Pair {
    std::string name;  // the certificate's file or key
    std::string certificate;
    std::string key;

    bool operator==(const Pair&) const = default;
  };
  std::vector<Pair> pairs;  // by name: the first is the default
  std::vector<RejectedCert> rejected;
  std::string client_ca;

  bool operator==(const CertMaterial&) const = default;
};

/// By fabio's names: x-cert.pem with x-key.pem, and any other x.pem, which holds both.
CertMaterial pair_up(const std::map<std::string, std::string>& texts);

/// A store of type file or path. Fails if it cannot be read at all, or a file of its client CAs
/// cannot.
Result<CertMaterial> read_cert_files(const CertStoreSpec& spec, Disk& disk,
                                     const CertLimits& limits = {});

/// What a store has given: the last good of each name that it still holds.
struct CertStock {
  std::map<std::string, std::shared_ptr<const tls::Certificate>> certificates;
  std::shared_ptr<const tls::Authorities> clients;  // nullptr: none is asked for, or none is known
  std::vector<RejectedCert> rejected;

  /// Certificates are shown only once it is known whom they may be shown to.
  bool usable(const CertStoreSpec& spec) const {
    return !certificates.empty() && (spec.client_ca.empty() || clients != nullptr);
  }
};
CertStock make_stock(const CertStoreSpec& spec, const CertMaterial& material,
                     const CertStock& before);

}  // namespace sluice::proxy
