#include "core/tls/certificate.h"

#include <algorithm>
#include <utility>

#include "core/ascii.h"
#include "core/tls/boringssl.h"

namespace sluice::tls {

namespace {

// Never asks for a passphrase on the terminal.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

struct PemBlock {
  std::string name;
  bssl::UniquePtr<CRYPTO_BUFFER> bytes;
};

Result<std::vector<PemBlock>> read_blocks(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) {
    return fail(Code::kLimit, "the text has more than {} bytes", kMaxPemBytes);
  }
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<PemBlock> blocks;
  char* name = nullptr;
  char* header = nullptr;
  uint8_t* bytes = nullptr;
  long size = 0;
  while (PEM_read_bio(bio.get(), &name, &header, &bytes, &size) == 1) {
    const bssl::UniquePtr<char> name_owner(name);
    const bssl::UniquePtr<char> header_owner(header);
    const bssl::UniquePtr<uint8_t> bytes_owner(bytes);
    blocks.push_back({name, bssl::UniquePtr<CRYPTO_BUFFER>(
                                CRYPTO_BUFFER_new(bytes, static_cast<size_t>(size), nullptr))});
  }
  const uint32_t error = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  const char* reason = take_error();
  if (!at_end) return fail(Code::kInvalid, "not PEM: {}", reason);
  return blocks;
}

bool is_certificate(const PemBlock& block) {
  return block.name == PEM_STRING_X509 || block.name == PEM_STRING_X509_OLD ||
         block.name == PEM_STRING_X509_TRUSTED;
}

Result<bssl::UniquePtr<EVP_PKEY>> read_key(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) {
    return fail(Code::kLimit, "the key's text has more than {} bytes", kMaxPemBytes);
  }
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  const char* reason = take_error();
  if (!key) return fail(Code::kInvalid, "no private key without a passphrase: {}", reason);
  return key;
}

void add_name(std::vector<std::string>& names, std::string_view name) {
  if (name.empty() || name.find('\0') != std::string_view::npos) return;
  std::string lowered = ascii::lower(name);
  if (std::find(names.begin(), names.end(), lowered) == names.end())
    names.push_back(std::move(lowered));
}

std::string_view view(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

std::vector<std::string> names_of(X509* leaf) {
  std::vector<std::string> names;
  auto* found =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr));
  const bssl::UniquePtr<GENERAL_NAMES> alternatives(found);
  for (size_t i = 0; found != nullptr && i < sk_GENERAL_NAME_num(found); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(found, i);
    if (name->type == GEN_DNS) add_name(names, view(name->d.dNSName));
  }
  X509_NAME* subject = X509_get_subject_name(leaf);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0) {
    uint8_t* utf8 = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    const bssl::UniquePtr<uint8_t> owner(utf8);
    if (size > 0) add_name(names, {reinterpret_cast<char*>(utf8), static_cast<size_t>(size)});
  }
  ERR_clear_error();
  return names;
}

}  // namespace

const char* take_error() {
  const uint32_t error = ERR_peek_last_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  ERR_clear_error();
  return reason == nullptr ? "no reason given" : reason;
}

Certificate::Certificate(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Certificate::~Certificate() = default;

const std::vector<std::string>& Certificate::names() const {
  return parts_->names;
}

Result<std::shared_ptr<const Certificate>> Certificate::load(std::string_view certificate_pem,
                                                             std::string_view key_pem) {
  Result<std::vector<PemBlock>> blocks = read_blocks(certificate_pem);
  if (!blocks) return pass(blocks);
  auto parts = std::make_unique<Parts>();
  bssl::UniquePtr<X509> leaf;
  for (PemBlock& block : *blocks) {
    if (!is_certificate(block)) continue;
    bssl::UniquePtr<X509> parsed(X509_parse_from_buffer(block.bytes.get()));
    const char* reason = take_error();
    if (!parsed) return fail(Code::kInvalid, "not a certificate: {}", reason);
    if (!leaf) leaf = std::move(parsed);
    parts->chain.push_back(std::move(block.bytes));
    if (parts->chain.size() > kMaxChain) {
      return fail(Code::kLimit, "more than {} certificates in one chain", kMaxChain);
    }
  }
  if (!leaf) return fail(Code::kInvalid, "no certificate in it");
  Result<bssl::UniquePtr<EVP_PKEY>> key = read_key(key_pem);
  if (!key) return pass(key);
  const bssl::UniquePtr<EVP_PKEY> public_key(X509_get_pubkey(leaf.get()));
  const char* reason = take_error();
  if (!public_key) return fail(Code::kInvalid, "its public key cannot be used: {}", reason);
  if (EVP_PKEY_cmp(public_key.get(), key->get()) != 1) {
    ERR_clear_error();
    return fail(Code::kInvalid, "the private key is not the certificate's");
  }
  parts->key = std::move(*key);
  parts->names = names_of(leaf.get());
  return std::shared_ptr<const Certificate>(new Certificate(std::move(parts)));
}

std::string comparable_name(std::string_view server_name) {
  while (server_name.ends_with('.')) server_name.remove_suffix(1);
  return ascii::lower(server_name);
}

CertificateSet::CertificateSet(std::vector<std::shared_ptr<const Certificate>> certificates)
    : certificates_(std::move(certificates)) {
  for (uint32_t i = 0; i < certificates_.size(); ++i) {
    for (const std::string& name : certificates_[i]->names()) by_name_.emplace(name, i);
  }
}

const Certificate* CertificateSet::find(std::string_view server_name, bool strict) const {
  const std::string name = comparable_name(server_name);
  // What stands behind the labels that are stars already.
  std::string stars;
  for (std::string_view rest = name; !name.empty();) {
    const auto found = by_name_.find(stars + std::string(rest));
    if (found != by_name_.end()) return certificates_[found->second].get();
    if (rest.empty()) break;
    const size_t dot = rest.find('.', 1);
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot);
    stars += stars.empty() ? "*" : ".*";
  }
  if (strict || certificates_.empty()) return nullptr;
  return certificates_.front().get();
}

