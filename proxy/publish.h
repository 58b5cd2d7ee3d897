// Publisher: turns route edits into tables and brings each table to every reactor.
//
//   apply -> diff against what the key said -> rebuild the touched hosts -> post to each reactor
//   reactor adopts -> acknowledges -> retired tables are freed, drains that wait are answered
//
// Owner: main. Thread: the control loop, for every function; what comes from reactors arrives
// through `post_control`. Reactors see only their TableReader.
//
// Limits: PublisherOptions. A route that is over a limit or cannot be built is left out with its
// reason (rejected()); it never blocks another.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/endpoint.h"
#include "proxy/route_edit.h"
#include "proxy/route_table.h"
#include "proxy/table_builder.h"
#include "proxy/table_reader.h"

namespace sluice {
class Log;
}

namespace sluice::proxy {

struct PublisherOptions {
  Strategy strategy = Strategy::kLeastConnections;  // -proxy.strategy
  Matcher matcher = Matcher::kPrefix;               // -proxy.matcher
  size_t path_bytes = 8 * 1024;
  size_t host_bytes = 1024;
  size_t routes = 2'000'000;  // in all
};

class Publisher final : public RouteSink {
 public:
  using Closure = std::move_only_function<void()>;
  using Post = std::function<void(Closure)>;

  /// `post_control` brings a closure to the control loop, from any thread. `log` may be null.
  Publisher(PublisherOptions options, Post post_control, Log* log);
  /// The readers have been removed, and no exchange is under way.
  ~Publisher() override;

  /// `post` brings a closure to the reactor, in the order of the calls, from the control loop. The
  /// reader begins with the newest table.
  TableReader& add_reader(Post post);
  /// The reactor's thread has ended, or runs nothing more that uses the reader. Its pins are gone.
  void remove_reader(TableReader& reader);

  uint64_t apply(std::vector<RouteEdit> edits) override;
  void when_drained(std::vector<std::string> instances, uint64_t version,
                    std::move_only_function<void()> done) override;
  [[nodiscard]] std::vector<RejectedRoute> rejected() const override;

  /// The newest table, for listings. Valid until the next apply.
  [[nodiscard]] const RouteTable& table() const { return *newest_->table; }
  /// Tables that some reactor may still look into, the newest among them.
  [[nodiscard]] size_t tables_held() const { return held_.size(); }
  [[nodiscard]] size_t endpoint_count() const { return endpoints_.size(); }

 private:
  using Held = TableReader::Held;

  /// What a key said last. The texts of each target's place, one after another in `places`: host,
  /// NUL, path, NUL, matcher.
  struct KeyRoutes {
    std::vector<Ref<Target>> targets;
    std::string places;
  };
  struct Place {
    std::string_view host;
    std::string_view path;
    Matcher matcher;
    bool operator==(const Place&) const = default;
    auto operator<=>(const Place&) const = default;
  };
  struct Change {
    Place place;
    Ref<Target> target;
    bool added;
  };
  struct Leaving {
    uint64_t version = 0;
    std::vector<EndpointRef> endpoints;
  };
  struct Waiter {
    std::vector<std::string> instances;
    uint64_t version;
    Closure done;
  };
  class Reuse;

  void diff_key(RouteEdit& edit, std::vector<Change>& changes);
  void set_rejected(const std::string& key, std::vector<RejectedRoute> rejected);
  Result<void> check(const RouteSpec& spec);
  Place place_of(const RouteSpec& spec) const;
  Ref<Target> make_target(RouteSpec& spec, Reuse& reuse);
  Ref<Instance> find_instance(std::string_view id);
  void rebuild_host(TableBuilder& builder, std::span<Change> changes);
  Ref<Route> build_route(const Place& place, std::vector<Ref<Target>> targets,
                         const Route* before) const;
  void count_targets(std::span<const Change> changes, uint64_t version);
  void publish(Ref<RouteTable> table);
  void wake();
  void collect();
  void free_tables();
  [[nodiscard]] uint64_t acknowledged_by_all() const;
  [[nodiscard]] bool is_drained(std::string_view instance, uint64_t acknowledged);
  [[nodiscard]] bool all_idle(const std::vector<EndpointRef>& endpoints);

  /// Outlives the publisher in closures that are still on their way to the control loop.
  struct Alive {
    Publisher* publisher;
    std::atomic<bool> waking{false};
  };

  const PublisherOptions options_;
  const Post post_control_;
  Log* const log_;
  std::shared_ptr<Alive> alive_;
  EndpointRegistry endpoints_;  // before everything that refers to endpoints
  std::unordered_map<std::string_view, Ref<Instance>>
      instances_;  // the key is the instance's own text
  std::unordered_map<const Instance*, Leaving> leaving_;
  std::unordered_map<std::string, KeyRoutes> keys_;
  std::map<std::string, std::vector<RejectedRoute>> rejected_;
  std::set<std::string, std::less<>> new_globs_;             // general globs that this apply adds
  std::vector<std::shared_ptr<std::string>> retired_texts_;  // of old places, while an apply runs
  std::vector<Waiter> waiters_;
  std::vector<std::unique_ptr<Held>> held_;  // by version
  Held* newest_ = nullptr;
  std::vector<std::unique_ptr<TableReader>> readers_;
};

}  // namespace sluice::proxy
