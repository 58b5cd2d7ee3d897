#include "proxy/proxy_protocol.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::proxy {

namespace {

constexpr std::string_view kV1 = "PROXY ";
constexpr std::string_view kV2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kV2Head = 16;

using State = ProxyHeader::State;

std::string_view next_word(std::string_view& line) {
  const size_t blank = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, blank);
  line.remove_prefix(std::min(blank + 1, line.size()));
  return word;
}

/// Digits without a leading zero.
bool read_port(std::string_view text, uint16_t& port) {
  if (text.empty() || text.size() > 5 || (text[0] == '0' && text.size() > 1)) return false;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  port = static_cast<uint16_t>(value);
  return value <= 65535;
}

ProxyHeader read_v1(std::string_view bytes) {
  const std::string_view window = bytes.substr(0, kProxyV1Bytes);
  const size_t end = window.find('\n');
  if (end == std::string_view::npos) {
    return {.state = window.size() == kProxyV1Bytes ? State::kBad : State::kMore};
  }
  if (window[end - 1] != '\r') return {.state = State::kBad};
  ProxyHeader header{.state = State::kDone, .size = end + 1};
  std::string_view line = window.substr(kV1.size(), end - 1 - kV1.size());
  const std::string_view family = next_word(line);
  // What follows UNKNOWN is to be ignored.
  if (family == "UNKNOWN") return header;
  if (family != "TCP4" && family != "TCP6") return {.state = State::kBad};
  const std::string_view source = next_word(line);
  const std::string_view destination = next_word(line);
  const std::string_view source_port = next_word(line);
  const bool v6 = family == "TCP6";
  uint16_t from = 0;
  uint16_t to = 0;
  if (!read_port(source_port, from) || !read_port(line, to)) return {.state = State::kBad};
  if (source.empty() || destination.empty()) return {.state = State::kBad};
  const Result<SocketAddress> a = SocketAddress::make(source, from);
  const Result<SocketAddress> b = SocketAddress::make(destination, to);
  if (!a || !b || a->is_v6() != v6 || b->is_v6() != v6) return {.state = State::kBad};
  header.source = *a;
  return header;
}

ProxyHeader read_v2(std::string_view bytes) {
  if (bytes.size() < kV2Head) return {.state = State::kMore};
  const auto* raw = reinterpret_cast<const uint8_t*>(bytes.data());
  const size_t length = size_t{raw[14]} << 8 | raw[15];
  const uint8_t command = raw[12];
  const uint8_t family = raw[13];
  const bool local = command == 0x20;
  if (!local && command != 0x21) return {.state = State::kBad};
  const size_t size = kV2Head + length;
  if (size > kProxyV2Bytes) return {.state = State::kBad};
  const bool v4 = family == 0x11;  // TCP over IPv4
  const bool v6 = family == 0x21;
  const bool unspecified = family == 0x00;
  if (!local && !v4 && !v6 && !unspecified) return {.state = State::kBad};
  if (!local && ((v4 && length < 12) || (v6 && length < 36))) return {.state = State::kBad};
  if (bytes.size() < size) return {.state = State::kMore};
  ProxyHeader header{.state = State::kDone, .size = size};
  if (local || unspecified) return header;
  const uint8_t* port = raw + kV2Head + (v4 ? 8 : 32);
  header.source =
      SocketAddress::from_bytes(raw + kV2Head, v6, static_cast<uint16_t>(port[0] << 8 | port[1]));
  return header;
}

}  // namespace

ProxyHeader read_proxy_header(std::string_view bytes) {
  if (bytes.starts_with(kV1)) return read_v1(bytes);
  if (bytes.starts_with(kV2)) return read_v2(bytes);
  if (kV1.starts_with(bytes) || kV2.starts_with(bytes)) return {.state = State::kMore};
  return {.state = State::kBad};
}

size_t write_proxy_header(const SocketAddress& source, const SocketAddress& destination,
                          char* out) {
  if (!source.valid() || !destination.valid()) {
    constexpr std::string_view kUnknown = "PROXY UNKNOWN\r\n";
    std::copy(kUnknown.begin(), kUnknown.end(), out);
    return kUnknown.size();
  }
  char from[SocketAddress::kMaxText];
  char to[SocketAddress::kMaxText];
  const std::string_view a(from, source.write_ip(from));
  const std::string_view b(to, destination.write_ip(to));
  const bool a6 = a.find(':') != std::string_view::npos;
  const bool b6 = b.find(':') != std::string_view::npos;
  // Both of one family: an IPv4 address beside an IPv6 one goes in its mapped form.
  const bool v6 = a6 || b6;
  const auto end =
      fmt::format_to_n(out, kProxyV1Bytes, "PROXY {} {}{} {}{} {} {}\r\n", v6 ? "TCP6" : "TCP4",
                       v6 && !a6 ? "::ffff:" : "", a, v6 && !b6 ? "::ffff:" : "", b, source.port(),
                       destination.port());
  return end.size;
}

}  // namespace sluice::proxy
