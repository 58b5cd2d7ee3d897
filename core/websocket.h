// WebSocket (RFC 6455): the handshake's answer, and frames in and out, for both sides.
//
// What for: commands in tasks (`alloc exec`). Pure but for the reader's buffer; whoever holds the
// connection owns it. Limits: kMaxMessageBytes a message, over all its frames.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/random.h"
#include "core/result.h"

namespace sluice {

enum class WebSocketKind : uint8_t {
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

struct WebSocketMessage {
  WebSocketKind kind = WebSocketKind::kText;
  std::string payload;
};

/// Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2).
std::string websocket_accept(std::string_view key);

/// One unfragmented frame. A client's is masked (section 5.3): it gives a Random.
std::string websocket_frame(WebSocketKind kind, std::string_view payload, Random* mask = nullptr);

/// A close frame's payload (section 5.5.1).
std::string websocket_close_payload(uint16_t code, std::string_view reason);

class WebSocketReader {
 public:
  static constexpr size_t kMaxMessageBytes = 1024 * 1024;

  /// `masked`: whether the other side must mask, as clients do, or must not.
  explicit WebSocketReader(bool masked) : masked_(masked) {}

  void feed(std::string_view bytes) { buffer_.append(bytes); }
  /// The next whole message, control frames in between first; nullopt: more bytes are needed.
  Result<std::optional<WebSocketMessage>> next();

 private:
  const bool masked_;
  std::string buffer_;
  std::optional<WebSocketMessage> partial_;  // fragments so far
};

}  // namespace sluice
