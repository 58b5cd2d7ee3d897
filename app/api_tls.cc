#include "app/api_tls.h"

#include "core/tls/certificate.h"

namespace sluice {

Result<ApiTlsContext> load_api_tls(Disk& disk, const ApiTls& files, tls::Keyrings& keyrings,
                                   int64_t now_ms) {
  Result<std::string> certificate = disk.read_file(files.cert_file, tls::kMaxPemBytes);
  if (!certificate) return pass(certificate, "tls: cert_file");
  Result<std::string> key = disk.read_file(files.key_file, tls::kMaxPemBytes);
  if (!key) return pass(key, "tls: key_file");
  auto loaded = tls::Certificate::load(*certificate, *key);
  if (!loaded) return pass(loaded, "tls: {}", files.cert_file);
  std::shared_ptr<const tls::Authorities> clients;
  if (files.verify_https_client) {
    Result<std::string> pem = disk.read_file(files.ca_file, tls::kMaxPemBytes);
    if (!pem) return pass(pem, "tls: ca_file");
    auto authorities = tls::Authorities::load(*pem);
    if (!authorities) return pass(authorities, "tls: {}", files.ca_file);
    clients = *std::move(authorities);
  }
  auto context = tls::ServerContext::make(
      {.alpn = {"http/1.1"}}, std::make_shared<const tls::CertificateSet>(std::vector{*loaded}),
      clients, keyrings.of(clients ? clients->fingerprint() : std::string(), now_ms));
  if (!context) return pass(context, "tls");
  return ApiTlsContext{.context = *std::move(context), .names = (*loaded)->names()};
}

}  // namespace sluice
