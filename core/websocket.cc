#include "core/websocket.h"

#include <algorithm>

#include "core/base64.h"
#include "core/digest.h"

namespace sluice {

namespace {

constexpr size_t kMaxControlBytes = 125;  // section 5.5

std::optional<WebSocketKind> kind_of(unsigned opcode) {
  switch (opcode) {
    case 1: return WebSocketKind::kText;
    case 2: return WebSocketKind::kBinary;
    case 8: return WebSocketKind::kClose;
    case 9: return WebSocketKind::kPing;
    case 10: return WebSocketKind::kPong;
    default: return std::nullopt;
  }
}

bool is_control(WebSocketKind kind) {
  return static_cast<unsigned>(kind) >= 8;
}

}  // namespace

std::string websocket_accept(std::string_view key) {
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  return base64_encode(digest(DigestKind::kSha1, text));
}

std::string websocket_close_payload(uint16_t code, std::string_view reason) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  size_t size = std::min(reason.size(), kMaxControlBytes - 2);
  // RFC 6455 section 5.5.1 wants UTF-8: a character is whole or not there.
  while (size < reason.size() && (static_cast<uint8_t>(reason[size]) & 0xc0) == 0x80) --size;
  return payload.append(reason.substr(0, size));
}

std::string websocket_frame(WebSocketKind kind, std::string_view payload, Random* mask) {
  std::string out;
  out += static_cast<char>(0x80 | static_cast<unsigned>(kind));
  const unsigned bit = mask != nullptr ? 0x80 : 0;
  if (payload.size() <= 125) {
    out += static_cast<char>(bit | payload.size());
  } else if (payload.size() <= 0xffff) {
    out += static_cast<char>(bit | 126);
    for (const int shift : {8, 0}) out += static_cast<char>(payload.size() >> shift);
  } else {
    out += static_cast<char>(bit | 127);
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(payload.size() >> shift);
  }
  if (mask == nullptr) return out.append(payload);
  const uint64_t drawn = mask->next();
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(drawn >> shift);
  const size_t key = out.size() - 4;
  for (size_t i = 0; i < payload.size(); ++i) {
    out += static_cast<char>(payload[i] ^ out[key + i % 4]);
  }
  return out;
}

Result<std::optional<WebSocketMessage>> WebSocketReader::next() {
  while (true) {
    if (buffer_.size() < 2) return std::optional<WebSocketMessage>();
    const auto byte = [&](size_t at) { return static_cast<unsigned char>(buffer_[at]); };
    const bool last = (byte(0) & 0x80) != 0;
    const unsigned opcode = byte(0) & 0x0f;
    const bool masked = (byte(1) & 0x80) != 0;
    if ((byte(0) & 0x70) != 0) return fail(Code::kInvalid, "WebSocket: reserved bits are set");
    if (masked != masked_) {
      return fail(Code::kInvalid, "WebSocket: the frame is {}masked", masked ? "" : "not ");
    }
    size_t at = 2;
    uint64_t length = byte(1) & 0x7f;
    const size_t wide = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (buffer_.size() < at + wide + (masked ? 4 : 0)) return std::optional<WebSocketMessage>();
    if (wide > 0) {
      length = 0;
      for (size_t i = 0; i < wide; ++i) length = length << 8 | byte(at++);
    }
    const auto kind = kind_of(opcode);
    if (!kind && opcode != 0) return fail(Code::kInvalid, "WebSocket: unknown opcode {}", opcode);
    if (kind && is_control(*kind) && (!last || length > kMaxControlBytes)) {
      return fail(Code::kInvalid, "WebSocket: a control frame is fragmented or too long");
    }
    const size_t before = partial_ ? partial_->payload.size() : 0;
    if (length > kMaxMessageBytes - before) {
      return fail(Code::kLimit, "WebSocket: a message is longer than {} bytes", kMaxMessageBytes);
    }
    const size_t key = at;
    if (masked) at += 4;
    if (buffer_.size() < at + length) return std::optional<WebSocketMessage>();
    std::string payload = buffer_.substr(at, length);
    for (size_t i = 0; masked && i < payload.size(); ++i) {
      payload[i] = static_cast<char>(payload[i] ^ buffer_[key + i % 4]);
    }
    buffer_.erase(0, at + length);
    if (kind && is_control(*kind)) {
      return std::optional(WebSocketMessage{*kind, std::move(payload)});
    }
    if (kind && partial_) return fail(Code::kInvalid, "WebSocket: a message inside of a message");
    if (!kind && !partial_) return fail(Code::kInvalid, "WebSocket: a continuation of nothing");
    if (kind) partial_.emplace(WebSocketMessage{*kind, {}});
    partial_->payload += payload;
    if (!last) continue;
    std::optional<WebSocketMessage> whole = std::move(partial_);
    partial_.reset();
    return whole;
  }
}

}  // namespace sluice
