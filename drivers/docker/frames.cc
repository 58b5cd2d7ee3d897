#include "drivers/docker/frames.h"

#include <algorithm>

#include "drivers/docker/container.h"

namespace sluice::drivers {
namespace {

constexpr size_t kHeadBytes = 8;
constexpr size_t kTimeBytes = 30;  // nine decimals and Z
constexpr size_t kDockerLineBytes = 16 * 1024;

}  // namespace

Result<std::optional<LogFrame>> parse_log_frame(std::string_view bytes, size_t max_payload_bytes) {
  if (bytes.size() < kHeadBytes) return std::nullopt;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (byte(0) > 3 || byte(1) != 0 || byte(2) != 0 || byte(3) != 0) {
    return fail(Code::kInvalid, "log stream: bytes {:02x} {:02x} {:02x} {:02x} head no frame",
                byte(0), byte(1), byte(2), byte(3));
  }
  size_t length = size_t{byte(4)} << 24 | size_t{byte(5)} << 16 | size_t{byte(6)} << 8 | byte(7);
  if (length > max_payload_bytes) {
    return fail(Code::kLimit, "log stream: a frame of {} bytes is over the limit of {}", length,
                max_payload_bytes);
  }
  if (bytes.size() - kHeadBytes < length) return std::nullopt;
  // 2 is standard error; 3, the daemon's own error text, goes with it.
  return LogFrame{byte(0) >= 2 ? LogStream::kStderr : LogStream::kStdout,
                  bytes.substr(kHeadBytes, length), kHeadBytes + length};
}

std::optional<LogFrame> parse_log_line(std::string_view bytes) {
  size_t newline = bytes.find('\n');
  size_t text_at = parse_timed_message(bytes).time_ns == 0 ? 0 : kTimeBytes + 1;
  size_t size = newline == std::string_view::npos ? std::string_view::npos : newline + 1;
  // A part of a longer line, which the next time in front tells from a line of just that length.
  if (size > text_at + kDockerLineBytes &&
      bytes.size() >= text_at + kDockerLineBytes + kTimeBytes + 1 &&
      parse_timed_message(bytes.substr(text_at + kDockerLineBytes)).time_ns != 0) {
    size = text_at + kDockerLineBytes;
  }
  if (size == std::string_view::npos && bytes.size() < kMaxLogFrameBytes) return std::nullopt;
  size = std::min(size, bytes.size());
  return LogFrame{LogStream::kStdout, bytes.substr(0, size), size};
}

TimedMessage parse_timed_message(std::string_view payload) {
  if (payload.size() <= kTimeBytes || payload[kTimeBytes] != ' ') return {0, payload};
  auto time = parse_time_ns(payload.substr(0, kTimeBytes));
  if (!time) return {0, payload};
  return {*time, payload.substr(kTimeBytes + 1)};
}

}  // namespace sluice::drivers
