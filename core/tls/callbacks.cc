#include "core/tls/callbacks.h"

#include <array>
#include <cstring>

#include "core/digest.h"
#include "core/tls/boringssl.h"
#include "core/tls/signer.h"

namespace sluice::tls {

namespace {

constexpr SSL_PRIVATE_KEY_METHOD kSignElsewhere = {Callbacks::sign, Callbacks::decrypt,
                                                   Callbacks::complete};

ssl_private_key_result_t put_signature(const std::string& signature, uint8_t* out, size_t* out_size,
                                       size_t max) {
  if (signature.empty() || signature.size() > max) return ssl_private_key_failure;
  std::memcpy(out, signature.data(), signature.size());
  *out_size = signature.size();
  return ssl_private_key_success;
}

// RFC 8446 4.6.1 and RFC 5077 leave to us whom a ticket is good for: the same policy alone, and the
// same server name (RFC 6066 3).
bool bind_tickets(SSL* ssl, const std::string& policy, std::string_view name) {
  const std::array<uint8_t, 32> digest = sha256(policy + '\0' + comparable_name(name));
  return SSL_set_session_id_context(ssl, digest.data(), digest.size()) == 1;
}

}  // namespace

int Callbacks::choose_certificate(SSL* ssl, int* alert, void*) {
  const ServerContext::Parts& context = session_of(ssl).server_->parts();
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const std::string_view asked = name == nullptr ? "" : name;
  const Certificate* chosen = context.certificates->find(asked, context.options.strict_match);
  if (!bind_tickets(ssl, context.policy, asked)) {
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  if (chosen == nullptr) {
    *alert = context.certificates->size() == 0 ? SSL_AD_INTERNAL_ERROR : SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  const Certificate::Parts& parts = chosen->parts();
  CRYPTO_BUFFER* chain[kMaxChain];
  for (size_t i = 0; i < parts.chain.size(); ++i) chain[i] = parts.chain[i].get();
  Session& session = session_of(ssl);
  session.certificate_ = chosen;
  const bool elsewhere =
      session.port_.signer != nullptr && EVP_PKEY_id(parts.key.get()) == EVP_PKEY_RSA;
  if (SSL_set_chain_and_key(ssl, chain, parts.chain.size(), elsewhere ? nullptr : parts.key.get(),
                            elsewhere ? &kSignElsewhere : nullptr) != 1) {
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  return name == nullptr ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

ssl_private_key_result_t Callbacks::sign(SSL* ssl, uint8_t* out, size_t* out_size, size_t max,
                                         uint16_t algorithm, const uint8_t* in, size_t in_size) {
  Session& session = session_of(ssl);
  EVP_PKEY* key = session.certificate_->parts().key.get();
  const std::string_view input(reinterpret_cast<const char*>(in), in_size);
  auto job = std::make_unique<SignJob>();
  job->key = bssl::UpRef(key).release();
  job->algorithm = algorithm;
  job->input = input;
  job->reactor = session.port_.reactor;
  job->session = &session;
  SignJob* borrowed = job.get();
  if (!session.port_.signer->submit(job))
    return put_signature(tls::sign(key, algorithm, input), out, out_size, max);
  session.signing_ = borrowed;
  return ssl_private_key_retry;
}

ssl_private_key_result_t Callbacks::complete(SSL* ssl, uint8_t* out, size_t* out_size, size_t max) {
  Session& session = session_of(ssl);
  if (session.signed_ == nullptr) return ssl_private_key_retry;
  const std::unique_ptr<SignJob> job = std::move(session.signed_);
  return put_signature(job->signature, out, out_size, max);
}

// The key exchange without forward secrecy, which only a listener's tlsciphers can bring back.
ssl_private_key_result_t Callbacks::decrypt(SSL* ssl, uint8_t* out, size_t* out_size, size_t max,
                                            const uint8_t* in, size_t in_size) {
  RSA* rsa = EVP_PKEY_get0_RSA(session_of(ssl).certificate_->parts().key.get());
  const bool done =
      rsa != nullptr && RSA_decrypt(rsa, out_size, out, max, in, in_size, RSA_NO_PADDING) == 1;
  return done ? ssl_private_key_success : ssl_private_key_failure;
}

int Callbacks::choose_alpn(SSL* ssl, const uint8_t** out, uint8_t* out_size, const uint8_t* in,
                           unsigned in_size, void*) {
  for (const std::string& ours : session_of(ssl).server_->parts().options.alpn) {
    for (unsigned at = 0; at < in_size; at += 1u + in[at]) {
      if (in[at] != ours.size() || std::memcmp(in + at + 1, ours.data(), ours.size()) != 0)
        continue;
      *out = in + at + 1;
      *out_size = in[at];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  // RFC 7301 3.2: what is said in no protocol that both speak would only be misunderstood.
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int Callbacks::seal_ticket(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher,
                           HMAC_CTX* hmac, int encrypt) {
  const Keyring& keyring = *session_of(ssl).server_->parts().keyring;
  TicketKey key;
  int result = 1;
  if (encrypt != 0) {
    key = keyring.newest();
    std::memcpy(name, key.name.data(), key.name.size());
    if (RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_128_cbc())) != 1) return -1;
    if (EVP_EncryptInit_ex(cipher, EVP_aes_128_cbc(), nullptr, key.aes.data(), iv) != 1) return -1;
  } else {
    const std::optional<Keyring::Found> found = keyring.find(name);
    if (!found) return 0;
    key = found->key;
    result = found->newest ? 1 : 2;  // 2: the client gets a new ticket
    if (EVP_DecryptInit_ex(cipher, EVP_aes_128_cbc(), nullptr, key.aes.data(), iv) != 1) return -1;
  }
  const bool set = HMAC_Init_ex(hmac, key.hmac.data(), key.hmac.size(), EVP_sha256(), nullptr) == 1;
  OPENSSL_cleanse(&key, sizeof key);
  return set ? result : -1;
}

ssl_verify_result_t Callbacks::verify_client(SSL* ssl, uint8_t* alert) {
  Session& session = session_of(ssl);
  session.error_ = check_chain(ssl, *session.server_->parts().clients, std::string(), false, alert);
  return session.error_ == nullptr ? ssl_verify_ok : ssl_verify_invalid;
}

ssl_verify_result_t Callbacks::verify_server(SSL* ssl, uint8_t* alert) {
  Session& session = session_of(ssl);
  if (session.skip_verify_) return ssl_verify_ok;
  session.error_ =
      check_chain(ssl, *session.client_->parts().servers, *session.server_name_, true, alert);
  return session.error_ == nullptr ? ssl_verify_ok : ssl_verify_invalid;
}

int Callbacks::keep_ticket(SSL* ssl, SSL_SESSION* session) {
  session_of(ssl).ticket_ = Ticket(session);
  return 1;  // it is ours now
}

int Callbacks::read(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  const int got = static_cast<Session*>(BIO_get_data(bio))->take_from_socket(into, size);
  if (got == -2) BIO_set_retry_read(bio);
  return got < 0 ? -1 : got;
}

int Callbacks::write(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const int put = static_cast<Session*>(BIO_get_data(bio))->give_to_socket(bytes, size);
  if (put == -2) BIO_set_retry_write(bio);
  return put < 0 ? -1 : put;
}

}  // namespace sluice::tls
