// UpstreamNames: the addresses of the host names that routes lead to.
//
//   watch -> look up -> addresses (told by on_change) -> TTL -> look up again ...
//
// What a name had last stays until something newer is known: a server that is away or says that
// there is no such name takes nothing away. A name of which nothing was ever known has no address.
// Each trouble is logged once, and its end.
//
// Owner: the balancer, before its publisher. Thread: the control loop. Limits: UpstreamNameOptions.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/executor.h"
#include "core/host_lookup.h"
#include "core/json.h"
#include "core/scope.h"

namespace sluice {
class Log;
}

namespace sluice::proxy {

struct UpstreamNameOptions {
  int64_t least_ttl_ms = 1'000;  // also where nobody says one: /etc/hosts
  int64_t most_ttl_ms = 300'000;
  int64_t first_retry_ms = 1'000;  // after a failure; doubled by each that follows
  int64_t last_retry_ms = 30'000;
  size_t lookups = 16;  // at once; the others wait their turn
  size_t names = 10'000;
};

class UpstreamNames {
 public:
  /// `log` may be null.
  UpstreamNames(Executor& executor, HostLookup& lookup, Log* log, UpstreamNameOptions options = {});
  ~UpstreamNames();

  /// Called with a name whose addresses are others than before, never inside another call.
  void set_on_change(std::function<void(const std::string& name)> on_change);

  /// Counted: each watch wants its unwatch. False: there are too many names.
  bool watch(const std::string& name);
  void unwatch(const std::string& name);

  /// Sorted; empty: nothing is known, or nobody watches it.
  [[nodiscard]] std::span<const std::string> addresses(const std::string& name) const;
  /// Why the last look-up failed; "": it did not, or there was none.
  [[nodiscard]] std::string_view trouble(const std::string& name) const;

  /// For a successor, and from a predecessor: the names and what they lead to.
  void write_state(JsonWriter& json) const;
  Result<void> read_state(const Json& state);

 private:
  struct Name {
    uint32_t watchers = 0;
    std::vector<std::string> addresses;
    std::string trouble;
    int64_t retry_ms = 0;
    bool waiting = false;  // in queue_
    Executor::Ticket timer = Executor::Ticket::kNone;
  };

  void enqueue(const std::string& name);
  void start_some();
  Task<void> look_up(std::string name);
  void take(const std::string& name, Result<HostAddresses> found);
  void note_trouble(Name& entry, std::string why);

  Executor& executor_;
  HostLookup& lookup_;
  Log* const log_;
  const UpstreamNameOptions options_;
  std::function<void(const std::string& name)> on_change_;
  std::map<std::string, Name> names_;
  std::map<std::string, std::vector<std::string>> inherited_;  // of names that nobody watches yet
  std::deque<std::string> queue_;
  size_t running_ = 0;
  Scope scope_;
};

}  // namespace sluice::proxy
