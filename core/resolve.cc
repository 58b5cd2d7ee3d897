#include "core/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>

#include <memory>

#include "core/scope.h"

namespace sluice {

namespace {

Result<std::string> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    const bool unknown = error == EAI_NONAME || error == EAI_NODATA;
    return fail(unknown ? Code::kNotFound : Code::kUnavailable, "host name {}: {}", host,
                ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, ::freeaddrinfo);
  char text[INET6_ADDRSTRLEN] = {};
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (each->ai_family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(each->ai_addr);
      inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
      return std::string(text);
    }
    if (each->ai_family == AF_INET6 && text[0] == '\0') {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(each->ai_addr);
      inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    }
  }
  if (text[0] == '\0') return fail(Code::kNotFound, "host name {}: no address", host);
  return std::string(text);
}

}  // namespace

Task<Result<Address>> resolve(Executor& executor, std::string host_and_port) {
  Result<Address> plain = parse_address(host_and_port);
  if (plain) co_return plain;
  const size_t colon = host_and_port.rfind(':');
  if (colon == std::string::npos || colon == 0) co_return plain;
  const Result<Address> port = parse_address(host_and_port.substr(colon));
  if (!port) co_return fail(Code::kInvalid, "address '{}': want host:port", host_and_port);
  const std::string host = host_and_port.substr(0, colon);
  Result<std::string> ip = co_await on_pool(executor, [host] { return look_up(host); });
  if (!ip) co_return pass(ip);
  co_return Address{.ip = *std::move(ip), .port = port->port, .path = {}};
}

}  // namespace sluice
