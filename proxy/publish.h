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
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/endpoint.h"
#include "proxy/route_edit.h"
#include "proxy/route_set.h"
#include "proxy/route_table.h"
#include "proxy/table_reader.h"

namespace sluice::proxy {

class Publisher final : public RouteSink {
 public:
  using Closure = std::move_only_function<void()>;
  using Post = std::function<void(Closure)>;

  /// `post_control` brings a closure to the control loop, from any thread. `log` may be null, and
  /// `names`, too: then no host name has an address. They outlive the publisher.
  Publisher(PublisherOptions options, Post post_control, Log* log, UpstreamNames* names = nullptr);
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
  [[nodiscard]] std::vector<RejectedRoute> rejected() const override { return routes_.rejected(); }

  /// Told of endpoints of an `ondown=close` that are no more healthy and have something under way:
  /// whoever hears it ends their tunnels. After the table without them was posted to the readers.
  using Down = std::shared_ptr<const std::vector<EndpointRef>>;
  void set_on_down(std::function<void(Down)> on_down) { on_down_ = std::move(on_down); }

  /// The newest table, for listings. Valid until the next apply.
  [[nodiscard]] const RouteTable& table() const { return *newest_->table; }
  /// For listings; may be null.
  [[nodiscard]] const UpstreamNames* names() const { return names_; }
  /// What `register=` says among the routes of the newest table: names that the balancer is to be
  /// known by in its registry. Looks at every route.
  [[nodiscard]] std::set<std::string> register_names() const;
  /// Every key that says something.
  [[nodiscard]] std::set<std::string> keys() const { return routes_.keys(); }
  /// Tables that some reactor may still look into, the newest among them.
  [[nodiscard]] size_t tables_held() const { return held_.size(); }
  [[nodiscard]] size_t endpoint_count() const { return endpoints_.size(); }
  [[nodiscard]] const EndpointRegistry& endpoints() const { return endpoints_; }

 private:
  using Held = TableReader::Held;

  struct Leaving {
    uint64_t version = 0;
    std::vector<EndpointRef> endpoints;
  };
  struct Waiter {
    std::vector<std::string> instances;
    uint64_t version;
    Closure done;
  };
  uint64_t take(RouteSet::Outcome outcome);
  void count_targets(const RouteSet::Outcome& outcome, uint64_t version);
  void tell_down(const RouteSet::Outcome& outcome);
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
  UpstreamNames* const names_;
  std::shared_ptr<Alive> alive_;
  EndpointRegistry endpoints_;  // before everything that refers to endpoints
  RouteSet routes_;
  std::unordered_map<const Instance*, Leaving> leaving_;
  std::vector<Waiter> waiters_;
  std::function<void(Down)> on_down_;
  std::vector<std::unique_ptr<Held>> held_;  // by version
  Held* newest_ = nullptr;
  std::vector<std::unique_ptr<TableReader>> readers_;
};

}  // namespace sluice::proxy
