#include "bench/load/response.h"

#include <stdlib.h>
#include <strings.h>

#include <string>

#include "bench/load/connection.h"
#include "bench/load/flags.h"

namespace load {

namespace {

constexpr size_t kHeadBytes = 16 << 10;

// True once the head is whole; `rest` is then what of the body came with it.
bool read_head(Conn& c, std::string_view bytes, std::string_view& rest, std::string& error) {
  const size_t had = c.head.size();
  c.head.append(bytes);
  const size_t end = c.head.find("\r\n\r\n", had < 3 ? 0 : had - 3);
  if (end == std::string::npos) {
    if (c.head.size() > kHeadBytes) error = "response head too large";
    return false;
  }
  const size_t head_size = end + 4;
  rest = bytes.substr(head_size - had);
  if (c.head.size() < 12 || c.head.compare(0, 7, "HTTP/1.") != 0) {
    error = "not an HTTP response: " + c.head.substr(0, 40);
    return false;
  }
  const std::string status = c.head.substr(9, 3);
  c.body_left = 0;
  c.close_after = false;
  bool has_length = false;
  for (size_t at = c.head.find("\r\n") + 2; at < head_size - 2;) {
    const size_t line_end = c.head.find("\r\n", at);
    const std::string_view line(c.head.data() + at, line_end - at);
    at = line_end + 2;
    if (line.size() > 15 && strncasecmp(line.data(), "content-length:", 15) == 0) {
      c.body_left = strtoull(line.data() + 15, nullptr, 10);
      has_length = true;
    } else if (line.size() > 11 && strncasecmp(line.data(), "connection:", 11) == 0) {
      c.close_after = line.find("lose") != std::string_view::npos;
    }
  }
  if (c.state == State::kUpgrade) {
    if (status != "101") error = "answered " + status + " in place of 101";
    return error.empty();
  }
  if (!has_length) error = "response without a Content-Length";
  if (status != "200") {
    ++totals.bad_status;
    if (!flags.errors) error = "answered " + status;
  }
  return error.empty();
}

}  // namespace

bool take(Conn& c, std::string_view bytes) {
  totals.bytes += bytes.size();
  if (flags.message > 0 && c.state == State::kBusy) {
    // An unmasked frame: two bytes of header (its payload is under 126) before the same payload.
    if (c.body_left == 0 || bytes.size() > c.body_left) {
      failed(c, "websocket: more came back than was sent");
      return false;
    }
    c.body_left -= bytes.size();
    if (c.body_left > 0) return true;
    done(c);
    return false;
  }
  if (!c.in_body) {
    std::string error;
    std::string_view rest;
    if (!read_head(c, bytes, rest, error)) {
      if (error.empty()) return true;
      failed(c, error);
      return false;
    }
    if (c.state == State::kUpgrade) {
      c.head.clear();
      c.state = State::kBusy;
      c.sent = 0;
      c.body_left = 2 + flags.message;
      drive(c);
      return false;
    }
    c.in_body = true;
    bytes = rest;
  }
  if (bytes.size() > c.body_left) {
    failed(c, "more came than the Content-Length says");
    return false;
  }
  c.body_left -= bytes.size();
  if (c.body_left > 0) return true;
  done(c);
  return false;
}

}  // namespace load
