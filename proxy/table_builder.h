// TableBuilder: makes the next RouteTable out of one, host by host. Touches only the hosts it is
// told.
//
// Thread: one (the control loop, or a pool thread that owns the builder). The base may be in use
// meanwhile.
#pragma once

#include <string_view>
#include <vector>

#include "core/result.h"
#include "proxy/route_table.h"

namespace sluice::proxy {

/// The new state of one path of a host; a null route removes it.
struct RouteUpdate {
  std::string_view path;
  Matcher matcher = Matcher::kPrefix;
  Ref<Route> route;
};

class TableBuilder {
 public:
  /// A host with more routes than this keeps them in chunks of about kChunkRoutes.
  static constexpr size_t kFlatRoutes = 128;
  static constexpr size_t kChunkRoutes = 64;

  explicit TableBuilder(const RouteTable& base);

  /// The updates name each path at most once, in any order. An error (a bad glob) changes nothing.
  Result<void> update_host(std::string_view pattern, std::vector<RouteUpdate> updates);

  [[nodiscard]] const RouteTable& table() const { return *table_; }

  /// The table so far, with this version. The builder is spent.
  Ref<RouteTable> finish(uint64_t version);

 private:
  Result<void> put(Ref<Host> host, const Host* old);
  void remove(const Host& old);
  void count_depth(std::string_view name, int change);
  void count_port(uint16_t port, int change);

  Ref<RouteTable> table_;
};

}  // namespace sluice::proxy
