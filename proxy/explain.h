// Explain: why a request goes where it goes: each route that its host reaches, why it was passed
// over or taken, each target of the one taken, and the endpoint that would be picked now.
//
// The decision is the data plane's own (a reactor's router is asked, Proxy::explain); what is told
// around it is read from the newest table. Thread: the control loop's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/socket.h"
#include "proxy/route_table.h"

namespace sluice::proxy {

struct ExplainRequest {
  enum class Kind : uint8_t { kHttp, kPort, kServerName };
  Kind kind = Kind::kHttp;
  bool tls = false;
  std::string method = "GET";
  std::string authority;  // what a Host header would hold, or the name in a ClientHello
  std::string target;     // path and query
  uint16_t port = 0;      // of kPort
  SocketAddress client;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// "http://mysite.com/a?b", "https://...", "tcp://:3306" (a tcp listener), "tls://name" (tcp+sni).
/// Headers are "Name: value"; one named Host replaces the URL's. `client` is an IP address.
Result<ExplainRequest> parse_explain(std::string_view url, std::string_view method,
                                     const std::vector<std::string>& headers,
                                     std::string_view client);

/// The request line and headers, for the reactor's parser.
std::string head_text(const ExplainRequest& request);

/// What the router said, in values of its own.
struct Explained {
  uint16_t refuse = 0;  // 0: there is an endpoint
  bool no_route = false;
  std::string endpoint;  // as the listing shows it
  std::string address;   // where its host is a name
  std::string service;
  std::string target;  // path and query as sent
  std::string host;    // "": the client's own
  std::string location;
  int64_t now_ms = 0;  // of the reactor
};

std::string explain_json(const RouteTable& table, const ExplainRequest& request,
                         const Explained& said, int indent);

}  // namespace sluice::proxy
