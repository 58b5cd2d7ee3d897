// What the orchestrator says to the data plane: plain data, and the one interface that takes it.
//
// A tag (`urlprefix-host/path opts`) or a route command becomes a RouteSpec; the specs of one
// source (a service, the static backend) are one RouteEdit; RouteSink::apply() makes them live.
// This is the only header of proxy/ that orchestrator/ includes; it lives in a library of its own
// (sluice_route_edit), so that nothing else of the data plane links there.
//
// Everything here but RouteSink is a value: copy it, move it, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace sluice::proxy {

enum class Scheme : uint8_t { kHttp, kHttps, kTcp, kGrpc, kGrpcs };

/// "http", "https", "tcp", "grpc", "grpcs".
std::string_view to_string(Scheme scheme);
std::optional<Scheme> parse_scheme(std::string_view text);

/// Where a route leads: `http://10.0.0.1:5000/`. The host is an IP literal (an IPv6 one without its
/// brackets) or a name that the data plane resolves.
struct Destination {
  Scheme scheme = Scheme::kHttp;
  std::string host;
  uint16_t port = 0;

  bool operator==(const Destination&) const = default;
};

/// As the trace and the routes page show it: `http://10.0.0.1:5000/` (a path only for http, which
/// is what fabio prints), `https://[::1]:443`, `tcp://10.0.0.1:5000`.
std::string to_string(const Destination& destination);

/// How a route's endpoints are chosen. kDefault is what `-proxy.strategy` says.
enum class Strategy : uint8_t { kDefault, kRandom, kRoundRobin, kLeastConnections, kHash };

/// What a consistent hash is taken of, and sticky cookies.
enum class HashInput : uint8_t { kNone, kAddress, kHeader, kCookie };

/// How a route's path is compared. kDefault is what `-proxy.matcher` says.
enum class Matcher : uint8_t { kDefault, kPrefix, kIprefix, kGlob, kSegment, kRegex };

/// One CIDR of allow= or deny=; IPv4 is kept in its IPv6-mapped form, with 96 added to the bits.
struct AddressRange {
  std::array<uint8_t, 16> address{};
  uint8_t bits = 0;

  bool operator==(const AddressRange&) const = default;
};

/// `10.0.0.0/8`, `::1`: what stands behind the bits does not count.
Result<AddressRange> parse_address_range(std::string_view text);

/// Weights above this are refused: their sums would not tell small ones apart any more.
inline constexpr double kMaxWeight = 1e9;

/// A rate of requests, and how many may come at once after a pause.
struct Rate {
  double a_second = 0;  // 0: any
  double burst = 0;

  bool operator==(const Rate&) const = default;
};

/// What a route's traffic may be at most; 0 is any.
struct LimitOptions {
  uint32_t connections = 0;       // `maxconn=`: exchanges and tunnels at once, of each endpoint
  uint32_t queue = 0;             // `maxqueue=`: requests that wait for one of them
  uint32_t requests = 0;          // `maxreq=`: at once through the route
  uint32_t address_requests = 0;  // `maxreqip=`: of these, of one client address
  Rate rate;                      // `ratelimit=N[,BURST]`
  Rate address_rate;              // `ratelimitip=N[,BURST]`
  bool wakes = false;             // requests that find no instance ask for one, and wait for it

  bool operator==(const LimitOptions&) const = default;
};

/// How many may wait for a service that sleeps, where no `maxqueue=` says more.
inline constexpr uint32_t kWakingQueue = 1000;

/// Where `maxconn=` comes without `maxqueue=`.
inline constexpr uint32_t kDefaultQueue = 100;

struct RouteOptions {
  double weight = 0;    // the fixed fraction; 0: an equal share of what is left
  std::string strip;    // `strip=/p`, with its leading slash
  std::string prepend;  // `prepend=/p`, with its leading slash
  std::string host;     // "": the client's Host; "dst": the destination's; else this name
  bool tls_skip_verify = false;
  bool proxy_protocol = false;  // `pxyproto=true`: PROXY v1 to the upstream
  std::string grpc_server_name;
  std::string auth;  // name of an auth scheme (`-proxy.auth`)
  std::string register_name;
  uint16_t redirect_code = 0;       // 300 to 399: this route answers by itself
  std::string redirect_url;         // may hold $host and $path
  std::vector<AddressRange> allow;  // at most one of allow and deny is not empty
  std::vector<AddressRange> deny;
  Strategy strategy = Strategy::kDefault;
  Matcher matcher = Matcher::kDefault;
  HashInput hash_input = HashInput::kNone;
  std::string hash_name;       // the header's or cookie's name
  std::string sticky_cookie;   // `sticky=name`: a cookie that names the endpoint
  bool close_on_down = false;  // `ondown=close`: its tunnels end once it is no more healthy
  LimitOptions limits;
  std::string text;     // the options as written, less weight: what the routes API shows
  std::string ignored;  // those among them that are not known, for the log

