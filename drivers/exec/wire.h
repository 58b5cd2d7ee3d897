// The messages between the exec drivers and the supervisor, and the records in its folder.
//
// A frame is a 32-bit length (little-endian) and that many bytes of fields; a field is a 16-bit key
// length, a 32-bit value length, key and value. Fields may repeat and keep their order. Unknown
// fields are ignored, so that an older supervisor and a newer agent (or the reverse) understand
// each other; every request carries "v", and a supervisor refuses a version that it does not speak
// by name.
//
// Limits: kMaxRequestBytes for what a supervisor reads, kMaxReplyBytes for what an agent reads,
// kMaxFields and kMaxKeyBytes for both. Plain values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace sluice::drivers::exec {

constexpr int64_t kWireVersion = 1;
constexpr size_t kMaxRequestBytes = 1 << 20;
constexpr size_t kMaxReplyBytes = 64 << 20;
constexpr size_t kMaxFields = 1 << 16;
constexpr size_t kMaxKeyBytes = 64;
constexpr size_t kFrameHeadBytes = 4;

class Message {
 public:
  Message& add(std::string_view key, std::string_view value);
  Message& add(std::string_view key, int64_t value);
  /// The first field of that name; empty if there is none.
  [[nodiscard]] std::string_view get(std::string_view key) const;
  /// `fallback` if there is none or it is no decimal number.
  [[nodiscard]] int64_t get_int(std::string_view key, int64_t fallback = 0) const;
  [[nodiscard]] bool has(std::string_view key) const;
  /// Every field of that name, in order. The views live as long as the message.
  [[nodiscard]] std::vector<std::string_view> all(std::string_view key) const;

  /// The fields alone (for a record or a nested message), and with the length in front.
  [[nodiscard]] std::string body() const;
  [[nodiscard]] std::string frame() const;
  static Result<Message> parse(std::string_view body);

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// The size of the first frame in `buffer`, head and all; nullopt while its head is not complete.
Result<std::optional<size_t>> frame_bytes(std::string_view buffer, size_t max_body_bytes);

/// A reply that says no, and the reading of one.
Message error_reply(const Error& error);
std::optional<Error> reply_error(const Message& reply);

}  // namespace sluice::drivers::exec
