// Docker's log stream taken apart: frames of a head (stream, three zero bytes, length in big-endian
// order) and a payload, fed in any split.
//
// Owner: whoever reads the stream. One thread. A payload is handed out once it is complete; a head
// that claims more than the limit is an error, for then the stream is not what we take it for.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice::drivers {

enum class LogStream : uint8_t { kStdout, kStderr };

struct LogFrameLimits {
  // Docker splits lines at 16 KiB and puts the time in front; drivers other than its own go higher.
  size_t max_frame_bytes = 4 << 20;
};

class LogFrames {
 public:
  using OnFrame = std::function<void(LogStream, std::string_view payload)>;

  explicit LogFrames(OnFrame on_frame, LogFrameLimits limits = {})
      : on_frame_(std::move(on_frame)), limits_(limits) {}

  Result<void> feed(std::string_view bytes);
  /// True where the stream may end without losing a part of a frame.
  bool at_boundary() const { return pending_.empty(); }

 private:
  OnFrame on_frame_;
  LogFrameLimits limits_;
  std::string pending_;  // an incomplete head or frame
};

}  // namespace sluice::drivers