Authorities::Authorities(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Authorities::~Authorities() = default;

size_t Authorities::count() const {
  return parts_->count;
}

const std::string& Authorities::fingerprint() const {
  return parts_->fingerprint;
}

namespace {

Result<std::unique_ptr<Authorities::Parts>> read_authorities(std::string_view pem, bool tolerant) {
  auto parts = std::make_unique<Authorities::Parts>();
  parts->store.reset(X509_STORE_new());
  // Whoever is named is trusted, be it a root or not.
  X509_STORE_set_flags(parts->store.get(), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  std::vector<std::string> digests;
  Result<std::vector<PemBlock>> blocks = read_blocks(pem);
  if (!blocks && !tolerant) return pass(blocks);
  if (!blocks) blocks = std::vector<PemBlock>();
  for (const PemBlock& block : *blocks) {
    if (!is_certificate(block)) continue;
    const bssl::UniquePtr<X509> certificate(X509_parse_from_buffer(block.bytes.get()));
    const char* reason = take_error();
    if (!certificate && tolerant) continue;
    if (!certificate) return fail(Code::kInvalid, "not a certificate: {}", reason);
    std::string digest(SHA256_DIGEST_LENGTH, 0);
    SHA256(CRYPTO_BUFFER_data(block.bytes.get()), CRYPTO_BUFFER_len(block.bytes.get()),
           reinterpret_cast<uint8_t*>(digest.data()));
    if (std::find(digests.begin(), digests.end(), digest) != digests.end()) continue;
    digests.push_back(std::move(digest));
    X509_STORE_add_cert(parts->store.get(), certificate.get());
    uint8_t* der = nullptr;
    const int size = i2d_X509_NAME(X509_get_subject_name(certificate.get()), &der);
    const bssl::UniquePtr<uint8_t> owner(der);
    if (size > 0) {
      parts->subjects.emplace_back(CRYPTO_BUFFER_new(der, static_cast<size_t>(size), nullptr));
    }
  }
  ERR_clear_error();
  parts->count = digests.size();
  std::sort(digests.begin(), digests.end());
  std::string all;
  for (const std::string& digest : digests) all += digest;
  parts->fingerprint.resize(SHA256_DIGEST_LENGTH);
  SHA256(reinterpret_cast<const uint8_t*>(all.data()), all.size(),
         reinterpret_cast<uint8_t*>(parts->fingerprint.data()));
  return parts;
}

}  // namespace

Result<std::shared_ptr<const Authorities>> Authorities::load(std::string_view pem) {
  Result<std::unique_ptr<Parts>> parts = read_authorities(pem, false);
  if (!parts) return pass(parts);
  if ((*parts)->count == 0) return fail(Code::kInvalid, "no certificate in it");
  return std::shared_ptr<const Authorities>(new Authorities(std::move(*parts)));
}

std::shared_ptr<const Authorities> Authorities::load_bundle(std::string_view pem) {
  Result<std::unique_ptr<Parts>> parts = read_authorities(pem, true);
  return std::shared_ptr<const Authorities>(new Authorities(std::move(*parts)));
}

namespace {

uint8_t alert_of(int verify_error) {
  switch (verify_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return SSL_AD_CERTIFICATE_EXPIRED;
    case X509_V_ERR_CERT_REVOKED: return SSL_AD_CERTIFICATE_REVOKED;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: return SSL_AD_UNKNOWN_CA;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return SSL_AD_BAD_CERTIFICATE;
    default: return SSL_AD_CERTIFICATE_UNKNOWN;
  }
}

}  // namespace

const char* check_chain(SSL* ssl, const Authorities& authorities, const std::string& name,
                        bool peer_is_server, uint8_t* alert) {
  const STACK_OF(CRYPTO_BUFFER)* sent = SSL_get0_peer_certificates(ssl);
  const bssl::UniquePtr<STACK_OF(X509)> chain(sk_X509_new_null());
  *alert = SSL_AD_BAD_CERTIFICATE;
  for (size_t i = 0; i < sk_CRYPTO_BUFFER_num(sent); ++i) {
    bssl::UniquePtr<X509> parsed(X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(sent, i)));
    if (!parsed) return take_error();
    bssl::PushToStack(chain.get(), std::move(parsed));
  }
  X509* leaf = sk_X509_num(chain.get()) > 0 ? sk_X509_value(chain.get(), 0) : nullptr;
  if (leaf == nullptr) return "the peer sent no certificate";
  const bssl::UniquePtr<X509_STORE_CTX> check(X509_STORE_CTX_new());
  X509_STORE_CTX_init(check.get(), authorities.parts().store.get(), leaf, chain.get());
  X509_STORE_CTX_set_default(check.get(), peer_is_server ? "ssl_server" : "ssl_client");
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(check.get());
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (!name.empty() && X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str()) != 1) {
    ERR_clear_error();
    X509_VERIFY_PARAM_set1_host(rules, name.data(), name.size());
  }
  const bool good = X509_verify_cert(check.get()) == 1;
  ERR_clear_error();
  if (good) return nullptr;
  const int error = X509_STORE_CTX_get_error(check.get());
  *alert = alert_of(error);
  return X509_verify_cert_error_string(error);
}

}  // namespace sluice::tls
