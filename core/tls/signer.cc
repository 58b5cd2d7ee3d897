#include "core/tls/signer.h"

#include "core/tls/boringssl.h"
#include "core/tls/session.h"

namespace sluice::tls {

SignJob::~SignJob() {
  EVP_PKEY_free(key);
}

std::string sign(evp_pkey_st* key, uint16_t algorithm, std::string_view input) {
  bssl::ScopedEVP_MD_CTX context;
  EVP_PKEY_CTX* rules = nullptr;
  bool good = EVP_DigestSignInit(context.get(), &rules,
                                 SSL_get_signature_algorithm_digest(algorithm), nullptr, key) == 1;
  if (good && SSL_is_signature_algorithm_rsa_pss(algorithm) == 1) {
    // RFC 8446 4.2.3: the salt is as long as the digest.
    good = EVP_PKEY_CTX_set_rsa_padding(rules, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(rules, -1) == 1;
  }
  std::string signature(good ? static_cast<size_t>(EVP_PKEY_size(key)) : 0, 0);
  size_t size = signature.size();
  good = good && EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size,
                                reinterpret_cast<const uint8_t*>(input.data()), input.size()) == 1;
  ERR_clear_error();
  signature.resize(good ? size : 0);
  return signature;
}

Signer::Signer(uint32_t threads) {
  for (uint32_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

Signer::~Signer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    queue_.clear();
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Signer::submit(std::unique_ptr<SignJob>& job) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= kQueued * threads_.size()) return false;
    queue_.push_back(std::move(job));
  }
  ready_.notify_one();
  return true;
}

void Signer::run() {
  for (;;) {
    std::unique_ptr<SignJob> job;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (ending_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    job->signature = sign(job->key, job->algorithm, job->input);
    Reactor& reactor = *job->reactor;
    reactor.post([job = std::move(job)]() mutable { Session::on_signed(std::move(job)); });
  }
}

}  // namespace sluice::tls