  bool operator==(const RouteOptions&) const = default;
};

/// One instance of a service under one host and path, or under a port.
struct RouteSpec {
  std::string service;
  std::string instance;  // the service's id; the drain is asked for by it
  std::string host;      // lower case; "" any; may hold `*`; may hold a port, then literal
  std::string path;      // "/..." for a host; empty when `host` is ":port"
  Destination destination;
  RouteOptions options;
  std::vector<std::string> tags;  // the service's other tags
  bool healthy = true;    // false: the route exists, and this instance gets nothing (503, not 404)
  bool draining = false;  // it gets nothing new because it is to leave, not because it has failed
  bool canary = false;    // what it answers is counted apart

  bool operator==(const RouteSpec&) const = default;
};

/// A route that was left out: it never blocks the others. Shown by the API and logged once.
struct RejectedRoute {
  std::string service;
  std::string tag;  // the tag or the command, as written
  std::string reason;

  bool operator==(const RejectedRoute&) const = default;
};

/// Replaces everything that this key said before. An empty one removes it.
struct RouteEdit {
  std::string key;  // a service's name, or "static", "manual", ...: one key a source
  std::vector<RouteSpec> routes;
  std::vector<RejectedRoute> rejected;
  /// Route commands (proxy/route_command.h). They act after `routes` of every key; among each
  /// other the lower layer first, then by line. Give each key that has commands a layer of its own.
  std::string commands;
  uint8_t layer = 0;
};

/// What a tag does not say itself.
struct TagContext {
  std::string_view prefix = "urlprefix-";
  std::string_view service;
  std::string_view instance;
  std::string_view address;  // ServiceAddress, else the node's address
  uint16_t port = 0;
  std::string_view datacenter;  // $DC and ${DC}
  std::span<const std::string>
      tags;  // all tags of the service; those without the prefix become route tags
};

struct TagLimits {
  size_t tag_bytes = 16 * 1024;
  size_t ranges = 1024;  // allow= and deny=
};

/// fabio's tag language. nullopt: not a route tag. An error: a route tag that is wrong, with the
/// reason.
Result<std::optional<RouteSpec>> parse_tag(std::string_view tag, const TagContext& context,
                                           const TagLimits& limits = {});

/// The options alone (`strip=/p proto=tcp ...`), as the opts of a route command hold them. `proto`
/// sets the scheme; `weight` sets options.weight.
Result<RouteOptions> parse_options(std::string_view text, Scheme& scheme,
                                   const TagLimits& limits = {});

/// `mysite.com/path`, `mysite.com:9999/`, `/path`, `:3306`, `10.0.0.1:3306` into host and path. The
/// host comes out in lower case.
struct HostPath {
  std::string host;
  std::string path;

  bool operator==(const HostPath&) const = default;
};
Result<HostPath> parse_source(std::string_view text);

/// `http://10.0.0.1:5000/`, `tcp://:5000`. A missing port is the scheme's (80, 443).
Result<Destination> parse_destination(std::string_view text);

/// Takes edits from the control loop. Implemented by proxy's publisher, and by fakes in tests.
///
/// Threads: every call comes from the control loop; callbacks run there too, never inside the call
/// that was given them.
class RouteSink {
 public:
  virtual ~RouteSink() = default;

  /// Makes the edits live, all in one version, and returns that version (versions grow by one).
  /// Keys that are not mentioned stay as they are: absence is not an order. Edits that change
  /// nothing return the current version.
  virtual uint64_t apply(std::vector<RouteEdit> edits) = 0;

  /// Calls `done` once no reactor can pick an endpoint of these instances any more (each has
  /// acknowledged a version, `version` or later, without them) and no exchange or tunnel is under
  /// way there. An instance that has no route is drained as soon as `version` is acknowledged.
  /// There is no time limit here: the caller has one (drain_timeout).
  virtual void when_drained(std::vector<std::string> instances, uint64_t version,
                            std::move_only_function<void()> done) = 0;

  /// What is left out now, with reasons, in the order of the keys.
  [[nodiscard]] virtual std::vector<RejectedRoute> rejected() const = 0;
};

}  // namespace sluice::proxy
