// Limits: how many requests a second, and how many at once, a route or a client's address may have.
//
// RouteLimits is one route's: it lives beside the route table, so that an edit resets nothing.
// AddressLimits is the process's, for -proxy.limit.*. Both are process-wide atomics without a lock.
//
// Per address there is a table of fixed size with two rows, in which an address is found by two
// hashes: two clients share a place in both rows once in some hundred (at 2,000 clients at once),
// and then share what is allowed. The hashes are seeded, so that nobody can choose whom to meet.
//
// Threads: any. Owner: RouteLimits is counted; AddressLimits is the balancer's and outlives the
// proxy.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "core/socket.h"
#include "proxy/ref.h"
#include "proxy/route_edit.h"

namespace sluice::proxy {

/// A rate as the generic cell rate algorithm counts it (ITU-T I.371): each request moves a time
/// forward by the interval, and is refused where that time is further ahead than the burst allows.
class RateRule {
 public:
  RateRule() = default;
  explicit RateRule(const Rate& rate);
  [[nodiscard]] bool on() const { return interval_ns_ != 0; }
  [[nodiscard]] bool admits(int64_t ahead_until_ns, int64_t now_ns) const {
    return ahead_until_ns - now_ns <= tolerance_ns_;
  }
  /// Moves the time forward for one request.
  void count(std::atomic<int64_t>& ahead_until_ns, int64_t now_ns) const;

 private:
  int64_t interval_ns_ = 0;
  int64_t tolerance_ns_ = 0;
};

/// Two rows of places for addresses.
template <class T>
class AddressTable {
 public:
  static constexpr uint32_t kPlaces = 32 * 1024;
  explicit AddressTable(uint64_t seed) : seed_(seed) {}
  struct Places {
    std::atomic<T>* one;
    std::atomic<T>* two;
    [[nodiscard]] T least() const {
      return std::min(one->load(std::memory_order_relaxed), two->load(std::memory_order_relaxed));
    }
  };
  Places find(uint64_t address_hash);

 private:
  const uint64_t seed_;
  std::array<std::atomic<T>, kPlaces> one_{};
  std::array<std::atomic<T>, kPlaces> two_{};
};

uint64_t hash_address(const SocketAddress& address);

class AddressRate {
 public:
  AddressRate(const Rate& rate, uint64_t seed) : rule_(rate), table_(seed) {}
  bool admit(uint64_t address_hash, int64_t now_ms);

 private:
  const RateRule rule_;
  AddressTable<int64_t> table_;
};

class AddressCount {
 public:
  AddressCount(uint32_t most, uint64_t seed) : most_(most), table_(seed) {}
  /// True: counted, until leave().
  bool enter(uint64_t address_hash);
  void leave(uint64_t address_hash);

 private:
  const uint32_t most_;
  AddressTable<uint32_t> table_;
};

enum class Admission : uint8_t { kYes, kTooFast, kTooMany };

class RouteLimits final : public Counted {
 public:
  /// Null if the options limit nothing.
  static Ref<RouteLimits> make(const LimitOptions& options, uint64_t seed);
  static void destroy(const RouteLimits* limits) { delete limits; }

  [[nodiscard]] const LimitOptions& options() const { return options_; }
  /// kYes: the request is counted, until leave().
  Admission enter(uint64_t address_hash, int64_t now_ms) const;
  void leave(uint64_t address_hash) const;

  /// A request that waits for an endpoint at its limit. False: as many wait as may.
  bool join_queue() const;
  /// Whether somebody is to be told that an instance is wanted: not more often than each
  /// kAskAgainMs.
  bool ask(int64_t now_ms) const;
  static constexpr int64_t kAskAgainMs = 200;
  void leave_queue() const { waiting_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  RouteLimits(const LimitOptions& options, uint64_t seed);
  ~RouteLimits() = default;

  const LimitOptions options_;
  const RateRule rate_;
  mutable std::atomic<int64_t> ahead_until_ns_{0};
  mutable std::atomic<uint32_t> requests_{0};
  mutable std::atomic<uint32_t> waiting_{0};
  mutable std::atomic<int64_t> asked_at_ms_{INT64_MIN / 2};
  std::unique_ptr<AddressRate> address_rate_;
  std::unique_ptr<AddressCount> address_count_;
};

/// For every listener: connections at once and requests a second of one address.
class AddressLimits {
 public:
  struct Options {
    uint32_t connections = 0;  // 0: any number
    Rate rate;
  };
  AddressLimits(const Options& options, uint64_t seed);

  bool connect(uint64_t address_hash) { return !count_ || count_->enter(address_hash); }
  void disconnect(uint64_t address_hash) {
    if (count_) count_->leave(address_hash);
  }
  bool request(uint64_t address_hash, int64_t now_ms) {
    return !rate_ || rate_->admit(address_hash, now_ms);
  }

 private:
  std::unique_ptr<AddressRate> rate_;
  std::unique_ptr<AddressCount> count_;
};

}  // namespace sluice::proxy
