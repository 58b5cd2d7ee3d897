// ListenSpec: one listener as `-proxy.addr` writes it, in fabio's language:
//
//   [host]:port;proto=https;cs=name;rt=10s,...     a comma separates listeners, values may be
//   quoted
//
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/socket.h"

namespace sluice::proxy {

enum class ListenProtocol : uint8_t {
  kHttp,
  kHttps,
  kTcp,
  kTcpDynamic,
  kTcpSni,
  kHttpsTcpSni,
  kGrpc,
  kGrpcs,
  kPrometheus,
};

/// "http", "https", "tcp", "tcp-dynamic", "tcp+sni", "https+tcp+sni", "grpc", "grpcs",
/// "prometheus".
std::string_view to_string(ListenProtocol protocol);

struct ListenSpec {
  SocketAddress address;
  ListenProtocol protocol = ListenProtocol::kHttp;
  std::string cert_store;       // cs: a name of -proxy.cs; several are joined with '+'
  bool strict_match = false;    // strictmatch: no certificate for the name is a refusal
  int64_t read_timeout_ms = 0;  // rt, wt, it: 0 is the default of Timeouts
  int64_t write_timeout_ms = 0;
  int64_t idle_timeout_ms = 0;
  bool proxy_protocol = false;     // pxyproto: a PROXY header is expected of each client
  int64_t proxy_timeout_ms = 250;  // pxytimeout
  uint16_t tls_min = 0;  // tlsmin, tlsmax: as in the protocol (0x0303 is TLS 1.2); 0: default
  uint16_t tls_max = 0;
  std::string tls_ciphers;     // tlsciphers, as written
  int64_t refresh_ms = 5'000;  // refresh: of tcp-dynamic
};

/// Fails with the listener and the option in the message.
Result<std::vector<ListenSpec>> parse_listen_specs(std::string_view text);

}  // namespace sluice::proxy
