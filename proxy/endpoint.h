// Endpoint: one upstream address as the whole process sees it, and the registry that holds them.
//
// Load, failures and ejection live here, outside the route table and keyed by address, so that a
// route change never drops a pool or a count. Two routes share an endpoint when connections to it
// are interchangeable: same scheme, host, address, port, TLS name and checks, PROXY header or not.
// A host name has an endpoint for each of its addresses (proxy/upstream_names.h).
//
// Owner: EndpointRegistry. Threads: the constants and the atomics of an Endpoint from any thread;
// find_or_add and sweep from the control loop.
//
// Lifetime: one atomic word holds the references (route tables, idle pools: EndpointRef) and the
// exchanges under way (begin/end), so that a request costs one atomic add and one subtract. An
// endpoint is freed on the control loop, once nothing but the registry holds it and nothing is
// under way.
//
// A reactor calls begin() in the same turn in which it picked from its current table, before it can
// acknowledge another; so "every reactor has acknowledged a version without it, and outstanding()
// is zero" means that nothing more will reach it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/route_edit.h"

namespace sluice::proxy {

class EndpointRegistry;

struct EndpointKey {
  Destination destination;
  std::string address;      // where its host is a name: the address meant; empty: none is known
  std::string server_name;  // TLS: SNI and the name checked, where it is not the destination's host
  bool tls_skip_verify = false;
  bool proxy_protocol = false;

  bool operator==(const EndpointKey&) const = default;
};

/// Whether a destination's host is an address, and not a name.
bool is_ip_literal(const std::string& host);

/// The key that a route's options give its destination.
EndpointKey endpoint_key(const Destination& destination, const RouteOptions& options);

class Endpoint {
 public:
  enum class Family : uint8_t { kName, kIpv4, kIpv6 };

  [[nodiscard]] Scheme scheme() const { return scheme_; }
  [[nodiscard]] std::string_view host() const {
    return {reinterpret_cast<const char*>(this + 1), host_size_};
  }
  [[nodiscard]] uint16_t port() const { return port_; }
  /// kName: host() is a name of which no address is known, and nothing can be sent there.
  /// Otherwise ip() holds 4 or 16 bytes in network order.
  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] const std::array<uint8_t, 16>& ip() const { return ip_; }
  /// Whether host() is a name.
  [[nodiscard]] bool named() const { return named_; }
  [[nodiscard]] bool resolved() const { return family_ != Family::kName; }
  /// Of a name, once that is known; otherwise empty.
  [[nodiscard]] std::string address() const;
  [[nodiscard]] std::string_view server_name() const {
    return server_name_ ? std::string_view(*server_name_) : host();
  }
  /// As EndpointKey has it: empty where it is host().
  [[nodiscard]] std::string_view named_server() const {
    return server_name_ ? std::string_view(*server_name_) : std::string_view();
  }
  [[nodiscard]] bool tls() const { return scheme_ == Scheme::kHttps || scheme_ == Scheme::kGrpcs; }
  [[nodiscard]] bool tls_skip_verify() const { return tls_skip_verify_; }
  [[nodiscard]] bool proxy_protocol() const { return proxy_protocol_; }
  [[nodiscard]] Destination destination() const { return {scheme_, std::string(host()), port_}; }

  /// An exchange or a tunnel begins here. See the rule above.
  void begin() const { word_.fetch_add(1, std::memory_order_relaxed); }
  /// It has ended; the endpoint may be gone when this returns, unless an EndpointRef holds it.
  void end() const;
  [[nodiscard]] uint32_t outstanding() const {
    return static_cast<uint32_t>(word_.load(std::memory_order_relaxed) & kOutstandingMask);
  }

  /// No route of the newest table leads here: idle connections are worth closing.
  [[nodiscard]] bool retired() const { return routes_.load(std::memory_order_relaxed) == 0; }

  /// The publisher's count of the targets that lead here and can be picked. drop_route: true for
  /// the last.
  void add_route() const { routes_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] bool drop_route() const {
    return routes_.fetch_sub(1, std::memory_order_relaxed) == 1;
  }

  /// As begin(), unless so many are under way already.
  [[nodiscard]] bool try_begin(uint32_t limit) const {
    const uint64_t before = word_.fetch_add(1, std::memory_order_relaxed);
    if (limit == 0 || (before & kOutstandingMask) < limit) return true;
    end();
    return false;
  }

  /// Passive health. Gateway errors in a row (refused, reset, timed out, 502 to 504) eject it for a
  /// while that grows with each ejection; whoever picks passes it over. Monotonic milliseconds.
  static constexpr uint32_t kFailuresToEject = 5;
  static constexpr int64_t kEjectionMs = 30'000;  // times the number of ejections
  static constexpr uint32_t kMostEjections = 10;  // that count
  static constexpr int64_t kSlowStartMs = 10'000;
  /// True: this one has ejected it.
  bool note_failure(int64_t now_ms) const;
  void note_success(int64_t now_ms) const {
    if (failures_.load(std::memory_order_relaxed) != 0) {
      failures_.store(0, std::memory_order_relaxed);
    }
    if (ejections_.load(std::memory_order_relaxed) != 0) forgive(now_ms);
  }
  [[nodiscard]] bool ejected(int64_t now_ms) const {
    const int64_t until = ejected_until_ms_.load(std::memory_order_relaxed);
    return until > now_ms && until != kRecovered;
  }
  [[nodiscard]] int64_t ejected_until_ms() const {
    return ejected_until_ms_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] uint32_t ejections() const { return ejections_.load(std::memory_order_relaxed); }

