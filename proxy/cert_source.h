// CertSource: where a certificate store's texts come from.
//
// Owner: CertStores. Thread: the control loop's.
#pragma once

#include <memory>

#include "core/executor.h"
#include "core/network.h"
#include "core/result.h"
#include "core/task.h"
#include "core/tls/context.h"
#include "proxy/cert_material.h"
#include "proxy/cert_spec.h"

namespace sluice::proxy {

class CertSource {
 public:
  virtual ~CertSource() = default;
  /// What the store holds now.
  virtual Task<Result<CertMaterial>> load() = 0;
  /// load() waits by itself until something may have changed; else it is asked each
  /// CertStoreSpec::refresh_ms.
  virtual bool waits() const { return false; }
};

/// What sources reach the world by; outlives them.
struct CertReach {
  Executor& executor;
  Network& network;
  std::shared_ptr<const tls::ClientContext> tls;  // judges servers that speak https
};

/// Fails where the spec names what the type cannot reach.
Result<std::unique_ptr<CertSource>> make_cert_source(const CertStoreSpec& spec,
                                                     const CertReach& reach);

Result<std::unique_ptr<CertSource>> make_http_source(const CertStoreSpec& spec,
                                                     const CertReach& reach);
Result<std::unique_ptr<CertSource>> make_consul_source(const CertStoreSpec& spec,
                                                       const CertReach& reach);
/// The address and the token come from VAULT_ADDR and VAULT_TOKEN, as for Vault's own tools.
Result<std::unique_ptr<CertSource>> make_vault_source(const CertStoreSpec& spec,
                                                      const CertReach& reach);

}  // namespace sluice::proxy
