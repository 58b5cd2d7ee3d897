// Functions of networks in CIDR notation, IPv4 and IPv6.
#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/hcl/functions_impl.h"

namespace sluice::hcl {

namespace {

// An address as a number of 32 or 128 bits.
using Bits = unsigned __int128;

struct Network {
  Bits address = 0;
  int length = 0;
  int width = 32;
};

Bits mask_of(int length, int width) {
  Bits all = width == 128 ? ~Bits{0} : (Bits{1} << width) - 1;
  if (length == 0) return 0;
  return (all << (width - length)) & all;
}

Result<Network> parse_network(const std::string& text) {
  auto wrong = [&] {
    return fail(Code::kInvalid, "a network such as \"10.0.0.0/8\" is required, this is \"{}\"",
                text);
  };
  size_t slash = text.find('/');
  if (slash == std::string::npos) return wrong();
  std::string address = text.substr(0, slash);
  std::string_view length = std::string_view(text).substr(slash + 1);
  Network out;
  std::array<unsigned char, 16> bytes{};
  size_t count = 4;
  if (inet_pton(AF_INET, address.c_str(), bytes.data()) != 1) {
    count = bytes.size();
    if (inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1) return wrong();
  }
  out.width = static_cast<int>(count * 8);
  for (size_t i = 0; i < count; ++i) out.address = out.address << 8 | bytes[i];
  auto end = std::from_chars(length.data(), length.data() + length.size(), out.length);
  bool clean = end.ec == std::errc() && end.ptr == length.data() + length.size() &&
               length.find_first_not_of("0123456789") == std::string_view::npos;
  if (!clean || out.length > out.width) return wrong();
  out.address &= mask_of(out.length, out.width);
  return out;
}

std::string address_text(Bits address, int width) {
  std::array<unsigned char, 16> bytes{};
  auto count = static_cast<size_t>(width / 8);
  for (size_t i = count; i > 0; --i, address >>= 8)
    bytes[i - 1] = static_cast<unsigned char>(address);
  std::array<char, INET6_ADDRSTRLEN> out{};
  inet_ntop(width == 32 ? AF_INET : AF_INET6, bytes.data(), out.data(), out.size());
  // RFC 5952, section 5: dots are for what is known to hold an IPv4 address, as ::ffff:1.2.3.4.
  const uint32_t low = uint32_t{bytes[12]} << 24 | bytes[13] << 16 | bytes[14] << 8 | bytes[15];
  const std::string_view text = out.data();
  if (width == 128 && text.contains('.') && !text.starts_with("::ffff:")) {
    return fmt::format("::{:x}:{:x}", low >> 16, low & 0xffff);
  }
  return out.data();
}

std::string network_text(const Network& network) {
  return fmt::format("{}/{}", address_text(network.address, network.width), network.length);
}

Result<Value> cidrhost(Arguments arguments, CallContext&) {
  Result<Network> network = parse_network(arguments[0].as_string());
  if (!network) return pass(network);
  Result<int64_t> number = whole(arguments[1], "host");
  if (!number) return pass(number);
  int free_bits = network->width - network->length;
  Bits last = free_bits == 128 ? ~Bits{0} : (Bits{1} << free_bits) - 1;
  // A negative number counts from the end.
  Bits distance = *number < 0 ? static_cast<Bits>(-(*number + 1)) : static_cast<Bits>(*number);
  if (distance > last) {
    return fail(Code::kInvalid, "the network {} has no host {}", network_text(*network), *number);
  }
  Bits host = *number < 0 ? last - distance : distance;
  return Value::string(address_text(network->address | host, network->width));
}

Result<Value> cidrnetmask(Arguments arguments, CallContext&) {
  Result<Network> network = parse_network(arguments[0].as_string());
  if (!network) return pass(network);
  return Value::string(address_text(mask_of(network->length, network->width), network->width));
}

constexpr int64_t kMaxNewBits = 32;  // as in the reference

Result<Value> cidrsubnet(Arguments arguments, CallContext&) {
  Result<Network> network = parse_network(arguments[0].as_string());
  if (!network) return pass(network);
  Result<int64_t> bits = whole(arguments[1], "newbits");
  if (!bits) return pass(bits);
  Result<int64_t> number = whole(arguments[2], "netnum");
  if (!number) return pass(number);
  if (*bits < 0 || *bits > kMaxNewBits || network->length + *bits > network->width) {
    return fail(Code::kInvalid, "the network {} cannot be extended by {} bits",
                network_text(*network), *bits);
  }
  if (*number < 0 || static_cast<Bits>(*number) >= Bits{1} << *bits) {
    return fail(Code::kInvalid, "{} bits do not hold the network number {}", *bits, *number);
  }
  network->length += static_cast<int>(*bits);
  int shift = network->width - network->length;
  if (shift < 128) network->address |= static_cast<Bits>(*number) << shift;
  return Value::string(network_text(*network));
}

// One network after the other, each as long as wanted, aligned to its own size.
Result<Value> cidrsubnets(Arguments arguments, CallContext&) {
  Result<Network> base = parse_network(arguments[0].as_string());
  if (!base) return pass(base);
  Bits size = base->width == 128 ? ~Bits{0} : (Bits{1} << base->width) - 1;
  Bits end = base->address | (size & ~mask_of(base->length, base->width));
  Bits next = base->address;
  bool full = false;
  Value::Items out;
  for (const Value& argument : arguments.subspan(1)) {
    Result<int64_t> bits = whole(argument, "newbits");
    if (!bits) return pass(bits);
    if (*bits < 1 || *bits > kMaxNewBits || base->length + *bits > base->width) {
      return fail(Code::kInvalid, "the network {} cannot be extended by {} bits",
                  network_text(*base), *bits);
    }
    Network network{.length = base->length + static_cast<int>(*bits), .width = base->width};
    Bits step = Bits{1} << (network.width - network.length);
    Bits start = (next + step - 1) / step * step;
    if (full || start < next || start > end || end - start < step - 1) {
      return fail(Code::kInvalid, "the network {} has no room for a subnet of /{} after {} others",
                  network_text(*base), network.length, out.size());
    }
    network.address = start;
    full = start + (step - 1) == end;
    next = start + step;
    out.push_back(Value::string(network_text(network)));
  }
  return Value::list(Type::string(), std::move(out));
}

}  // namespace

void add_network_functions(std::vector<Function>& out) {
  const Parameter prefix{"prefix", Type::string()};
  const Parameter newbits{"newbits", Type::number()};
  out.push_back({"cidrhost", {prefix, {"host", Type::number()}}, false, cidrhost});
  out.push_back({"cidrnetmask", {prefix}, false, cidrnetmask});
  out.push_back({"cidrsubnet", {prefix, newbits, {"netnum", Type::number()}}, false, cidrsubnet});
  out.push_back({"cidrsubnets", {prefix, newbits}, true, cidrsubnets});
}

}  // namespace sluice::hcl
