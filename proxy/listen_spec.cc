#include "proxy/listen_spec.h"

#include <algorithm>
#include <utility>

#include "core/http1.h"
#include "proxy/option_text.h"

namespace sluice::proxy {

namespace {

constexpr std::pair<std::string_view, ListenProtocol> kProtocols[] = {
    {"http", ListenProtocol::kHttp},
    {"https", ListenProtocol::kHttps},
    {"tcp", ListenProtocol::kTcp},
    {"tcp-dynamic", ListenProtocol::kTcpDynamic},
    {"tcp+sni", ListenProtocol::kTcpSni},
    {"https+tcp+sni", ListenProtocol::kHttpsTcpSni},
    {"grpc", ListenProtocol::kGrpc},
    {"grpcs", ListenProtocol::kGrpcs},
    {"prometheus", ListenProtocol::kPrometheus},
};

Result<SocketAddress> parse_address(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return fail(Code::kInvalid, "wants [host]:port");
  std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  const std::string_view digits = text.substr(colon + 1);
  uint32_t port = 0;
  if (digits.empty() || digits.size() > 5)
    return fail(Code::kInvalid, "port {} is not a port", digits);
  for (const char c : digits) {
    if (c < '0' || c > '9') return fail(Code::kInvalid, "port {} is not a port", digits);
    port = port * 10 + static_cast<uint32_t>(c - '0');
  }
  if (port > 65535) return fail(Code::kInvalid, "port {} is not a port", digits);
  return SocketAddress::make(host, static_cast<uint16_t>(port));
}

Result<uint16_t> parse_tls_version(std::string_view text) {
  // fabio takes the names in any case, and the numbers of the protocol.
  constexpr std::string_view kNames[] = {"tls10", "tls11", "tls12", "tls13"};
  constexpr std::string_view kNumbers[] = {"0x0301", "0x0302", "0x0303", "0x0304"};
  for (uint16_t i = 0; i < std::size(kNames); ++i) {
    if (http1::iequals(text, kNames[i]) || http1::iequals(text, kNumbers[i])) {
      return static_cast<uint16_t>(0x0301 + i);
    }
  }
  return fail(Code::kInvalid, "{} is none of tls10, tls11, tls12, tls13", text);
}

template <class T>
Result<void> set(T& field, Result<T> value) {
  if (!value) return pass(value);
  field = std::move(*value);
  return {};
}

Result<void> set_option(ListenSpec& spec, std::string_view key, std::string_view value,
                        bool& has_protocol) {
  if (key == "proto") {
    const auto* found = std::find_if(std::begin(kProtocols), std::end(kProtocols),
                                     [&](const auto& each) { return each.first == value; });
    if (found == std::end(kProtocols)) return fail(Code::kInvalid, "{} is not a protocol", value);
    spec.protocol = found->second;
    has_protocol = true;
    return {};
  }
  if (key == "cs") {
    spec.cert_store = value;
    return {};
  }
  if (key == "tlsciphers") {
    spec.tls_ciphers = value;
    return {};
  }
  if (key == "rt") return set(spec.read_timeout_ms, parse_option_ms(value));
  if (key == "wt") return set(spec.write_timeout_ms, parse_option_ms(value));
  if (key == "it") return set(spec.idle_timeout_ms, parse_option_ms(value));
  if (key == "pxytimeout") return set(spec.proxy_timeout_ms, parse_option_ms(value));
  if (key == "refresh") return set(spec.refresh_ms, parse_option_ms(value));
  if (key == "pxyproto") return set(spec.proxy_protocol, parse_option_bool(value));
  if (key == "strictmatch") return set(spec.strict_match, parse_option_bool(value));
  if (key == "tlsmin") return set(spec.tls_min, parse_tls_version(value));
  if (key == "tlsmax") return set(spec.tls_max, parse_tls_version(value));
  return fail(Code::kInvalid, "unknown option");
}

bool needs_store(ListenProtocol protocol) {
  return protocol == ListenProtocol::kHttps || protocol == ListenProtocol::kHttpsTcpSni ||
         protocol == ListenProtocol::kGrpcs;
}

Result<ListenSpec> parse_one(std::string_view text) {
  Result<std::vector<std::string_view>> parts = split_unquoted(text, ';');
  if (!parts) return pass(parts, "listener {}", text);
  ListenSpec spec;
  Result<SocketAddress> address = parse_address(unquote((*parts)[0]));
  if (!address) return pass(address, "listener {}", text);
  spec.address = *address;
  bool has_protocol = false;
  for (size_t i = 1; i < parts->size(); ++i) {
    const std::string_view part = (*parts)[i];
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    const std::string_view key = trim_spaces(part.substr(0, equals));
    const std::string_view value =
        equals == std::string_view::npos ? "true" : unquote(trim_spaces(part.substr(equals + 1)));
    Result<void> option = set_option(spec, key, value, has_protocol);
    if (!option) return pass(option, "listener {}: {}", text, key);
  }
  if (!has_protocol && !spec.cert_store.empty()) spec.protocol = ListenProtocol::kHttps;
  if (needs_store(spec.protocol) && spec.cert_store.empty()) {
    return fail(Code::kInvalid, "listener {}: proto={} needs a certificate store (cs=...)", text,
                to_string(spec.protocol));
  }
  if (spec.tls_min != 0 && spec.tls_max != 0 && spec.tls_min > spec.tls_max) {
    return fail(Code::kInvalid, "listener {}: tlsmin is above tlsmax", text);
  }
  return spec;
}

}  // namespace

std::string_view to_string(ListenProtocol protocol) {
  for (const auto& [name, each] : kProtocols) {
    if (each == protocol) return name;
  }
  return "?";
}

Result<std::vector<ListenSpec>> parse_listen_specs(std::string_view text) {
  Result<std::vector<std::string_view>> parts = split_unquoted(text, ',');
  if (!parts) return pass(parts, "listeners {}", text);
  std::vector<ListenSpec> specs;
  for (const std::string_view part : *parts) {
    if (part.empty()) continue;
    Result<ListenSpec> spec = parse_one(part);
    if (!spec) return pass(spec);
    specs.push_back(std::move(*spec));
  }
  return specs;
}

}  // namespace sluice::proxy
