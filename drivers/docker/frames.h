// Docker's log stream: frames of a head (stream, three zero bytes, length in big-endian order) and
// a payload. The reader keeps what has come in a buffer and takes whole frames from its front.
//
// Pure; any thread. A head that claims more than the limit is an error, for then the stream is not
// what we take it for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/result.h"

namespace sluice::drivers {

enum class LogStream : uint8_t { kStdout, kStderr };

struct LogFrame {
  LogStream stream = LogStream::kStdout;
  std::string_view payload;  // within the bytes that were given
  size_t size = 0;           // of the frame with its head
};

// Docker splits lines at 16 KiB and puts the time in front; drivers other than its own go higher.
inline constexpr size_t kMaxLogFrameBytes = 4 << 20;

/// The frame that `bytes` starts with; nullopt while it is not whole.
Result<std::optional<LogFrame>> parse_log_frame(std::string_view bytes,
                                                size_t max_payload_bytes = kMaxLogFrameBytes);

/// The same for the output of a container with a tty and with times, which has no frames: a message
/// is a line behind its time, and Docker splits a line of more than 16 KiB. All of it is standard
/// output.
std::optional<LogFrame> parse_log_line(std::string_view bytes);

/// A message as Docker sends it with timestamps=true: "2019-03-30T08:13:15.500000000Z text".
struct TimedMessage {
  int64_t time_ns = 0;  // 0: it has no time in front
  std::string_view text;
};
TimedMessage parse_timed_message(std::string_view payload);

}  // namespace sluice::drivers
