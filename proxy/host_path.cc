#include "proxy/host_path.h"

#include <cstring>

#include "core/ascii.h"
#include "core/hex.h"

namespace sluice::proxy {

namespace {

enum : uint8_t { kNotHost = 0, kHost = 1, kUpper = 2 };

constexpr std::array<uint8_t, 256> host_bytes() {
  std::array<uint8_t, 256> table{};
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<size_t>(c)] = kHost;
  for (int c = '0'; c <= '9'; ++c) table[static_cast<size_t>(c)] = kHost;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<size_t>(c)] = kUpper;
  for (const char c : std::string_view("-._~!$&'()*+,;=%")) table[static_cast<uint8_t>(c)] = kHost;
  return table;
}
constexpr std::array<uint8_t, 256> kHostBytes = host_bytes();

constexpr bool is_unreserved(char c) {
  return ascii::is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/// At most five digits; 0 is no port.
bool parse_port(std::string_view text, uint16_t& port) {
  if (text.size() > 5) return false;
  uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  if (value > 65535) return false;
  port = static_cast<uint16_t>(value);
  return true;
}

bool copy_literal(std::string_view text, HostName& out) {  // [v6], brackets and all
  if (text.size() < 4 || text.size() > kHostNameBytes) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool inside = hex_digit(c) >= 0 || c == ':' || c == '.';
    if (i == 0 ? c != '[' : i + 1 == text.size() ? c != ']' : !inside) return false;
    out.bytes[i] = c >= 'A' && c <= 'F' ? static_cast<char>(c | 0x20) : c;
  }
  out.size = static_cast<uint8_t>(text.size());
  return true;
}

bool copy_name(std::string_view text, HostName& out) {
  if (text.ends_with('.'))
    text.remove_suffix(1);
  else if (text.empty())
    return true;
  if (text.empty() || text.size() > kHostNameBytes) return false;
  char before = '.';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const uint8_t kind = kHostBytes[static_cast<uint8_t>(c)];
    if (kind == kNotHost || (c == '.' && before == '.')) return false;
    out.bytes[i] = kind == kUpper ? static_cast<char>(c | 0x20) : c;
    before = c;
  }
  if (before == '.') return false;  // two at the end
  out.size = static_cast<uint8_t>(text.size());
  return true;
}

}  // namespace

bool parse_host(std::string_view text, bool tls, HostName& out) {
  out.size = 0;
  out.port = 0;
  out.tls = tls;
  std::string_view name = text;
  const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const size_t colon = text.find(':', bracket);
  if (colon != std::string_view::npos) {
    name = text.substr(0, colon);
    if (name.empty() || !parse_port(text.substr(colon + 1), out.port)) return false;
    if (out.port == (tls ? 443 : 80)) out.port = 0;
  }
  return bracket != 0 ? copy_literal(name, out) : copy_name(name, out);
}

namespace {

/// Where the first byte is that needs care: an escape, an empty segment, a segment that begins with
/// a dot. path.size() when there is none.
size_t first_irregular(std::string_view path) {
  for (size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '%') return i;
    if (c == '/' && i + 1 < path.size() && (path[i + 1] == '/' || path[i + 1] == '.')) return i;
  }
  return path.size();
}

/// Removes the last segment of the normal form in [buffer, buffer + size), which ends in a slash;
/// false at the root.
bool climb(const char* buffer, size_t& size) {
  if (size <= 1) return false;
  --size;
  while (buffer[size - 1] != '/') --size;
  return true;
}

}  // namespace

NormalPath normalise_path(std::string_view path, char* buffer) {
  if (!path.starts_with('/')) return {PathStatus::kMalformed, {}};
  const size_t regular = first_irregular(path);
  if (regular == path.size()) return {PathStatus::kUnchanged, path};

  // Go on from the start of the irregular byte's segment.
  size_t in = regular;
  while (path[in] != '/') --in;
  ++in;
  std::memcpy(buffer, path.data(), in);
  size_t out = in;       // buffer[out - 1] is a slash whenever a segment begins
  size_t segment = out;  // where it began
  bool changed = false;
  const auto end_segment = [&](bool slash) {
    const std::string_view text(buffer + segment, out - segment);
    if (text.empty() && slash) {
      changed = true;  // an empty segment: its slash is not written
    } else if (text == ".") {
      out = segment;
      changed = true;
    } else if (text == "..") {
      out = segment;
      changed = true;
      if (!climb(buffer, out)) return false;
    } else if (slash) {
      buffer[out++] = '/';
    }
    segment = out;
    return true;
  };
  for (; in < path.size(); ++in) {
    const char c = path[in];
    if (c == '/') {
      if (!end_segment(true)) return {PathStatus::kAboveRoot, {}};
      continue;
    }
    if (c == '%') {
      if (in + 2 >= path.size() || hex_digit(path[in + 1]) < 0 || hex_digit(path[in + 2]) < 0) {
        return {PathStatus::kMalformed, {}};
      }
      const char decoded =
          static_cast<char>(hex_digit(path[in + 1]) * 16 + hex_digit(path[in + 2]));
      if (is_unreserved(decoded)) {
        buffer[out++] = decoded;
        in += 2;
        changed = true;
        continue;
      }
    }
    buffer[out++] = c;
  }
  if (!end_segment(false)) return {PathStatus::kAboveRoot, {}};
  if (!changed) return {PathStatus::kUnchanged, path};
  return {PathStatus::kChanged, {buffer, out}};
}

}  // namespace sluice::proxy
