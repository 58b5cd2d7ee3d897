// TableRouter: the Router over a reactor's TableReader: host and path, the route's own rules, the
// pick.
//
// Owner: Proxy, one a reactor. Thread: the reactor's. Allocates nothing; the paths that it rewrites
// lie in its own room until the next call.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "proxy/pick.h"
#include "proxy/router.h"
#include "proxy/table_reader.h"

namespace sluice {
class Log;
class Reactor;
}  // namespace sluice

namespace sluice::proxy {

struct RouterOptions {
  uint16_t no_route_status = 404;     // -proxy.noroutestatus
  Log* log = nullptr;                 // for traces and requests without a route
  std::vector<AddressRange> trusted;  // peers whose word for the client's address is taken
  /// Told from a reactor's thread that a service without an instance is asked for; may be null.
  std::function<void(std::string_view service)> wake;
};

class TableRouter final : public Router {
 public:
  TableRouter(TableReader& reader, const Reactor& reactor, const RouterOptions& options,
              uint64_t seed)
      : reader_(reader), reactor_(reactor), options_(options), random_(seed | 1) {}

  RouteDecision route(const RouteQuery& query) override;
  RouteDecision route_stream(const StreamQuery& query) override;
  TableReader::Pin pin() override { return reader_.pin(); }

 private:
  struct Found {
    RouteDecision decision;
    const Route* route = nullptr;
    const Target* target = nullptr;
  };
  const Route* find_stream(const StreamQuery& query) const;
  Found find(const RouteQuery& query, const HostName& host, std::string_view path, bool changed);
  RouteDecision decide(const RouteQuery& query, const Route& route, const Pick& picked,
                       std::string_view path, std::string_view query_part, bool changed);
  RouteDecision rewrite(const RouteQuery& query, const Target& target, std::string_view path,
                        std::string_view query_part, bool changed);
  void wake(const Route& route) const;
  [[nodiscard]] SocketAddress client_address(const RouteQuery& query) const;
  void read_identity(const RouteQuery& query, const RouteExtra& extra, PickInput& input) const;
  uint64_t next_random();

  TableReader& reader_;
  const Reactor& reactor_;
  const RouterOptions options_;
  uint64_t random_;
  std::array<char, 64 * 1024> path_room_;  // the normal form of a path: at most a head's size
  std::array<char, 96 * 1024>
      send_room_;  // what is sent: with what a route prepends, or a location
  std::array<char, 512> host_room_;
};

}  // namespace sluice::proxy
