// Signer: threads that sign with RSA keys, so that a handshake does not hold up the other
// connections of its reactor: an RSA signature of 2048 bits takes half a millisecond, one of P-256
// a tenth of that, which is made in place.
//
// Measured on two busy cores, one reactor, plain requests beside three clients that make new RSA
// connections as fast as they can: the median request went from 4 to 6 ms down to 0.1 to 0.5 ms,
// with as many handshakes; a second thread there gained nothing.
//
// Owner: the proxy; destroyed after the reactors' threads have ended and before the reactors are.
// Threads: submit() from any. Limit: kQueued jobs a thread; what is over signs in place, so a storm
// of handshakes costs no more than without.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/reactor.h"

struct evp_pkey_st;

namespace sluice::tls {

class Session;

struct SignJob {
  ~SignJob();
  evp_pkey_st* key = nullptr;  // a reference of its own
  uint16_t algorithm = 0;
  std::string input;
  std::string signature;  // "": failed
  Reactor* reactor = nullptr;
  Session* session = nullptr;  // of the reactor's thread alone; nullptr once it is gone
};

/// The signature, "" on failure.
std::string sign(evp_pkey_st* key, uint16_t algorithm, std::string_view input);

class Signer {
 public:
  static constexpr size_t kQueued = 32;

  explicit Signer(uint32_t threads);
  ~Signer();
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

  /// False, and the job stays the caller's, where the queue is full. The session is told on its
  /// reactor.
  bool submit(std::unique_ptr<SignJob>& job);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::unique_ptr<SignJob>> queue_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sluice::tls
