#include "core/http1_body.h"

#include "core/check.h"
#include "core/hex.h"
#include "core/http1_text.h"

namespace sluice::http1 {

namespace {

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

// A trailer line obeys what a header line obeys, and may not frame, route or authorise (RFC
// 9110 6.5.1).
bool trailer_line_ok(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  if (!all(kToken, line.substr(0, colon))) return false;
  for (const char c : line.substr(colon + 1)) {
    if (is_control(c)) return false;
  }
  switch (name_of(line.substr(0, colon))) {
    case Name::kContentLength:
    case Name::kTransferEncoding:
    case Name::kHost:
    case Name::kConnection:
    case Name::kUpgrade:
    case Name::kExpect:
    case Name::kTe:
    case Name::kTrailer:
    case Name::kKeepAlive:
    case Name::kProxyConnection:
    case Name::kHttp2Settings:
    case Name::kForwarded:
    case Name::kXForwardedFor:
    case Name::kXForwardedProto:
    case Name::kXForwardedPort:
    case Name::kXForwardedHost:
    case Name::kXForwardedPrefix:
    case Name::kXRealIp:
    case Name::kAuthorization:
    case Name::kCookie:
    case Name::kContentType:
    case Name::kContentEncoding:
    case Name::kLocation:
    case Name::kStrictTransport: return false;
    default: return true;
  }
}

}  // namespace

void BodyReader::start(Framing framing, uint64_t length) {
  *this = BodyReader();
  framing_ = framing;
  left_ = framing == Framing::kLength ? length : 0;
  done_ = framing == Framing::kNone || (framing == Framing::kLength && length == 0);
}

BodyReader::Step BodyReader::read(std::string_view in) {
  if (done_) return {State::kEnd, 0, {}};
  switch (framing_) {
    case Framing::kNone: return {State::kEnd, 0, {}};
    case Framing::kUntilClose: return {State::kMore, in.size(), in};
    case Framing::kChunked: return read_chunked(in);
    case Framing::kLength: break;
  }
  const size_t take = in.size() < left_ ? in.size() : static_cast<size_t>(left_);
  left_ -= take;
  done_ = left_ == 0;
  return {done_ ? State::kEnd : State::kMore, take, in.substr(0, take)};
}

uint64_t BodyReader::payload_left() const {
  switch (framing_) {
    case Framing::kNone: return 0;
    case Framing::kLength: return left_;
    case Framing::kChunked: return at_ == At::kData ? left_ : 0;
    case Framing::kUntilClose: return UINT64_MAX;
  }
  return 0;
}

void BodyReader::skip(uint64_t size) {
  CHECK(size <= payload_left());
  if (framing_ == Framing::kUntilClose) return;
  left_ -= size;
  if (left_ != 0) return;
  if (framing_ == Framing::kChunked) {
    at_ = At::kDataCr;
  } else {
    done_ = true;
  }
}

BodyReader::Step BodyReader::read_chunked(std::string_view in) {
  size_t i = 0;
  const Step bad{State::kBad, 0, {}};
  while (i < in.size()) {
    const char c = in[i];
    switch (at_) {
      case At::kSize: {
        const int value = hex_digit(c);
        if (value >= 0) {
          left_ = left_ * 16 + static_cast<uint64_t>(value);
          digit_ = true;
          if (left_ > kMaxChunkBytes) return bad;
          break;
        }
        if (!digit_) return bad;
        [[fallthrough]];
      }
      case At::kBlank:
      case At::kExtension:
        if (c == '\r') {
          at_ = At::kSizeLf;
        } else if (at_ == At::kExtension) {
          if (is_control(c)) return bad;
        } else if (c == ';') {
          at_ = At::kExtension;
        } else if (c == ' ' || c == '\t') {
          at_ = At::kBlank;  // old servers pad the size with blanks; an extension may have them in
                             // front
        } else {
          return bad;
        }
        break;
      case At::kSizeLf:
        if (c != '\n') return bad;
        line_bytes_ = 0;
        digit_ = false;
        if (left_ == 0) {
          at_ = At::kTrailers;
          return read_trailers(in, i + 1);
        }
        at_ = At::kData;
        ++i;
        continue;
      case At::kData: {
        const size_t room = in.size() - i;
        const size_t take = room < left_ ? room : static_cast<size_t>(left_);
        left_ -= take;
        if (left_ == 0) at_ = At::kDataCr;
        return {State::kMore, i + take, in.substr(i, take)};
      }
      case At::kDataCr:
        if (c != '\r') return bad;
        at_ = At::kDataLf;
        ++i;
        continue;
      case At::kDataLf:
        if (c != '\n') return bad;
        at_ = At::kSize;
        ++i;
        continue;
      case At::kTrailers: return read_trailers(in, i);
    }
    ++i;
    if (++line_bytes_ > kMaxChunkLineBytes) return bad;
  }
  return {State::kMore, i, {}};
}

BodyReader::Step BodyReader::read_trailers(std::string_view in, size_t at) {
  const size_t begin = at;
  uint32_t lines = 0;
  for (;;) {
    const size_t lf = in.find('\n', at);
    const size_t end = lf == std::string_view::npos ? in.size() : lf + 1;
    if (end - begin > kMaxTrailerBytes) return {State::kBad, 0, {}};
    if (lf == std::string_view::npos) {
      // A CR that is not the last byte seen is a bare one: say so now, not once the line ends.
      const size_t cr = in.find('\r', at);
      if (cr != std::string_view::npos && cr + 1 != in.size()) return {State::kBad, 0, {}};
      return {State::kMore, begin, {}};
    }
    if (lf == at || in[lf - 1] != '\r') return {State::kBad, 0, {}};
    if (lf == at + 1) {
      trailers_ = in.substr(begin, at - begin);
      done_ = true;
      return {State::kEnd, lf + 1, {}};
    }
    if (++lines > kMaxTrailerLines || !trailer_line_ok(in.substr(at, lf - 1 - at))) {
      return {State::kBad, 0, {}};
    }
    at = lf + 1;
  }
}

size_t write_chunk_line(char* out, uint64_t size) {
  char digits[16];
  int n = 0;
  do {
    digits[n++] = "0123456789abcdef"[size & 15];
    size >>= 4;
  } while (size != 0);
  size_t at = 0;
  while (n > 0) out[at++] = digits[--n];
  out[at++] = '\r';
  out[at++] = '\n';
  return at;
}

}  // namespace sluice::http1
