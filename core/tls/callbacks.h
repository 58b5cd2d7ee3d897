// What BoringSSL calls back into, from inside Session's calls. For the files of this folder alone.
//
// Thread: that of the Session.
#pragma once

#include "core/tls/boringssl.h"
#include "core/tls/session.h"

namespace sluice::tls {

struct Callbacks {
  static Session& session_of(const SSL* ssl) {
    return *static_cast<Session*>(BIO_get_data(SSL_get_rbio(ssl)));
  }

  static int choose_certificate(SSL* ssl, int* alert, void*);
  static int choose_alpn(SSL* ssl, const uint8_t** out, uint8_t* out_size, const uint8_t* in,
                         unsigned in_size, void*);
  static int seal_ticket(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher,
                         HMAC_CTX* hmac, int encrypt);
  static ssl_verify_result_t verify_client(SSL* ssl, uint8_t* alert);
  static ssl_verify_result_t verify_server(SSL* ssl, uint8_t* alert);
  static int keep_ticket(SSL* ssl, SSL_SESSION* session);

  static ssl_private_key_result_t sign(SSL* ssl, uint8_t* out, size_t* out_size, size_t max,
                                       uint16_t algorithm, const uint8_t* in, size_t in_size);
  static ssl_private_key_result_t decrypt(SSL* ssl, uint8_t* out, size_t* out_size, size_t max,
                                          const uint8_t* in, size_t in_size);
  static ssl_private_key_result_t complete(SSL* ssl, uint8_t* out, size_t* out_size, size_t max);

  static int read(BIO* bio, char* into, int size);
  static int write(BIO* bio, const char* bytes, int size);
};

}  // namespace sluice::tls
