// RouteSet: what every key said last, and the next table out of it.
//
//   edits -> (commands parsed) -> difference to what the keys said -> rebuilt hosts -> table
//
// Where `route del` or `route weight` commands stand, they act on the targets of each route before
// shares are counted, so that an override holds for what the catalog says later, too.
//
// Owner and thread: the publisher's. Limits: PublisherOptions (proxy/publish.h).
#pragma once

#include <deque>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/endpoint.h"
#include "proxy/route_command.h"
#include "proxy/route_edit.h"
#include "proxy/route_table.h"
#include "proxy/table_builder.h"
#include "proxy/upstream_names.h"

namespace sluice {
class Log;
}

namespace sluice::proxy {

struct PublisherOptions {
  Strategy strategy = Strategy::kLeastConnections;  // -proxy.strategy
  Matcher matcher = Matcher::kPrefix;               // -proxy.matcher
  size_t path_bytes = 8 * 1024;
  size_t host_bytes = 1024;
  size_t routes = 2'000'000;              // in all
  size_t glob_hosts = 1024;               // general globs are tried one by one
  std::vector<std::string> auth_schemes;  // the names that auth= may use
  bool registers = false;      // register= has an effect: whoever reads register_names() sees to it
  uint64_t first_version = 0;  // of the empty table to begin with
  uint64_t seed = 0;           // of the hashes of client addresses (proxy/traffic_limits.h)
};

class RouteSet {
 public:
  /// `names` may be null: then no host name has an address.
  RouteSet(const PublisherOptions& options, EndpointRegistry& endpoints, UpstreamNames* names,
           Log* log);

  /// What an apply added or removed, for the counts of endpoints and instances.
  struct Outcome {
    Ref<RouteTable> table;  // null: nothing changed
    std::vector<Ref<Target>> added;
    std::vector<Ref<Target>> removed;
  };
  Outcome apply(std::vector<RouteEdit> edits, const RouteTable& current);
  /// The host name has other addresses than before.
  Outcome readdress(const std::string& name, const RouteTable& current);

  [[nodiscard]] std::vector<RejectedRoute> rejected() const;
  [[nodiscard]] std::set<std::string> keys() const;

  /// The instance of this id, if any target of any table may know it.
  [[nodiscard]] const Instance* find_instance(std::string_view id) const;
  void forget_instance(const Instance& instance) { instances_.erase(instance.id()); }

 private:
  struct PlacedSpec {
    RouteSpec spec;
    uint32_t position = 0;
  };
  /// Part of what a key says: what leads to one host name, or (name "") everything else.
  struct Source {
    std::string key;
    std::string name;
    auto operator<=>(const Source&) const = default;
  };
  /// What a source said last. The texts of each target's place, one after another in `places`:
  /// host, NUL, path, NUL, matcher.
  struct SourceRoutes {
    std::vector<Ref<Target>> targets;
    std::string places;
    std::vector<RouteRule> rules;
    std::vector<PlacedSpec> specs;  // of a host name: to be spread over its next addresses
  };
  /// Which of a host name's addresses a target is for, and how many there are; "": none.
  struct Spread {
    std::string address;
    uint16_t among = 1;
  };
  struct Place {
    std::string_view host;
    std::string_view path;
    Matcher matcher;
    auto operator<=>(const Place&) const = default;
  };
  struct OwnPlace {
    std::string host;
    std::string path;
    Matcher matcher;
  };
  struct PlaceLess {
    using is_transparent = void;
    static Place view(const OwnPlace& place) { return {place.host, place.path, place.matcher}; }
    static const Place& view(const Place& place) { return place; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return view(a) < view(b);
    }
  };
  struct Change {
    Place place;
    Ref<Target> target;
    bool added;
  };
  using Targets = std::vector<Ref<Target>>;
  class Reuse;
  class Old;
  class Diff;

  static std::vector<RouteRule> read_commands(RouteEdit& edit, std::vector<uint32_t>& positions);
  void diff_key(RouteEdit& edit, std::vector<Change>& changes);
  void diff_names(RouteEdit& edit, std::map<std::string, std::vector<PlacedSpec>> named,
                  std::vector<Change>& changes);
  void diff_name(const Source& source, std::vector<PlacedSpec> specs, std::vector<Change>& changes);
  Old take_old(const Source& source);
  bool watch(const Source& source);
  void unwatch(const Source& source);
  Outcome finish(std::vector<Change> changes, const RouteTable& current);
  /// Those of a good route's options that do nothing; "": each does something.
  [[nodiscard]] std::string without_effect(const RouteOptions& options) const;
  void set_rejected(const std::string& key, std::vector<RejectedRoute> rejected);
  Result<void> check(const RouteSpec& spec) const;
  Result<void> check_options(const RouteSpec& spec) const;
  void count_glob(std::string_view host, int change);
  Place place_of(const RouteSpec& spec) const;
  Ref<Target> make_target(RouteSpec& spec, uint32_t position, const Spread& spread, Reuse& reuse);
  static void note_recoveries(const Outcome& outcome);
  Ref<Instance> get_instance(std::string_view id);

  Ref<SharedOptions> share_options(RouteOptions options);
  void forget_options();
  bool collect_rules();
  std::vector<Change> everything(std::span<const Change> changes) const;
  void rebuild_host(TableBuilder& builder, std::span<const Change> changes, bool from_nothing);
  Targets targets_at(const Place& place, std::span<const Change> changes, const Route* before,
                     bool from_nothing);
  void apply_rules(const Place& place, Targets& targets) const;
  std::unique_ptr<RouteExtra> build_extra(const Place& place, const Targets& live,
                                          const Targets& others, Strategy& strategy,
                                          const Route* before) const;
  Ref<Route> build_route(const Place& place, Targets targets, const Route* before) const;

  const PublisherOptions& settings_;
  EndpointRegistry& endpoints_;
  UpstreamNames* const names_;
  Log* const log_;
  std::unordered_map<std::string_view, Ref<Instance>> instances_;  // by the instance's own text
  std::map<Source, SourceRoutes> sources_;
  std::map<std::string, std::set<std::string>> keys_of_name_;
  std::map<std::string, std::vector<RejectedRoute>> rejected_;
  std::unordered_multimap<size_t, Ref<SharedOptions>> options_pool_;  // by the hash of their text
  size_t pool_limit_ = 64;                         // when to look for unused ones
  std::set<std::string> rule_keys_;                // those that have rules
  std::vector<RouteRule> rules_;                   // of all keys, in the order in which they act
  std::map<OwnPlace, Targets, PlaceLess> places_;  // what the rules act on; empty without rules
  size_t target_count_ = 0;
  std::map<std::string, uint32_t, std::less<>> glob_hosts_;  // and how many targets each has
  std::deque<std::string> old_texts_;                        // that this apply's changes look into
  std::deque<std::vector<PlacedSpec>> old_specs_;            // these, too
};

}  // namespace sluice::proxy
