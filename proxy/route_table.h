// RouteTable: all routes at one version. Immutable, and structurally shared: an edit makes new
// nodes only for the hosts that it touches and for the way to them (proxy/table_builder.h).
//
// Exact hosts and `*.x` wildcards are looked up by hash (a wildcard by each suffix of the host,
// which one pass over it hashes: a trie of labels laid out flat), general globs one by one, the
// empty host last.
//
// Owner: the publisher. Threads: reading, any. A reactor gets at tables through its TableReader and
// keeps what it finds only while it pins the table. Lookups do not allocate.
//
// How a request is routed:
//   RouteCursor cursor(table, host, path);
//   while (const Route* route = cursor.next()) { ... pick(*route, ...); break, or go on past a
//   redirect }
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/glob.h"
#include "proxy/host_path.h"
#include "proxy/host_trie.h"
#include "proxy/ref.h"
#include "proxy/route.h"

namespace sluice::proxy {

/// Of the wildcards and globs that match one host; the least specific beyond that are not tried.
inline constexpr size_t kMatchingHosts = 32;

/// The most specific host first: fabio compares the reversed names, the greater first, so that a
/// longer suffix precedes a shorter and a letter precedes a star.
bool more_specific(const Host& a, const Host& b);

class RouteTable final : public Counted {
 public:
  static Ref<RouteTable> make_empty(uint64_t version = 0);
  static void destroy(const RouteTable* table) { delete table; }

  [[nodiscard]] uint64_t version() const { return version_; }
  [[nodiscard]] size_t host_count() const { return host_count_; }
  [[nodiscard]] size_t route_count() const { return route_count_; }

  /// The key as an edit writes it: "mysite.com:9999", "*.x", ":3306", "".
  [[nodiscard]] const Host* find_host(std::string_view pattern) const;

  /// For a tcp listener: `:port`.
  [[nodiscard]] const Route* find_port(uint16_t port) const;
  /// For a tcp-dynamic listener: `ip:port`, then `:port`. The ip is text, IPv6 in brackets.
  [[nodiscard]] const Route* find_address(std::string_view ip, uint16_t port) const;

  /// In no particular order.
  template <class Visit>
  void for_each_host(Visit visit) const {
    exact_.for_each(visit);
    wildcard_.for_each(visit);
    if (globs_) {
      for (const GlobHost& each : *globs_) visit(*each.host);
    }
  }

 private:
  friend class RouteCursor;
  friend class TableBuilder;

  struct GlobHost {
    Ref<Host> host;
    Glob glob;
  };
  using GlobHosts = std::vector<GlobHost>;  // the more specific first
  static constexpr size_t kDepths =
      64;  // labels of a wildcard's suffix; deeper ones share the last

  RouteTable() = default;
  RouteTable(const RouteTable& base);
  ~RouteTable() = default;

  uint64_t version_ = 0;
  HostTrie exact_;
  HostTrie wildcard_;
  std::shared_ptr<const GlobHosts> globs_;  // null: none
  std::array<uint32_t, kDepths> depths_{};  // wildcards of so many labels
  uint64_t depth_mask_ = 0;                 // which of them are not zero
  uint32_t http_ports_ = 0;                 // exact hosts that name port 80,
  uint32_t https_ports_ = 0;                // and 443
  size_t host_count_ = 0;
  size_t route_count_ = 0;
};

/// The routes that match a host and a path, in fabio's order: the most specific host first, and in
/// each host the one route of the longest path. On the stack of one lookup; the arguments outlive
/// it.
class RouteCursor {
 public:
  RouteCursor(const RouteTable& table, const HostName& host, std::string_view path)
      : table_(table), host_(host), path_(path) {}

  /// Null: no more.
  const Route* next();
  /// The host of the last route.
  [[nodiscard]] const Host* host() const { return current_; }

  /// What `Matching hosts: [...]` shows: every host key that matches, whatever its paths, without
  /// the empty one; then what comes of the empty one in `fallback` (null: there is none).
  struct Hosts {
    std::array<const Host*, kMatchingHosts + 2> hosts;
    size_t count = 0;
    const Host* fallback = nullptr;
  };
  static Hosts matching_hosts(const RouteTable& table, const HostName& host);

 private:
  enum class Stage : uint8_t { kExactDefaultPort, kExact, kCollect, kPatterns, kEmpty, kEnd };

  [[nodiscard]] const Host* advance();  // the next host key, whatever its paths
  void collect();
  void collect_wildcards();
  void collect_globs();
  void add(const Host* host);
  [[nodiscard]] uint16_t default_port() const { return host_.tls ? 443 : 80; }

  const RouteTable& table_;
  const HostName& host_;
  const std::string_view path_;
  const Host* current_ = nullptr;
  Stage stage_ = Stage::kExactDefaultPort;
  uint8_t next_ = 0;
  uint8_t count_ = 0;
  uint64_t state_ = kHashSeed;  // of the whole name
  std::array<const Host*, kMatchingHosts> patterns_;
};

}  // namespace sluice::proxy
