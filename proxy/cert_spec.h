// CertStoreSpec: one certificate store as `-proxy.cs` writes it, in fabio's language:
//
//   cs=name;type=file;cert=a.pem;key=b.pem;clientca=ca.pem;refresh=3s,cs=...
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice::proxy {

enum class CertStoreType : uint8_t { kFile, kPath, kHttp, kConsul, kVault };

/// "file", "path", "http", "consul", "vault".
std::string_view to_string(CertStoreType type);

struct CertStoreSpec {
  static constexpr int64_t kLeastRefreshMs = 100;

  std::string name;
  CertStoreType type = CertStoreType::kFile;
  std::string cert;            // a file, a folder, a URL or a path of Vault
  std::string key;             // of type=file; "": the key stands in `cert`
  std::string client_ca;       // "": no client certificate is asked for
  std::string header;          // hdr, of type=http: "Authorization: Basic ..."
  std::string vault_token;     // vaultfetchtoken, of type=vault: "env:NAME" or "file:PATH"
  int64_t refresh_ms = 3'000;  // 0: never
};

/// Fails with the store and the option in the message.
Result<std::vector<CertStoreSpec>> parse_cert_stores(std::string_view text);

/// The names in a listener's `cs=a+b`.
std::vector<std::string_view> split_store_names(std::string_view names);

}  // namespace sluice::proxy
