// The request's Host and path in the form that routes are matched in. Pure; any thread; no
// allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::proxy {

/// RFC 1035 section 3.1: 255 bytes, which a name in text form never exceeds.
inline constexpr size_t kHostNameBytes = 255;

/// A host as it is matched: lower case, no root dot, the listener's default port dropped.
struct HostName {
  std::array<char, kHostNameBytes + 1> bytes;
  uint8_t size = 0;
  uint16_t port = 0;  // 0: none, or the default of the listener (80 plain, 443 TLS)
  bool tls = false;   // which default that is

  [[nodiscard]] std::string_view name() const { return {bytes.data(), size}; }
};

/// `text` is what a Host header or an absolute URI's authority holds, or an SNI name. False: it is
/// not a host (RFC 3986 section 3.2.2), or names nothing (`.`, `..x`), or is too long: 400. Empty
/// is a host.
[[nodiscard]] bool parse_host(std::string_view text, bool tls, HostName& out);

enum class PathStatus : uint8_t {
  kUnchanged,  // the input is in normal form
  kChanged,    // the normal form is in the buffer
  kAboveRoot,  // dot segments lead above the root: 400
  kMalformed,  // a percent sign without two hex digits, or no leading slash: 400
};

struct NormalPath {
  PathStatus status;
  std::string_view path;  // in the input or in the buffer
};

/// The path that is matched and sent (RFC 3986 section 6.2.2): empty segments go, so do dot
/// segments, also encoded ones; escapes of unreserved characters are decoded, so that `/%61dmin`
/// cannot pass by a route of `/admin`. Every other escape stays as it came: %2F reaches the
/// upstream intact.
///
/// `path` comes without its query; `buffer` holds at least path.size() bytes.
[[nodiscard]] NormalPath normalise_path(std::string_view path, char* buffer);

}  // namespace sluice::proxy