  /// What a successor is told of it.
  struct Health {
    int64_t ejected_until_ms = 0;
    uint32_t failures = 0;
    uint32_t ejections = 0;
    bool was_healthy = false;
    bool operator==(const Health&) const = default;
  };
  [[nodiscard]] Health health() const;
  void restore(const Health& health) const;

  /// The publisher's: a target of it was healthy. True: not for the first time.
  bool note_healthy() const { return std::exchange(was_healthy_, true); }
  /// It was unhealthy, and is healthy again: it starts slowly from the next pick on.
  void recover() const { ejected_until_ms_.store(kRecovered, std::memory_order_relaxed); }
  /// Just back, its share grows over kSlowStartMs: the chance that this pick passes it over.
  [[nodiscard]] bool starts_slowly(int64_t now_ms, uint64_t random) const {
    const int64_t back = ejected_until_ms_.load(std::memory_order_relaxed);
    return back != 0 && chance_to_pass_over(back, now_ms, random);
  }

 private:
  friend class EndpointRegistry;
  friend class EndpointRef;

  static constexpr uint64_t kOutstandingMask = 0xffff'ffff;
  static constexpr uint64_t kWatched = uint64_t{1}
                                       << 32;  // tell the registry when nothing is under way
  static constexpr uint64_t kReference = uint64_t{1} << 33;
  static constexpr int64_t kRecovered = INT64_MAX;

  Endpoint(EndpointRegistry& registry, const EndpointKey& key, uint32_t hash);
  ~Endpoint() = default;
  static void destroy(Endpoint* endpoint);

  [[nodiscard]] bool is(const EndpointKey& key) const;
  void add_reference() const { word_.fetch_add(kReference, std::memory_order_relaxed); }
  void drop_reference() const;
  void forgive(int64_t now_ms) const;
  bool chance_to_pass_over(int64_t back_ms, int64_t now_ms, uint64_t random) const;

  mutable std::atomic<uint64_t> word_{kReference};    // the registry's own
  mutable std::atomic<int64_t> ejected_until_ms_{0};  // 0: never; kRecovered: as of the next pick
  mutable std::atomic<uint32_t> failures_{0};         // in a row
  mutable std::atomic<uint32_t> ejections_{0};
  EndpointRegistry& registry_;
  Endpoint* next_ = nullptr;  // in the registry's bucket
  std::unique_ptr<std::string> server_name_;
  std::array<uint8_t, 16> ip_{};
  mutable std::atomic<uint32_t> routes_{0};  // targets of the newest version
  uint32_t hash_;
  uint16_t port_;
  uint16_t host_size_;
  Scheme scheme_;
  Family family_ = Family::kName;
  bool named_ = false;  // host() is a name
  bool tls_skip_verify_;
  bool proxy_protocol_;
  mutable bool was_healthy_ = false;
};

/// Keeps an endpoint alive across turns where nothing is under way: idle connections hold one.
class EndpointRef {
 public:
  EndpointRef() = default;
  explicit EndpointRef(const Endpoint& endpoint) : endpoint_(&endpoint) {
    endpoint.add_reference();
  }
  EndpointRef(const EndpointRef& other) : endpoint_(other.endpoint_) {
    if (endpoint_ != nullptr) endpoint_->add_reference();
  }
  EndpointRef(EndpointRef&& other) noexcept : endpoint_(std::exchange(other.endpoint_, nullptr)) {}
  EndpointRef& operator=(EndpointRef other) noexcept {
    std::swap(endpoint_, other.endpoint_);
    return *this;
  }
  ~EndpointRef() {
    if (endpoint_ != nullptr) endpoint_->drop_reference();
  }

  [[nodiscard]] const Endpoint* get() const { return endpoint_; }
  const Endpoint* operator->() const { return endpoint_; }
  const Endpoint& operator*() const { return *endpoint_; }
  explicit operator bool() const { return endpoint_ != nullptr; }
  bool operator==(const EndpointRef&) const = default;

 private:
  const Endpoint* endpoint_ = nullptr;
};

class EndpointRegistry {
 public:
  /// `wake` is called from any thread when an endpoint may have become idle or free; it makes the
  /// control loop call sweep() soon, and may be called again before that has happened.
  explicit EndpointRegistry(std::function<void()> wake);
  /// Every reference is gone by now, and nothing is under way (checked).
  ~EndpointRegistry();
  EndpointRegistry(const EndpointRegistry&) = delete;
  EndpointRegistry& operator=(const EndpointRegistry&) = delete;

  EndpointRef find_or_add(const EndpointKey& key);

  /// Null: there is none.
  [[nodiscard]] const Endpoint* find(const EndpointKey& key) const;
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Endpoint* first : buckets_) {
      for (const Endpoint* each = first; each != nullptr; each = each->next_) visit(*each);
    }
  }

  /// Asks to be woken when nothing is under way there. True: that is so already.
  bool watch_idle(const Endpoint& endpoint);

  /// Frees what nothing holds any more.
  void sweep();

  [[nodiscard]] size_t size() const { return size_; }

 private:
  friend class Endpoint;

  /// Whether it may be gone already is known by its bucket alone: the pointer is not followed.
  struct Candidate {
    const Endpoint* endpoint;
    uint32_t hash;
  };

  void add_candidate(Candidate candidate);
  void grow();
  void consider(Candidate candidate);

  std::function<void()> wake_;
  std::vector<Endpoint*> buckets_;  // a power of two
  size_t size_ = 0;
  std::mutex mutex_;
  std::vector<Candidate> candidates_;  // guarded by mutex_; may hold one twice
};

}  // namespace sluice::proxy
