#include <arpa/inet.h>
#include <fmt/core.h>

#include <charconv>

#include "core/network.h"

namespace sluice {

namespace {

bool is_ip(const std::string& text) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  constexpr std::string_view kUnix = "unix://";
  if (text.starts_with(kUnix)) {
    const std::string_view path = text.substr(kUnix.size());
    // sockaddr_un holds 107 bytes and a NUL.
    if (path.empty() || path.size() > 107) {
      return fail(Code::kInvalid, "address '{}': a socket's path has 1 to 107 bytes", text);
    }
    return Address{.path = std::string(path)};
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return fail(Code::kInvalid, "address '{}': want host:port", text);
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  Address address;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), address.port);
  if (error != std::errc() || end != port_text.data() + port_text.size()) {
    return fail(Code::kInvalid, "address '{}': the port must be a number from 0 to 65535", text);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  address.ip = host.empty() ? "0.0.0.0" : std::string(host);
  if (!is_ip(address.ip)) return fail(Code::kInvalid, "address '{}': not an IP address", text);
  return address;
}

std::string to_string(const Address& address) {
  if (address.is_unix()) return "unix://" + address.path;
  const bool v6 = address.ip.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", address.ip, address.port)
            : fmt::format("{}:{}", address.ip, address.port);
}

}  // namespace sluice
