// BoringSSL's headers, for the files of this folder alone: nothing else of the program sees them.
//
// Limits: BoringSSL and OpenSSL have the same names; a program that loads both calls either one in
// silence. So this refuses OpenSSL's headers.
#pragma once

#include <openssl/base.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "this must be BoringSSL's header: OpenSSL's would link, and mix the two libraries"
#endif

#include <memory>
#include <string>
#include <vector>

#include "core/tls/certificate.h"
#include "core/tls/context.h"

namespace sluice::tls {

struct Certificate::Parts {
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> chain;  // the leaf first
  bssl::UniquePtr<EVP_PKEY> key;
  std::vector<std::string> names;
};

struct Authorities::Parts {
  bssl::UniquePtr<X509_STORE> store;
  std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> subjects;  // DER names: the hint to clients
  std::string fingerprint;
  size_t count = 0;
};

struct ServerContext::Parts {
  ServerOptions options;
  bssl::UniquePtr<SSL_CTX> context;
  std::shared_ptr<const CertificateSet> certificates;
  std::shared_ptr<const Authorities> clients;
  std::string policy;  // of clients' certificates
  Keyring* keyring = nullptr;
};

struct ClientContext::Parts {
  bssl::UniquePtr<SSL_CTX> context;
  std::shared_ptr<const Authorities> servers;
};

/// The reason of the newest error in the thread's queue, which is emptied. Static text.
const char* take_error();

/// What is wrong with the peer's chain, nullptr for nothing. Static text.
/// `name`: the host name or IP literal that the leaf must be for; "" for none.
const char* check_chain(SSL* ssl, const Authorities& authorities, const std::string& name,
                        bool peer_is_server, uint8_t* alert);

}  // namespace sluice::tls
