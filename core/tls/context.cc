#include "core/tls/context.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/ascii.h"
#include "core/check.h"
#include "core/http1.h"
#include "core/tls/boringssl.h"
#include "core/tls/callbacks.h"

namespace sluice::tls {

namespace {

// Forward secrecy alone; within brackets the client's order counts, so that one without AES
// instructions gets ChaCha20.
constexpr const char* kDefaultCiphers =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305|ECDHE-RSA-AES128-GCM-SHA256|"
    "ECDHE-RSA-CHACHA20-POLY1305]:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA";

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool is_rfc_name(std::string_view name) {
  return name.size() > 4 && http1::iequals(name.substr(0, 4), "TLS_");
}

// TLS 1.3's own are always on: a list cannot choose among them.
bool is_tls13(const SSL_CIPHER* cipher) {
  return SSL_CIPHER_get_min_version(cipher) == TLS1_3_VERSION;
}

Result<std::string> cipher_list(std::string_view text) {
  std::string list;
  while (!text.empty()) {
    const size_t at = text.find_first_of(",:");
    std::string name(trim(text.substr(0, at)));
    text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
    if (name.empty()) continue;
    if (name.starts_with("0x") || name.starts_with("0X")) {
      uint16_t value = 0;
      const auto [end, error] =
          std::from_chars(name.data() + 2, name.data() + name.size(), value, 16);
      const bool number = error == std::errc() && end == name.data() + name.size();
      const SSL_CIPHER* cipher = number ? SSL_get_cipher_by_value(value) : nullptr;
      if (cipher == nullptr) return fail(Code::kInvalid, "cipher {} is not known", name);
      if (is_tls13(cipher)) continue;
      name = SSL_CIPHER_get_name(cipher);
    } else if (is_rfc_name(name)) {
      // In any case, and as Go had it before 1.14: so fabio's users may have written them.
      name = ascii::upper(name);
      if (name.starts_with("TLS_AES_") || name.starts_with("TLS_CHACHA20_")) continue;
      if (name.ends_with("_CHACHA20_POLY1305")) name += "_SHA256";
    }
    const bssl::UniquePtr<SSL_CTX> probe(SSL_CTX_new(TLS_with_buffers_method()));
    const bool known = SSL_CTX_set_strict_cipher_list(probe.get(), name.c_str()) == 1;
    ERR_clear_error();
    if (!known) return fail(Code::kInvalid, "cipher {} is not known", name);
    list += (list.empty() ? "" : ":") + name;
  }
  if (list.empty()) return fail(Code::kInvalid, "no cipher for TLS 1.2");
  return list;
}

Result<void> set_versions(SSL_CTX* context, uint16_t min, uint16_t max) {
  if (min == 0) min = TLS1_2_VERSION;
  if (max == 0) max = TLS1_3_VERSION;
  if (min > max) return fail(Code::kInvalid, "the least TLS version is above the greatest");
  const bool set = SSL_CTX_set_min_proto_version(context, min) == 1 &&
                   SSL_CTX_set_max_proto_version(context, max) == 1;
  ERR_clear_error();
  if (!set) return fail(Code::kInvalid, "TLS version {:#06x} or {:#06x} is not known", min, max);
  return {};
}

bssl::UniquePtr<SSL_CTX> new_context() {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_with_buffers_method()));
  CHECK(context != nullptr);
  // A retried write may come from another place: the caller's buffers move.
  SSL_CTX_set_mode(context.get(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

void ask_for_certificates(SSL_CTX* context, const Authorities& clients) {
  SSL_CTX_set_custom_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                            Callbacks::verify_client);
  bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> names(sk_CRYPTO_BUFFER_new_null());
  for (const auto& name : clients.parts().subjects) {
    bssl::PushToStack(names.get(), bssl::UpRef(name));
  }
  SSL_CTX_set0_client_CAs(context, names.release());
  // The chain was judged; a connection need not keep it.
  SSL_CTX_set_retain_only_sha256_of_client_certs(context, 1);
}

}  // namespace

ServerContext::ServerContext(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ServerContext::~ServerContext() = default;

Result<std::shared_ptr<const ServerContext>> ServerContext::make(
    ServerOptions options, std::shared_ptr<const CertificateSet> certificates,
    std::shared_ptr<const Authorities> clients, Keyring& keyring) {
  auto parts = std::make_unique<Parts>();
  parts->context = new_context();
  SSL_CTX* context = parts->context.get();
  Result<void> versions = set_versions(context, options.min_version, options.max_version);
  if (!versions) return pass(versions);
  std::string ciphers = kDefaultCiphers;
  if (!options.ciphers.empty()) {
    Result<std::string> list = cipher_list(options.ciphers);
    if (!list) return pass(list);
    ciphers = std::move(*list);
  }
  CHECK(SSL_CTX_set_strict_cipher_list(context, ciphers.c_str()) == 1);
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Tickets alone: no state of clients is kept here, and any reactor can resume.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_tlsext_ticket_key_cb(context, Callbacks::seal_ticket);
  SSL_CTX_set_timeout(context, Keyring::kTicketLifetimeS);
  SSL_CTX_set_session_psk_dhe_timeout(context, Keyring::kTicketLifetimeS);
  SSL_CTX_set_num_tickets(context, 1);
  parts->policy = clients ? clients->fingerprint() : "no client certificates";
  SSL_CTX_set_tlsext_servername_callback(context, Callbacks::choose_certificate);
  if (!options.alpn.empty()) SSL_CTX_set_alpn_select_cb(context, Callbacks::choose_alpn, nullptr);
  if (clients) ask_for_certificates(context, *clients);
  parts->options = std::move(options);
  parts->certificates = std::move(certificates);
  parts->clients = std::move(clients);
  parts->keyring = &keyring;
  return std::shared_ptr<const ServerContext>(new ServerContext(std::move(parts)));
}

ClientContext::ClientContext(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ClientContext::~ClientContext() = default;

std::shared_ptr<const ClientContext> ClientContext::make(std::shared_ptr<const Authorities> servers,
                                                         std::shared_ptr<const Certificate> own) {
  auto parts = std::make_unique<Parts>();
  parts->context = new_context();
  SSL_CTX* context = parts->context.get();
  CHECK(set_versions(context, 0, 0).has_value());
  CHECK(SSL_CTX_set_strict_cipher_list(context, kDefaultCiphers) == 1);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context, Callbacks::keep_ticket);
  SSL_CTX_set_custom_verify(context, SSL_VERIFY_PEER, Callbacks::verify_server);
  constexpr uint8_t kHttp1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  CHECK(SSL_CTX_set_alpn_protos(context, kHttp1, sizeof kHttp1) == 0);
  if (own) {
    std::vector<CRYPTO_BUFFER*> chain;
    for (const auto& each : own->parts().chain) chain.push_back(each.get());
    CHECK(SSL_CTX_set_chain_and_key(context, chain.data(), chain.size(), own->parts().key.get(),
                                    nullptr) == 1);
  }
  parts->servers = std::move(servers);
  return std::shared_ptr<const ClientContext>(new ClientContext(std::move(parts)));
}

}  // namespace sluice::tls
