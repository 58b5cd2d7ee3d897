#include "core/websocket.h"

#include "test/test.h"

namespace sluice {

namespace {

/// The messages, fed in pieces of that size; the error's text ends them.
std::vector<std::string> read(std::string_view bytes, bool masked, size_t piece) {
  WebSocketReader reader(masked);
  std::vector<std::string> out;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    reader.feed(bytes.substr(at, piece));
    while (true) {
      auto message = reader.next();
      if (!message) {
        out.push_back(message.error().message);
        return out;
      }
      if (!*message) break;
      out.push_back(std::to_string(static_cast<int>((*message)->kind)) + " " + (*message)->payload);
    }
  }
  return out;
}

std::string raw(std::initializer_list<int> bytes) {
  std::string out;
  for (const int byte : bytes) out += static_cast<char>(byte);
  return out;
}

}  // namespace

TEST_CASE("websocket: the answer of RFC 6455, section 1.3") {
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("websocket: frames of RFC 6455, section 5.7, in pieces of every size") {
  // "Hel" and "lo" with a ping between them; unmasked.
  const std::string bytes = raw({0x01, 0x03, 0x48, 0x65, 0x6c, 0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c,
                                 0x6f, 0x80, 0x02, 0x6c, 0x6f});
  const std::string masked =
      raw({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58});
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    EXPECT_EQ(read(bytes, false, piece), std::vector<std::string>{"9 Hello", "1 Hello"});
    EXPECT_EQ(read(masked, true, piece), std::vector<std::string>{"1 Hello"});
  }
}

TEST_CASE("websocket: what is written is read, at the sizes where the length's form changes") {
  SeededRandom random(1);
  for (const size_t size : {0u, 1u, 125u, 126u, 65535u, 65536u, 200000u}) {
    const std::string payload(size, 'x');
    CAPTURE(size);
    const std::vector<std::string> wanted{"2 " + payload};
    EXPECT(read(websocket_frame(WebSocketKind::kBinary, payload), false, 7000) == wanted);
    EXPECT(read(websocket_frame(WebSocketKind::kBinary, payload, &random), true, 7000) == wanted);
  }
}

TEST_CASE("websocket: a reason that is too long is cut between characters") {
  EXPECT_EQ(websocket_close_payload(1000, "why"), "\x03\xe8why");
  // 2 bytes of code; of 123 bytes the last would be half of a character of two.
  const std::string long_one = "x" + std::string(60, 'y') + std::string(61, 'z') + "éé";
  EXPECT_EQ(websocket_close_payload(1000, long_one), "\x03\xe8" + long_one.substr(0, 122));
}

TEST_CASE("websocket: what is no frame") {
  struct Row {
    std::string bytes;
    const char* error;
  };
  const Row table[] = {
      {raw({0xc1, 0x00}), "WebSocket: reserved bits are set"},
      {raw({0x81, 0x80}), "WebSocket: the frame is masked"},
      {raw({0x83, 0x00}), "WebSocket: unknown opcode 3"},
      {raw({0x80, 0x00}), "WebSocket: a continuation of nothing"},
      {raw({0x01, 0x00, 0x01, 0x00}), "WebSocket: a message inside of a message"},
      {raw({0x09, 0x00}), "WebSocket: a control frame is fragmented or too long"},
      {raw({0x89, 0x7e, 0x00, 0x7e}), "WebSocket: a control frame is fragmented or too long"},
      {raw({0x82, 0x7f, 0, 0, 0, 0, 0, 0x10, 0, 1}),
       "WebSocket: a message is longer than 1048576 bytes"},
      {raw({0x82, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
       "WebSocket: a message is longer than 1048576 bytes"},
  };
  for (const Row& row : table) {
    CAPTURE(row.error);
    EXPECT_EQ(read(row.bytes, false, row.bytes.size()), std::vector<std::string>{row.error});
  }
  EXPECT_EQ(read(raw({0x81, 0x00}), true, 2),
            std::vector<std::string>{"WebSocket: the frame is not masked"});
}

}  // namespace sluice
