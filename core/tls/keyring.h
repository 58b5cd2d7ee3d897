// Keyring: the keys that session tickets are sealed with. One ring a client-certificate policy: a
// ticket of a listener that asks for no certificate must not open a session where one is asked for.
// A ring outlives reloads and is shared by the reactors, so that a ticket is good wherever the
// client comes back to.
//
// Owner: Keyrings, which outlives the contexts that use its rings. Threads: any; a lock is taken
// once a handshake. Limits: kKept keys, a new one each kRotateMs; a ticket lives for
// kTicketLifetimeS, which is how long its key is kept at least.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace sluice::tls {

struct TicketKey {
  std::array<uint8_t, 16> name;
  std::array<uint8_t, 32> hmac;
  std::array<uint8_t, 16> aes;
};

class Keyring {
 public:
  static constexpr int64_t kRotateMs = int64_t{4} * 3'600 * 1'000;
  static constexpr uint32_t kKept = 4;
  static constexpr uint32_t kTicketLifetimeS = (kKept - 1) * kRotateMs / 1'000;

  explicit Keyring(int64_t now_ms);
  Keyring(const Keyring&) = delete;
  Keyring& operator=(const Keyring&) = delete;

  /// The key for new tickets.
  TicketKey newest() const;
  struct Found {
    TicketKey key;
    bool newest;
  };
  std::optional<Found> find(const uint8_t name[16]) const;
  /// Makes a new key if the newest is old enough; the oldest goes. `now_ms` is monotonic.
  void rotate(int64_t now_ms);

  /// For the process that takes over (core/handover.h): its tickets are ours, and ours its.
  struct State {
    std::vector<TicketKey> keys;  // the newest first
    int64_t age_ms = 0;           // of the newest
  };
  State state(int64_t now_ms) const;
  /// Takes those keys in place of its own; of more than kKept the first ones.
  void take(const State& state, int64_t now_ms);

 private:
  void add_key(int64_t now_ms);

  mutable std::mutex mutex_;
  std::array<TicketKey, kKept> keys_{};  // the newest first
  uint32_t count_ = 0;
  int64_t made_ms_ = 0;
};

class Keyrings {
 public:
  /// `policy` is the fingerprint of the client CAs, "" where no certificate is asked for.
  Keyring& of(const std::string& policy, int64_t now_ms);
  void rotate(int64_t now_ms);
  /// By policy.
  std::map<std::string, Keyring::State> state(int64_t now_ms) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Keyring>> rings_;
};

}  // namespace sluice::tls
