// HTTP/1 bodies: where a body ends, and its payload without the chunk lines (RFC 9112 6 and 7).
//
// Chunk lines are checked and never forwarded: who sends a chunked body on writes lines of its own.
// Owner: one per message direction. Thread: its owner's. Allocates nothing. Limits: the constants
// below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/http1.h"

namespace sluice::http1 {

inline constexpr uint64_t kMaxChunkBytes = uint64_t{1} << 52;
inline constexpr uint32_t kMaxChunkLineBytes = 1024;  // size and extensions of one chunk
inline constexpr uint32_t kMaxTrailerBytes = 8 * 1024;
inline constexpr uint32_t kMaxTrailerLines = 32;
/// What write_chunk_line may need: 16 hex digits and CRLF.
inline constexpr size_t kMaxChunkHeader = 18;

/// Follows one body through its bytes, in whatever pieces they come.
class BodyReader {
 public:
  enum class State : uint8_t {
    kMore,  // the input is used up (but for bytes that must be shown again) and the body goes on
    kEnd,   // the body is whole; what follows in the input is not of it
    kBad,
  };
  struct Step {
    State state;
    size_t consumed;        // of the input; the rest must be shown again, with more behind it
    std::string_view data;  // payload within what was consumed; may be empty
  };

  /// length: of kLength.
  void start(Framing framing, uint64_t length);

  /// Call again with the rest of the input while it consumes; each call returns at most one run of
  /// payload. Trailers are consumed all at once, when they are whole: until then their bytes stay
  /// in the input.
  Step read(std::string_view in);

  /// The same for bytes that never pass through memory: `size` payload bytes were moved by splice.
  /// At most payload_left(); only while it is not 0.
  void skip(uint64_t size);
  /// Payload bytes that are known to follow now: of the body (kLength), of this chunk (kChunked);
  /// UINT64_MAX for kUntilClose.
  uint64_t payload_left() const;

  /// The peer closed: true if that is a proper end (kUntilClose, or the body was whole).
  bool ends_at_close() const { return framing_ == Framing::kUntilClose || done_; }
  bool done() const { return done_; }
  Framing framing() const { return framing_; }
  /// The trailer lines, within the input of the read that returned kEnd: "" or "Name: value CRLF
  /// ...".
  std::string_view trailers() const { return trailers_; }

 private:
  enum class At : uint8_t {
    kSize,
    kBlank,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailers
  };
  Step read_chunked(std::string_view in);
  Step read_trailers(std::string_view in, size_t at);

  uint64_t left_ = 0;
  std::string_view trailers_;
  uint32_t line_bytes_ = 0;
  Framing framing_ = Framing::kNone;
  At at_ = At::kSize;
  bool digit_ = false;
  bool done_ = true;
};

/// Writes "<hex size>CRLF" at out (kMaxChunkHeader bytes there) and returns its length.
size_t write_chunk_line(char* out, uint64_t size);

}  // namespace sluice::http1
