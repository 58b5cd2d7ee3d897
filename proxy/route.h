// The nodes of a route table: Target (one instance under one route), Route (one path of one host),
// Host.
//
// All immutable once published and counted (proxy/ref.h); a new table shares every node that the
// edit does not touch. Readers get them from RouteTable as plain pointers that live as long as the
// table is pinned.
//
// Bytes a node costs beside its text, on x86-64, which sits behind it: Host 48, Route 48,
// Target 56. See bench/route_bench.cc for what a route costs in all.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/regex.h"
#include "proxy/endpoint.h"
#include "proxy/glob.h"
#include "proxy/ref.h"
#include "proxy/route_edit.h"
#include "proxy/traffic_limits.h"

namespace sluice::proxy {

/// A text that several nodes share: the name of a service.
class Label final : public Counted {
 public:
  static Ref<Label> make(std::string_view text);
  static void destroy(const Label* label);
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(this + 1), size_};
  }

 private:
  explicit Label(uint32_t size) : size_(size) {}
  ~Label() = default;
  uint32_t size_;
};

/// A service instance, as the drain knows it. Its counters belong to the control loop.
class Instance final : public Counted {
 public:
  static Ref<Instance> make(std::string_view id);
  static void destroy(const Instance* instance);
  [[nodiscard]] std::string_view id() const {
    return {reinterpret_cast<const char*>(this + 1), size_};
  }

  mutable uint32_t targets = 0;  // in the newest version
  mutable uint32_t open = 0;     // those among them that can be picked
  mutable uint64_t left = 0;     // the version in which that became zero

 private:
  explicit Instance(uint32_t size) : size_(size) {}
  ~Instance() = default;
  uint32_t size_;
};

struct SharedOptions final : Counted {
  explicit SharedOptions(RouteOptions options) : value(std::move(options)) {}
  static void destroy(const SharedOptions* options) { delete options; }
  const RouteOptions value;
};

struct SharedTags final : Counted {
  explicit SharedTags(std::vector<std::string> tags) : value(std::move(tags)) {}
  static void destroy(const SharedTags* tags) { delete tags; }
  const std::vector<std::string> value;
};

class Target final : public Counted {
 public:
  struct Parts {
    Ref<Label> service;
    Ref<Instance> instance;  // null: none given
    EndpointRef endpoint;    // null: a redirect
    Ref<SharedOptions> options;
    Ref<SharedTags> tags;  // null: none
    double fixed_weight = 0;
    uint32_t position = 0;  // 0, or the line of the command that made it (proxy/route_command.h)
    bool healthy = true;
    bool draining = false;  // not healthy, but nothing is wrong with it
    bool canary = false;
    uint16_t among = 1;  // the addresses of a host name, each a target, share its weight
  };

  static Ref<Target> make(Parts parts) { return Ref<Target>::adopt(new Target(std::move(parts))); }
  static void destroy(const Target* target) { delete target; }

  [[nodiscard]] std::string_view service() const { return parts_.service->text(); }
  [[nodiscard]] std::string_view instance() const {
    return parts_.instance ? parts_.instance->id() : std::string_view();
  }
  /// Null: the target is a redirect (options().redirect_code).
  [[nodiscard]] const Endpoint* endpoint() const { return parts_.endpoint.get(); }
  [[nodiscard]] const RouteOptions& options() const { return parts_.options->value; }
  [[nodiscard]] std::span<const std::string> tags() const {
    return parts_.tags ? std::span<const std::string>(parts_.tags->value)
                       : std::span<const std::string>();
  }
  [[nodiscard]] double fixed_weight() const { return parts_.fixed_weight; }
  [[nodiscard]] bool healthy() const { return parts_.healthy; }
  /// Whether anything can be sent there: false for a host name without a known address.
  [[nodiscard]] bool resolved() const { return endpoint() == nullptr || endpoint()->resolved(); }
  [[nodiscard]] uint16_t among() const { return parts_.among; }
  [[nodiscard]] uint32_t position() const { return parts_.position; }
  [[nodiscard]] const Parts& parts() const { return parts_; }

  /// `http://10.0.0.1:5000/`, or a redirect's URL: as the trace and the routes page show it.
  [[nodiscard]] std::string destination() const;
  /// What tells it from the targets of the same host name's other addresses: the destination, and
  /// behind a blank the address. The same on every balancer.
  [[nodiscard]] std::string identity() const;

