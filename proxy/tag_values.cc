#include "proxy/tag_values.h"

#include <arpa/inet.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <string>

namespace sluice::proxy {

namespace {

Result<uint32_t> parse_count(std::string_view name, std::string_view value) {
  uint32_t count = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (error != std::errc() || end != value.data() + value.size() || count > INT32_MAX) {
    return fail(Code::kInvalid, "{}={:?}: expected a number such as 100", name, value);
  }
  return count;
}

}  // namespace

std::string encoded_path(std::string_view path) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(path.size());
  for (const char c : path) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

Result<Rate> parse_rate(std::string_view name, std::string_view value) {
  const auto number = [](std::string_view text, double& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && std::isfinite(out) &&
           out >= 0.001 && out <= kMaxWeight;
  };
  Rate rate;
  const size_t comma = value.find(',');
  bool good = number(value.substr(0, comma), rate.a_second);
  rate.burst = std::max(1.0, rate.a_second);
  if (comma != std::string_view::npos) good = good && number(value.substr(comma + 1), rate.burst);
  if (!good) {
    return fail(Code::kInvalid, "{}={:?}: expected requests a second, or {}=RATE,BURST", name,
                value, name);
  }
  return rate;
}

std::optional<Result<void>> set_limit(std::string_view name, std::string_view value,
                                      LimitOptions& limits) {
  if (name == "ratelimit" || name == "ratelimitip") {
    auto rate = parse_rate(name, value);
    if (!rate) return pass(rate);
    (name == "ratelimit" ? limits.rate : limits.address_rate) = *rate;
    return Result<void>();
  }
  uint32_t* field = name == "maxconn"    ? &limits.connections
                    : name == "maxqueue" ? &limits.queue
                    : name == "maxreq"   ? &limits.requests
                    : name == "maxreqip" ? &limits.address_requests
                                         : nullptr;
  if (field == nullptr) return std::nullopt;
  auto count = parse_count(name, value);
  if (!count) return pass(count);
  *field = *count;
  return Result<void>();
}

Result<AddressRange> parse_address_range(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  AddressRange range;
  in_addr v4{};
  in6_addr v6{};
  unsigned base = 0;
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    range.address[10] = range.address[11] = 0xff;
    std::memcpy(range.address.data() + 12, &v4, 4);
    base = 96;
  } else if (inet_pton(AF_INET6, address.c_str(), &v6) == 1) {
    std::memcpy(range.address.data(), &v6, 16);
  } else {
    return fail(Code::kInvalid, "{:?} is not an IP address", address);
  }
  unsigned bits = 128 - base;
  if (slash != std::string_view::npos) {
    const std::string_view length = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
    if (length.empty() || error != std::errc() || end != length.data() + length.size() ||
        bits > 128 - base) {
      return fail(Code::kInvalid, "{:?} has no valid prefix length", text);
    }
  }
  range.bits = static_cast<uint8_t>(base + bits);
  for (unsigned bit = range.bits; bit < 128; ++bit) {  // the host part does not count
    range.address[bit / 8] &= static_cast<uint8_t>(~(0x80u >> (bit % 8)));
  }
  return range;
}

}  // namespace sluice::proxy
