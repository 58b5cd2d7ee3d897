#include "drivers/embedded/grpc_check.h"

#include <fmt/core.h>

#include <array>

namespace sluice::drivers {

using orchestrator::CheckStatus;
using orchestrator::ServiceCheck;

namespace {

constexpr size_t kAnswerBytes = 64 * 1024;
constexpr size_t kFrameHead = 9;  // RFC 9113, section 4.1

constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kGoAway = 7;
constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8;

void put_frame(std::string& out, uint8_t type, uint8_t flags, uint32_t stream,
               std::string_view payload) {
  for (const int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  out += payload;
}

/// A literal header field without indexing and a new name (RFC 7541, section 6.2.2), neither in
/// Huffman's code: no table, no state.
void put_field(std::string& out, std::string_view name, std::string_view value) {
  out += '\0';
  for (const std::string_view text : {name, value}) {
    // Lengths below 127 are one byte (section 5.1).
    if (text.size() < 127) {
      out += static_cast<char>(text.size());
    } else {
      out += '\x7f';
      size_t rest = text.size() - 127;
      for (; rest >= 128; rest /= 128) out += static_cast<char>(rest % 128 + 128);
      out += static_cast<char>(rest);
    }
    out += text;
  }
}

uint32_t number(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

/// HealthCheckResponse: field 1, a varint; 1 is SERVING.
bool says_serving(std::string_view message) {
  for (size_t at = 0; at + 1 < message.size(); at += 2) {
    if (message[at] == 0x08) return message[at + 1] == 1;
  }
  return false;
}

}  // namespace

std::string grpc_request(std::string_view authority, std::string_view service) {
  std::string fields;
  put_field(fields, ":method", "POST");
  put_field(fields, ":scheme", "http");
  put_field(fields, ":path", "/grpc.health.v1.Health/Check");
  put_field(fields, ":authority", authority);
  put_field(fields, "content-type", "application/grpc");
  put_field(fields, "te", "trailers");
  std::string message;  // HealthCheckRequest: field 1, the service's name
  if (!service.empty()) {
    message += '\x0a';
    size_t rest = service.size();
    for (; rest >= 128; rest /= 128) message += static_cast<char>(rest % 128 + 128);
    message += static_cast<char>(rest);
    message += service;
  }
  std::string body(1, '\0');  // not compressed
  for (const int shift : {24, 16, 8, 0}) body += static_cast<char>(message.size() >> shift);
  body += message;
  std::string out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  put_frame(out, kSettings, 0, 0, {});
  put_frame(out, kHeaders, kEndHeaders, 1, fields);
  put_frame(out, kData, kEndStream, 1, body);
  return out;
}

std::string grpc_settings_ack() {
  std::string out;
  put_frame(out, kSettings, kAck, 0, {});
  return out;
}

GrpcAnswer grpc_serving(std::string_view bytes, bool& acknowledge) {
  std::string body;
  while (bytes.size() >= kFrameHead) {
    const uint32_t length = number(bytes.substr(0, 3));
    const auto type = static_cast<uint8_t>(bytes[3]);
    const auto flags = static_cast<uint8_t>(bytes[4]);
    const uint32_t stream = number(bytes.substr(5, 4)) & 0x7fffffff;
    if (bytes.size() < kFrameHead + length) break;
    std::string_view payload = bytes.substr(kFrameHead, length);
    bytes.remove_prefix(kFrameHead + length);
    if (type == kSettings && (flags & kAck) == 0) acknowledge = true;
    if (type == kGoAway) return GrpcAnswer::kRefused;
    if (stream != 1) continue;
    if (type == kReset) return GrpcAnswer::kRefused;
    if (type == kData) {
      if ((flags & kPadded) != 0 && !payload.empty()) {
        const auto padding = static_cast<unsigned char>(payload[0]);
        payload.remove_prefix(1);
        payload.remove_suffix(std::min<size_t>(padding, payload.size()));
      }
      body += payload;
    }
    constexpr size_t kMessageHead = 5;
    if (body.size() >= kMessageHead) {
      const uint32_t size = number(std::string_view(body).substr(1, 4));
      if (body.size() >= kMessageHead + size) {
        if (body[0] != 0) return GrpcAnswer::kRefused;  // compressed, which was not offered
        return says_serving(std::string_view(body).substr(kMessageHead, size))
                   ? GrpcAnswer::kServing
                   : GrpcAnswer::kNotServing;
      }
    }
    // Trailers without a message: an error, such as an unknown service.
    if ((flags & kEndStream) != 0) return GrpcAnswer::kRefused;
  }
  return GrpcAnswer::kIncomplete;
}

Task<CheckResult> ask_grpc(Env& env, const ServiceCheck& check) {
  const Address at{.ip = check.address, .port = check.port};
  const std::string what = fmt::format("gRPC check {}{}", to_string(at), check.path);
  const auto critical = [&](std::string_view why) {
    return CheckResult{.output = fmt::format("{}: {}", what, why)};
  };
  Result<std::unique_ptr<Stream>> stream = co_await env.network.connect(at, check.timeout_ms);
  if (!stream) co_return critical(stream.error().message);
  const std::string_view service =
      check.path.empty() ? std::string_view() : std::string_view(check.path).substr(1);
  Result<void> sent = co_await (*stream)->write(grpc_request(to_string(at), service));
  if (!sent) co_return critical(sent.error().message);
  std::string bytes;
  bool acknowledged = false;
  while (bytes.size() < kAnswerBytes) {
    std::array<char, 4096> buffer;
    Result<size_t> got = co_await (*stream)->read(buffer);
    if (!got) co_return critical(got.error().message);
    if (*got == 0) co_return critical("the connection was closed without an answer");
    bytes.append(buffer.data(), *got);
    bool acknowledge = false;
    switch (grpc_serving(bytes, acknowledge)) {
      case GrpcAnswer::kServing:
        co_return CheckResult{.status = CheckStatus::kPassing, .output = what + ": SERVING"};
      case GrpcAnswer::kNotServing: co_return critical("not SERVING");
      case GrpcAnswer::kRefused:
        co_return critical("refused: no such service, or no health service");
      case GrpcAnswer::kIncomplete: break;
    }
    if (acknowledge && !std::exchange(acknowledged, true)) {
      Result<void> done = co_await (*stream)->write(grpc_settings_ack());
      if (!done) co_return critical(done.error().message);
    }
  }
  co_return critical("the answer is too long");
}

}  // namespace sluice::drivers
