#include "proxy/address_ranges.h"

#include <cstring>

#include "core/http1_text.h"

namespace sluice::proxy {

namespace {

bool in_range(const uint8_t address[16], const AddressRange& range) {
  const unsigned whole = range.bits / 8;
  if (std::memcmp(address, range.address.data(), whole) != 0) return false;
  const unsigned rest = range.bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (address[whole] & mask) == (range.address[whole] & mask);
}

constexpr std::string_view kPrivate[] = {
    "127.0.0.0/8",    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
    "169.254.0.0/16", "::1/128",    "fc00::/7",      "fe80::/10",
};

}  // namespace

bool contains(std::span<const AddressRange> ranges, const SocketAddress& address) {
  if (ranges.empty() || !address.valid()) return false;
  uint8_t bytes[16];
  address.write_mapped(bytes);
  for (const AddressRange& range : ranges) {
    if (in_range(bytes, range)) return true;
  }
  return false;
}

Result<std::vector<AddressRange>> parse_trusted(std::string_view text) {
  std::vector<AddressRange> out;
  Result<void> done;
  const auto add = [&](std::string_view range) {
    Result<AddressRange> parsed = parse_address_range(range);
    if (parsed) {
      out.push_back(*parsed);
    } else if (done) {
      done = pass(parsed);
    }
  };
  http1::for_each_element(text, [&](std::string_view element) {
    if (element == "all") {
      out.push_back({});
    } else if (element == "private") {
      for (const std::string_view range : kPrivate) add(range);
    } else if (!element.empty() && element != "none") {
      add(element);
    }
  });
  if (!done) return pass(done);
  return out;
}

}  // namespace sluice::proxy
