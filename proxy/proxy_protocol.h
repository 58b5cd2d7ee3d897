// The PROXY protocol, versions 1 and 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt): who the
// client of a connection is that another balancer hands on.
//
// Pure; any thread. Never guessed: a listener with pxyproto=true wants a header of each client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/socket.h"

namespace sluice::proxy {

inline constexpr size_t kProxyV1Bytes = 107;        // with its CRLF
inline constexpr size_t kProxyV2Bytes = 16 + 4096;  // addresses and TLVs; a longer one is refused

struct ProxyHeader {
  enum class State : uint8_t { kMore, kDone, kBad };
  State state = State::kMore;
  size_t size = 0;       // of kDone: what the header takes of the bytes
  SocketAddress source;  // of kDone; not valid where the header names none (UNKNOWN, LOCAL)
};

/// `bytes`: all that came so far. kBad: not a header, or one with an unknown command or family.
ProxyHeader read_proxy_header(std::string_view bytes);

/// A version 1 header; at most kProxyV1Bytes at `out`; its size.
size_t write_proxy_header(const SocketAddress& source, const SocketAddress& destination, char* out);

}  // namespace sluice::proxy
