#include "proxy/proxy_protocol.h"

#include <string>

#include "test/test.h"

namespace sluice::proxy {

namespace {

using State = ProxyHeader::State;

std::string v2(uint8_t command, uint8_t family, const std::string& rest) {
  std::string out("\r\n\r\n\0\r\nQUIT\n", 12);
  out += static_cast<char>(command);
  out += static_cast<char>(family);
  out += static_cast<char>(rest.size() >> 8);
  out += static_cast<char>(rest.size());
  return out + rest;
}

const std::string kV4("\x0a\x00\x00\x01\x0a\x00\x00\x02\x1f\x90\x00\x50", 12);

std::string v6_addresses() {
  std::string out(36, '\0');
  out[15] = 1;
  out[31] = 2;
  out[32] = 0x12;
  out[33] = 0x34;
  return out;
}

}  // namespace

TEST_CASE("PROXY headers that are right, fed a byte at a time") {
  const struct {
    std::string text;
    const char* source;  // "": the connection's own address stays
  } cases[] = {
      {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1:56324"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
      {"PROXY TCP6 2001:db8::1 2001:db8::2 0 1\r\n", "[2001:db8::1]:0"},
      {"PROXY UNKNOWN\r\n", ""},
      {"PROXY UNKNOWN ffff:f...f:ffff anything 1 2 3\r\n", ""},
      {v2(0x21, 0x11, kV4), "10.0.0.1:8080"},
      {v2(0x21, 0x11, kV4 + "\x03\x00\x04tlv!"), "10.0.0.1:8080"},
      {v2(0x21, 0x21, v6_addresses()), "[::1]:4660"},
      {v2(0x20, 0x00, ""), ""},
      {v2(0x20, 0x11, kV4), ""},
      {v2(0x20, 0x7f, "xyz"), ""},  // LOCAL: whatever the family says
      {v2(0x21, 0x00, ""), ""},
  };
  for (const auto& each : cases) {
    CAPTURE(each.text);
    const std::string more = each.text + "GET / HTTP/1.1\r\n";
    for (size_t size = 0; size < each.text.size(); ++size) {
      EXPECT(read_proxy_header(std::string_view(more).substr(0, size)).state == State::kMore);
    }
    for (size_t size = each.text.size(); size <= more.size(); ++size) {
      const ProxyHeader header = read_proxy_header(std::string_view(more).substr(0, size));
      REQUIRE(header.state == State::kDone);
      EXPECT_EQ(header.size, each.text.size());
      EXPECT_EQ(header.source.valid() ? header.source.text() : "", std::string(each.source));
    }
  }
}

TEST_CASE("PROXY headers that are wrong") {
  const std::string cases[] = {
      "GET / HTTP/1.1\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
      "PROXY TCP4 192.0.2.1  56324 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 0443 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
      "PROXY TCP4 2001:db8::1 2001:db8::2 1 1\r\n",
      "PROXY TCP6 192.0.2.1 198.51.100.2 1 1\r\n",
      "PROXY TCP4 192.0.2.01 198.51.100.2 1 1\r\n",
      "PROXY UDP4 192.0.2.1 198.51.100.2 1 1\r\n",
      "proxy tcp4 192.0.2.1 198.51.100.2 1 1\r\n",
      "PROXY UNKNOWN" + std::string(kProxyV1Bytes, ' '),
      v2(0x11, 0x11, kV4),                  // version 1 of the binary form
      v2(0x22, 0x11, kV4),                  // an unknown command
      v2(0x21, 0x12, kV4),                  // UDP
      v2(0x21, 0x31, std::string(216, 0)),  // Unix sockets
      v2(0x21, 0x11, kV4.substr(0, 11)),    // shorter than its addresses
      v2(0x21, 0x21, std::string(35, 0)),
      v2(0x20, 0x00, std::string(5000, 0)),  // longer than we keep
      std::string("\r\n\r\n\0\r\nQUIX\n", 12),
  };
  for (const std::string& text : cases) {
    CAPTURE(text);
    EXPECT(read_proxy_header(text).state == State::kBad);
  }
}

TEST_CASE("PROXY headers that we write, and read back") {
  const auto write = [](const char* a, const char* b) {
    char text[kProxyV1Bytes];
    const size_t size =
        write_proxy_header(*SocketAddress::make(a, 1234), *SocketAddress::make(b, 80), text);
    return std::string(text, size);
  };
  EXPECT_EQ(write("192.0.2.1", "198.51.100.2"), "PROXY TCP4 192.0.2.1 198.51.100.2 1234 80\r\n");
  EXPECT_EQ(write("::ffff:192.0.2.1", "198.51.100.2"),
            "PROXY TCP4 192.0.2.1 198.51.100.2 1234 80\r\n");
  EXPECT_EQ(write("192.0.2.1", "2001:db8::2"),
            "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1234 80\r\n");
  const std::string longest =
      write("1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8889");
  EXPECT(read_proxy_header(longest).state == State::kDone);
  char text[kProxyV1Bytes];
  EXPECT_EQ(std::string(text, write_proxy_header(SocketAddress(), SocketAddress(), text)),
            "PROXY UNKNOWN\r\n");
}

}  // namespace sluice::proxy
