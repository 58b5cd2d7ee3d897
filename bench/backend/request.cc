#include "bench/backend/request.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "bench/backend/answer.h"
#include "bench/backend/text.h"

namespace backend {

bool take_head(Conn& c) {
  std::string_view all(c.in.data() + c.in_at, c.in.size() - c.in_at);
  size_t end = all.find("\r\n\r\n");
  if (end == all.npos) {
    if (all.size() > kMaxHead) refuse(c, 400, "head too large\n");
    return false;
  }
  std::string_view head = all.substr(0, end + 4);
  c.in_at += head.size();
  size_t line_end = head.find("\r\n");
  std::string_view line = head.substr(0, line_end);
  size_t a = line.find(' '), b = line.rfind(' ');
  if (a == line.npos || b <= a || !line.substr(b + 1).starts_with("HTTP/1.")) {
    refuse(c, 400, "not a request line\n");
    return false;
  }
  c.is_head = line.substr(0, a) == "HEAD";
  c.target.assign(line.substr(a + 1, b - a - 1));
  c.old_client = line.back() == '0';
  c.keep_alive = !c.old_client;
  c.body = Body::kNone;
  c.body_left = c.body_bytes = 0;
  c.kept.clear();
  c.sink = c.target.starts_with("/echo") ? Sink::kKeep : Sink::kDrop;
  if (c.target.starts_with("/request")) c.head.assign(head);
  bool expects = false;
  for (size_t at = line_end + 2; at < head.size() - 2;) {
    size_t stop = head.find("\r\n", at);
    std::string_view field = head.substr(at, stop - at);
    at = stop + 2;
    size_t colon = field.find(':');
    if (colon == field.npos) continue;
    std::string_view key = field.substr(0, colon), value = trim(field.substr(colon + 1));
    if (same(key, "content-length")) {
      c.body_left = number(value);
      c.body = c.body_left ? Body::kLength : Body::kNone;
    } else if (same(key, "transfer-encoding") && same(value, "chunked")) {
      c.body = Body::kChunkSize;
    } else if (same(key, "connection")) {
      if (same(value, "close")) c.keep_alive = false;
      if (same(value, "keep-alive")) c.keep_alive = true;
    } else if (same(key, "expect") && same(value, "100-continue")) {
      expects = true;
    }
  }
  if (expects && c.body != Body::kNone) c.out += "HTTP/1.1 100 Continue\r\n\r\n";
  c.phase = Phase::kBody;
  return true;
}

bool take_body(Conn& c) {
  while (c.body != Body::kNone) {
    std::string_view have(c.in.data() + c.in_at, c.in.size() - c.in_at);
    if (c.body == Body::kLength || c.body == Body::kChunkData) {
      size_t n = std::min<uint64_t>(have.size(), c.body_left);
      if (c.sink == Sink::kKeep) c.kept.append(have.substr(0, n));
      c.in_at += n;
      c.body_left -= n;
      c.body_bytes += n;
      if (c.kept.size() > kMaxEcho) return refuse(c, 413, "too large\n"), false;
      if (c.body_left) return false;
      c.body = c.body == Body::kLength ? Body::kNone : Body::kChunkEnd;
      continue;
    }
    size_t stop = have.find("\r\n");
    if (stop == have.npos) {
      if (have.size() > kMaxHead) refuse(c, 400, "chunk line too long\n");
      return false;
    }
    std::string_view line = have.substr(0, stop);
    c.in_at += stop + 2;
    if (c.body == Body::kChunkEnd) {
      c.body = Body::kChunkSize;
    } else if (c.body == Body::kTrailer) {
      if (line.empty()) c.body = Body::kNone;
    } else {
      c.body_left = 0;
      auto parsed = std::from_chars(line.data(), line.data() + line.size(), c.body_left, 16);
      if (parsed.ec != std::errc{}) return refuse(c, 400, "bad chunk\n"), false;
      c.body = c.body_left ? Body::kChunkData : Body::kTrailer;
    }
  }
  return true;
}

}  // namespace backend
