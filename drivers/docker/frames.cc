#include "drivers/docker/frames.h"

#include <algorithm>
#include <optional>

namespace sluice::drivers {
namespace {

constexpr size_t kHeadBytes = 8;

struct Head {
  LogStream stream;
  size_t length;
};

Result<Head> parse_head(std::string_view head, size_t max_frame_bytes) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(head[i]); };
  if (byte(0) > 3 || byte(1) != 0 || byte(2) != 0 || byte(3) != 0) {
    return fail(Code::kInvalid, "log stream: bytes {:02x} {:02x} {:02x} {:02x} head no frame",
                byte(0), byte(1), byte(2), byte(3));
  }
  size_t length = size_t{byte(4)} << 24 | size_t{byte(5)} << 16 | size_t{byte(6)} << 8 | byte(7);
  if (length > max_frame_bytes) {
    return fail(Code::kLimit, "log stream: a frame of {} bytes is over the limit of {}", length,
                max_frame_bytes);
  }
  // 2 is standard error; 3, the daemon's own error text, goes with it.
  return Head{byte(0) >= 2 ? LogStream::kStderr : LogStream::kStdout, length};
}

}  // namespace

Result<void> LogFrames::feed(std::string_view bytes) {
  while (!bytes.empty() || pending_.size() >= kHeadBytes) {
    if (pending_.empty() && bytes.size() >= kHeadBytes) {
      // The whole frame is in what we were given: no copy.
      auto head = parse_head(bytes, limits_.max_frame_bytes);
      if (!head) return pass(head);
      if (bytes.size() - kHeadBytes >= head->length) {
        on_frame_(head->stream, bytes.substr(kHeadBytes, head->length));
        bytes.remove_prefix(kHeadBytes + head->length);
        continue;
      }
    }
    if (pending_.size() < kHeadBytes) {
      size_t take = std::min(kHeadBytes - pending_.size(), bytes.size());
      pending_.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (pending_.size() < kHeadBytes) return {};
    }
    auto head = parse_head(pending_, limits_.max_frame_bytes);
    if (!head) return pass(head);
    size_t take = std::min(kHeadBytes + head->length - pending_.size(), bytes.size());
    pending_.append(bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (pending_.size() < kHeadBytes + head->length) return {};
    on_frame_(head->stream, std::string_view(pending_).substr(kHeadBytes));
    pending_.clear();
  }
  return {};
}

}  // namespace sluice::drivers