 private:
  explicit Target(Parts parts) : parts_(std::move(parts)) {}
  ~Target() = default;
  Parts parts_;
};

/// What a route needs beyond equal shares and the prefix matcher; most have none.
struct RouteExtra {
  std::vector<double> weights;  // of the live targets; empty: equal shares
  std::vector<uint32_t> slots;  // running sums of their slots (proxy/weights.h)
  std::optional<Glob> glob;     // of kGlob
  std::optional<Regex> regex;   // of kRegex
  HashInput hash_input = HashInput::kNone;
  std::string hash_name;         // the header's or cookie's
  std::vector<uint16_t> maglev;  // of kHash
  std::string sticky_cookie;
  std::vector<uint64_t> ids;  // of the live targets, as a sticky cookie names them
  Ref<RouteLimits> limits;    // null: none
};

class Route final : public Counted {
 public:
  /// The first `live` targets can be picked; the others are kept for the listing (not healthy) or
  /// stand behind an equal one.
  struct Parts {
    std::vector<Ref<Target>> targets;
    uint32_t live = 0;
    Matcher matcher = Matcher::kPrefix;
    Strategy strategy = Strategy::kRandom;
    std::unique_ptr<RouteExtra> extra;
  };

  static Ref<Route> make(std::string_view path, Parts parts);
  static void destroy(const Route* route);

  [[nodiscard]] std::string_view path() const {
    return {reinterpret_cast<const char*>(this + 1), path_size_};
  }
  [[nodiscard]] Matcher matcher() const { return matcher_; }
  [[nodiscard]] Strategy strategy() const { return strategy_; }
  /// Those that can be picked. Empty: the route exists and nothing is healthy (503).
  [[nodiscard]] std::span<Target* const> targets() const { return targets_.view().first(live_); }
  [[nodiscard]] std::span<Target* const> all_targets() const { return targets_.view(); }
  [[nodiscard]] double weight(size_t index) const {
    if (index >= live_) return 0;
    return extra_ && !extra_->weights.empty() ? extra_->weights[index] : 1.0 / live_;
  }
  /// Whether a target before it is the same but for the address of the host name.
  [[nodiscard]] bool is_other_address(size_t index) const;
  /// Running sums of slots, one a live target; empty: equal shares.
  [[nodiscard]] std::span<const uint32_t> slots() const {
    return extra_ ? std::span<const uint32_t>(extra_->slots) : std::span<const uint32_t>();
  }
  /// Null: it needs nothing of this.
  [[nodiscard]] const RouteExtra* extra() const { return extra_.get(); }
  /// The round robin's counter: shared by the reactors, so that few requests also go round.
  uint32_t next_turn() const { return turn_.fetch_add(1, std::memory_order_relaxed); }
  void continue_turn(const Route& before) const {
    turn_.store(before.turn_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }

 private:
  Route(Parts parts, uint32_t path_size);
  ~Route() = default;

  mutable std::atomic<uint32_t> turn_{0};
  RefArray<Target> targets_;
  std::unique_ptr<RouteExtra> extra_;
  uint32_t live_;
  uint16_t path_size_;
  Matcher matcher_;
  Strategy strategy_;
};

/// Orders the routes of one host: by path, then by matcher.
struct RouteOrder {
  std::string_view path;
  Matcher matcher;
  auto operator<=>(const RouteOrder&) const = default;
};
inline RouteOrder order_of(const Route& route) {
  return {route.path(), route.matcher()};
}

/// A run of routes of a host that has many, so that an edit copies one run and not all.
class Chunk final : public Counted {
 public:
  static Ref<Chunk> make(std::vector<Ref<Route>> routes);
  static void destroy(const Chunk* chunk) { delete chunk; }
  [[nodiscard]] std::span<Route* const> routes() const { return routes_.view(); }
  [[nodiscard]] std::vector<Ref<Route>> copy() const { return routes_.copy(); }

