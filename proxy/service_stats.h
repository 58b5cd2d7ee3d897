// ServiceStats: what one reactor counts for each service: answers by class of status, the time they
// took, tunnels and their bytes. Readers add the reactors up (Proxy::read_stats).
//
// Owner: Worker. Thread: the reactor's. Limits: kServices names; what comes beyond them is counted
// together under "(other)", so that no churn of names grows memory or the metrics page.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sluice::proxy {

struct ServiceCounts {
  static constexpr size_t kBuckets = 32;

  std::array<uint64_t, 6> answers{};           // by status / 100; [0]: any other
  uint64_t time_ms = 0;                        // of all answers together
  std::array<uint64_t, kBuckets + 1> times{};  // answers by bucket; the last: above all bounds
  uint64_t tunnels = 0;                        // that have ended
  uint64_t tunnels_failed = 0;                 // that never got an upstream
  uint64_t bytes_up = 0;                       // of tunnels that have ended
  uint64_t bytes_down = 0;

  void add(const ServiceCounts& other);
};

class ServiceStats {
 public:
  static constexpr size_t kServices = 1024;
  enum class Slot : uint16_t { kNone = 0, kOther = 1 };

  /// The upper bounds of the time buckets, rising; at most ServiceCounts::kBuckets.
  explicit ServiceStats(std::vector<int64_t> bounds_ms);

  /// "" is kNone: no service, because none was routed to.
  Slot slot(std::string_view service);
  void count_answer(Slot slot, uint16_t status, int64_t time_ms);
  void count_tunnel(Slot slot, uint64_t bytes_up, uint64_t bytes_down);
  void count_failed_tunnel(Slot slot) { ++counts_[static_cast<size_t>(slot)].tunnels_failed; }

  /// By slot.
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<ServiceCounts>& counts() const { return counts_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  std::vector<int64_t> bounds_ms_;
  std::unordered_map<std::string, Slot, Hash, std::equal_to<>> slots_;
  std::vector<std::string> names_;
  std::vector<ServiceCounts> counts_;
  Slot last_ = Slot::kNone;  // what was asked for last is mostly asked for next
};

}  // namespace sluice::proxy
