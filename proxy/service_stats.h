// ServiceStats: what one reactor counts for each route of each service: answers by class of status,
// the time they took, tunnels and their bytes. Readers add the reactors up (Proxy::read_stats).
//
// Owner: Worker. Thread: the reactor's. Limits: kRoutes pairs of both; what comes beyond them is
// counted under its service and the route "(other)", and beyond kServices of those under "(other)"
// alone, so that no churn of names grows memory or the metrics page.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sluice::proxy {

struct RouteDecision;

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
  static constexpr size_t kRoutes = 4096;
  static constexpr std::string_view kOtherName = "(other)";
  enum class Slot : uint16_t { kNone = 0, kOther = 1 };

  /// The upper bounds of the time buckets, rising; at most ServiceCounts::kBuckets.
  explicit ServiceStats(std::vector<int64_t> bounds_ms);

  /// kNone: no service, because none was routed to.
  Slot slot(const RouteDecision& decision);
  void count_answer(Slot slot, uint16_t status, int64_t time_ms);
  void count_tunnel(Slot slot, uint64_t bytes_up, uint64_t bytes_down);
  void count_failed_tunnel(Slot slot) { ++counts_[static_cast<size_t>(slot)].tunnels_failed; }

  struct Name {
    std::string service;
    std::string route;    // host and path; "": a tunnel, which has none
    bool canary = false;  // of instances that are counted apart
    auto operator<=>(const Name&) const = default;
  };
  /// By slot.
  const std::vector<Name>& names() const { return names_; }
  const std::vector<ServiceCounts>& counts() const { return counts_; }

 private:
  /// A route's key in its parts, so that looking it up allocates nothing.
  struct Key {
    std::string_view service;
    std::string_view host;
    std::string_view path;
    bool canary;
    bool is(const Name& name) const;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const Key& key) const;
    size_t operator()(const Name& name) const {
      return (*this)(Key{name.service, name.route, {}, name.canary});
    }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Key& key, const Name& name) const { return key.is(name); }
    bool operator()(const Name& name, const Key& key) const { return key.is(name); }
    bool operator()(const Name& a, const Name& b) const { return a == b; }
  };
  Slot find_or_add(const Key& key);

  std::vector<int64_t> bounds_ms_;
  std::unordered_map<Name, Slot, Hash, Equal> slots_;
  std::vector<Name> names_;
  std::vector<ServiceCounts> counts_;
  Slot last_ = Slot::kNone;  // what was asked for last is mostly asked for next
};

}  // namespace sluice::proxy