 private:
  explicit Chunk(std::vector<Ref<Route>> routes) : routes_(std::move(routes)) {}
  ~Chunk() = default;
  RefArray<Route> routes_;
};

enum class HostKind : uint8_t {
  kExact,     // mysite.com, mysite.com:9999, :3306, and the empty host
  kWildcard,  // *.x, where x is plain
  kGlob,      // anything else that holds a glob character, `*` alone too
};

/// How a host key's text is taken apart.
struct HostPattern {
  HostKind kind = HostKind::kExact;
  std::string_view text;  // as written
  std::string_view name;  // without the port; wildcard: the x; a glob in the port: all of it
  uint16_t port = 0;      // 0: none
};
HostPattern parse_pattern(std::string_view text);

/// Hash of a name from its last byte to its first, so that one pass over a host gives the hash of
/// each of its suffixes.
inline constexpr uint64_t kHashSeed = 0xcbf29ce484222325;
constexpr uint64_t hash_step(uint64_t state, char c) {
  return (state ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
}
constexpr uint64_t hash_finish(uint64_t state, uint16_t port) {
  state ^= port * 0x9e3779b97f4a7c15;
  state = (state ^ (state >> 32)) * 0xd6e8feb86659fd93;  // a multiply and shift, as in SplitMix64
  return state ^ (state >> 32);
}
uint64_t hash_name(std::string_view name, uint16_t port);

class Host final : public Counted {
 public:
  /// Routes in RouteOrder, without duplicates. `more` are the routes of other matchers than
  /// kPrefix.
  struct Parts {
    std::vector<Ref<Route>> routes;  // when they are few
    std::vector<Ref<Chunk>> chunks;  // when they are many
    std::vector<Ref<Route>> more;
  };

  static Ref<Host> make(std::string_view pattern, Parts parts);
  static void destroy(const Host* host);

  /// The key as written: what the trace shows.
  [[nodiscard]] std::string_view pattern() const {
    return {reinterpret_cast<const char*>(this + 1), size_};
  }
  [[nodiscard]] HostKind kind() const { return kind_; }
  [[nodiscard]] std::string_view name() const {
    return pattern().substr(kind_ == HostKind::kWildcard ? 2 : 0, name_size_);
  }
  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] uint64_t hash() const { return hash_name(name(), port_); }

  /// The route that a normal path matches: the one whose path is greatest, which among prefixes is
  /// the longest. Null: none.
  [[nodiscard]] const Route* match(std::string_view path) const;
  [[nodiscard]] const Route* find(RouteOrder order) const;
  [[nodiscard]] size_t route_count() const;

  [[nodiscard]] std::span<Route* const> routes() const { return routes_.view(); }
  [[nodiscard]] std::span<Chunk* const> chunks() const {
    return extra_ ? extra_->chunks.view() : std::span<Chunk* const>();
  }
  [[nodiscard]] std::span<Route* const> more() const {
    return extra_ ? extra_->more.view() : std::span<Route* const>();
  }

  /// Longest path first, the order in which fabio tries them. Stops when `visit` returns false.
  template <class Visit>
  void for_each_route(Visit visit) const;

 private:
  struct Extra {
    RefArray<Chunk> chunks;
    RefArray<Route> more;
  };
  Host(const HostPattern& pattern, Parts parts);
  ~Host() = default;

  RefArray<Route> routes_;
  std::unique_ptr<Extra> extra_;
  uint16_t size_;
  uint16_t name_size_;
  uint16_t port_;
  HostKind kind_;
};

/// Whether a route's own matcher takes the path.
bool matches(const Route& route, std::string_view path);

template <class Visit>
void Host::for_each_route(Visit visit) const {
  // Three descending runs at most: the flat one or the chunks, merged with `more`.
  std::span<Route* const> special = more();
  const auto emit = [&](const Route& route) {
    while (!special.empty() && order_of(*special.back()) > order_of(route)) {
      if (!visit(*special.back())) return false;
      special = special.first(special.size() - 1);
    }
    return static_cast<bool>(visit(route));
  };
  const auto run = [&](std::span<Route* const> routes) {
    for (size_t i = routes.size(); i > 0; --i) {
      if (!emit(*routes[i - 1])) return false;
    }
    return true;
  };
  const std::span<Chunk* const> runs = chunks();
  for (size_t i = runs.size(); i > 0; --i) {
    if (!run(runs[i - 1]->routes())) return;
  }
  if (!run(routes())) return;
  for (size_t i = special.size(); i > 0; --i) {
    if (!visit(*special[i - 1])) return;
  }
}

}  // namespace sluice::proxy
