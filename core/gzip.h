// GzipEncoder: one stream of bytes into one gzip member (RFC 1952), in pieces. The one door to
// zlib.
//
// Owner: whoever made it; 270 KB each, so they are pooled (GzipPool) and only a compressed response
// has one. Thread: the owner's.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

struct z_stream_s;

namespace sluice {

class GzipEncoder {
 public:
  static constexpr int kLevel = 5;  // beyond it time grows faster than what it saves

  GzipEncoder();
  ~GzipEncoder();
  GzipEncoder(const GzipEncoder&) = delete;
  GzipEncoder& operator=(const GzipEncoder&) = delete;

  enum class Until : uint8_t {
    kFull,  // what is put in may stay inside for a while
    kSync,  // all that was put in comes out, and the stream goes on
    kEnd,
  };
  struct Step {
    size_t consumed;
    size_t produced;
    bool more;  // of kSync and kEnd: call again with room, and without bytes
  };
  Step encode(std::string_view in, char* out, size_t room, Until until);
  /// Bytes were put in since the last kSync.
  [[nodiscard]] bool holds() const { return holds_; }
  /// To begin another stream.
  void reset();

 private:
  std::unique_ptr<z_stream_s> stream_;
  bool holds_ = false;
};

/// Encoders that wait for their next stream.
class GzipPool {
 public:
  static constexpr size_t kKept = 16;
  std::unique_ptr<GzipEncoder> take();
  void give(std::unique_ptr<GzipEncoder> encoder);

 private:
  std::vector<std::unique_ptr<GzipEncoder>> free_;
};

}  // namespace sluice
