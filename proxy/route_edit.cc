#include "proxy/route_edit.h"

#include <fmt/format.h>

namespace sluice::proxy {

std::string_view to_string(Scheme scheme) {
  switch (scheme) {
    case Scheme::kHttp: return "http";
    case Scheme::kHttps: return "https";
    case Scheme::kTcp: return "tcp";
    case Scheme::kGrpc: return "grpc";
    case Scheme::kGrpcs: return "grpcs";
  }
  return "?";
}

std::optional<Scheme> parse_scheme(std::string_view text) {
  if (text == "http") return Scheme::kHttp;
  if (text == "https") return Scheme::kHttps;
  // A destination behind SNI is a plain stream: the client's TLS goes through it.
  if (text == "tcp" || text == "tcp+sni") return Scheme::kTcp;
  if (text == "grpc") return Scheme::kGrpc;
  if (text == "grpcs") return Scheme::kGrpcs;
  return std::nullopt;
}

std::string to_string(const Destination& destination) {
  const bool brackets = destination.host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}{}", to_string(destination.scheme), brackets ? "[" : "",
                     destination.host, brackets ? "]" : "", destination.port,
                     destination.scheme == Scheme::kHttp ? "/" : "");
}

}  // namespace sluice::proxy
