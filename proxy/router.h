// Router: what decides where a request goes. One a reactor, over the reactor's current route table.
//
// Thread: the reactor's. No allocation, no lock. What a decision points to lives until the turn
// ends.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/http1.h"
#include "proxy/headers.h"
#include "proxy/table_reader.h"

namespace sluice::proxy {

class Endpoint;
class RouteLimits;

struct RouteQuery {
  const http1::Head& head;
  const ClientFacts& client;
  std::span<const Endpoint* const> tried;  // not again, if there is another
  std::string_view authorised = {};        // the auth scheme that the request has passed
  const RouteLimits* entered = nullptr;    // it is counted there already
  bool quiet = false;                      // nothing is logged: it is only to be explained
};

/// A connection without requests.
struct StreamQuery {
  enum class By : uint8_t {
    kPort,        // tcp: the listener's
    kAddress,     // tcp-dynamic: the one that the client connected to, then the port
    kServerName,  // tcp+sni: the ClientHello's; without a name as by port, then the empty host
    kTcpOnly,     // https+tcp+sni: as before, where the target is tcp; else no_route
  };
  const SocketAddress& peer;
  By by = By::kPort;
  uint16_t listener_port = 0;
  std::string_view address;      // of kAddress: the IP, IPv6 in brackets
  std::string_view server_name;  // "": none
  std::span<const Endpoint* const> tried;
};

struct RouteDecision {
  uint16_t refuse = 404;               // the status to answer where there is no endpoint
  bool no_route = false;               // because no route matches
  const Endpoint* endpoint = nullptr;  // begin() was called on it
  std::string_view path;               // path and query to send
  std::string_view host;               // "": the client's own
  std::string_view stripped_prefix;
  std::string_view location;    // of a redirect
  std::string_view service;     // also of a route that refuses
  bool canary = false;          // the endpoint's answers are counted apart
  std::string_view route_host;  // the key of the route, as the listing's src: host and path
  std::string_view route_path;
  std::string_view auth;                // the scheme to pass first; nothing else is decided then
  bool wait = false;                    // an endpoint would do but for its limit (limits)
  const RouteLimits* limits = nullptr;  // the request is counted there; its holder takes a Ref
  uint64_t address_hash = 0;            // under this
  std::string_view cookie;              // the sticky cookie to set, "": none
  uint64_t cookie_id = 0;
};

class Router {
 public:
  virtual ~Router() = default;
  virtual RouteDecision route(const RouteQuery& query) = 0;
  virtual RouteDecision route_stream(const StreamQuery& query) = 0;
  /// Keeps what the last decision pointed to beyond the turn.
  virtual TableReader::Pin pin() { return {}; }
};

}  // namespace sluice::proxy
