#include "core/tls/trust.h"

#include <cstdlib>

namespace sluice::tls {

namespace {

constexpr size_t kMaxBundleBytes = 4 << 20;

constexpr const char* kBundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",              // openSUSE
    "/etc/ssl/cert.pem",
};

}  // namespace

Result<std::shared_ptr<const Authorities>> system_authorities(Disk& disk, const std::string& file) {
  if (!file.empty()) {
    Result<std::string> pem = disk.read_file(file, kMaxPemBytes);
    if (!pem) return pass(pem);
    auto loaded = Authorities::load(*pem);
    if (!loaded) return pass(loaded, "{}", file);
    return loaded;
  }
  // As Go's and OpenSSL's programs take it.
  if (const char* own = std::getenv("SSL_CERT_FILE"); own != nullptr && *own != '\0') {
    Result<std::string> pem = disk.read_file(own, kMaxBundleBytes);
    if (!pem) return pass(pem, "SSL_CERT_FILE");
    return Authorities::load_bundle(*pem);
  }
  for (const char* bundle : kBundles) {
    if (Result<std::string> pem = disk.read_file(bundle, kMaxBundleBytes); pem) {
      return Authorities::load_bundle(*pem);
    }
  }
  return Authorities::load_bundle("");
}

}  // namespace sluice::tls
