#include "core/http1.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/check.h"
#include "core/http1_scan.h"
#include "core/http1_text.h"

extern "C" {
#include <llhttp.h>
}
static_assert(LLHTTP_STRICT_MODE == 1, "without strict mode llhttp 8.1 takes a CR for a line end");

namespace sluice::http1 {

namespace {

ReadResult bad(uint16_t status, const char* reason) {
  return {ReadState::kBad, status, reason};
}

bool is_extension_method(std::string_view text) {
  return std::ranges::all_of(text,
                             [](char c) { return (c >= 'A' && c <= 'Z') || c == '-' || c == '_'; });
}

Method method_of(std::string_view text) {
  switch (text.size()) {
    case 3: return text == "GET" ? Method::kGet : text == "PUT" ? Method::kPut : Method::kOther;
    case 4: return text == "HEAD" ? Method::kHead : text == "POST" ? Method::kPost : Method::kOther;
    case 5:
      return text == "TRACE" ? Method::kTrace : text == "PATCH" ? Method::kPatch : Method::kOther;
    case 6: return text == "DELETE" ? Method::kDelete : Method::kOther;
    case 7:
      return text == "OPTIONS"   ? Method::kOptions
             : text == "CONNECT" ? Method::kConnect
                                 : Method::kOther;
    default: return Method::kOther;
  }
}

// "HTTP/1.0" or "HTTP/1.1".
ReadResult read_version(std::string_view text, Head& head) {
  if (text.size() != 8 || text.substr(0, 5) != "HTTP/" || text[6] != '.' || text[5] < '0' ||
      text[5] > '9' || text[7] < '0' || text[7] > '9') {
    return bad(400, "version malformed");
  }
  if (text[5] != '1' || text[7] > '1') return bad(505, "version not supported");
  head.minor_version = static_cast<uint8_t>(text[7] - '0');
  return {ReadState::kDone};
}

// RFC 9112 3.2: which form the target has, and the authority and path that follow from it.
ReadResult read_target(Head& head) {
  const std::string_view target = head.target;
  if (target.empty()) return bad(400, "target empty");
  if (!all(kTarget, target)) return bad(400, "target has a byte that it may not have");
  head.https = false;
  if (head.method == Method::kConnect) {
    std::string_view host;
    uint16_t port = 0;
    if (!split_authority(target, host, port) || host.empty() || port == 0) {
      return bad(400, "CONNECT wants host:port");
    }
    head.form = TargetForm::kAuthority;
    head.authority = target;
    head.path = {};
    return {ReadState::kDone};
  }
  if (target.front() == '/') {
    head.form = TargetForm::kOrigin;
    head.path = target;
    return {ReadState::kDone};
  }
  if (target == "*") {
    if (head.method != Method::kOptions) return bad(400, "target * without OPTIONS");
    head.form = TargetForm::kAsterisk;
    head.path = target;
    return {ReadState::kDone};
  }
  size_t scheme = 0;
  if (target.size() > 7 && iequals(target.substr(0, 7), "http://")) {
    scheme = 7;
  } else if (target.size() > 8 && iequals(target.substr(0, 8), "https://")) {
    scheme = 8;
    head.https = true;
  } else {
    return bad(400, "target is neither a path nor an http URL");
  }
  const size_t end = target.find_first_of("/?", scheme);
  head.form = TargetForm::kAbsolute;
  head.authority = target.substr(scheme, end == std::string_view::npos ? end : end - scheme);
  // RFC 9112 3.2.4: of OPTIONS, a URL without a path is about the server as a whole.
  const std::string_view root = head.method == Method::kOptions ? "*" : "/";
  head.path = end == std::string_view::npos ? root : target.substr(end);
  // "http://host?q" has an empty path; sent on in origin form it would need a byte that is not
  // there.
  if (head.path.front() == '?') return bad(400, "URL without a path has a query");
  if (head.authority.empty()) return bad(400, "URL without a host");
  return {ReadState::kDone};
}

// What the Connection, length and coding headers said, gathered while the lines are read.
struct Seen {
  uint16_t hosts = 0;
  uint16_t lengths = 0;
  uint16_t codings = 0;
  bool close = false;
  bool keep_alive = false;
  bool upgrade_option = false;
  bool upgrade_header = false;
  bool bad_length = false;
  bool bad_expect = false;
  std::string_view coding;
  std::string_view host;
};

void read_connection(std::string_view value, Seen& seen, Head& head) {
  for_each_element(value, [&](std::string_view option) {
    if (iequals(option, "close")) {
      seen.close = true;
    } else if (iequals(option, "keep-alive")) {
      seen.keep_alive = true;
    } else if (iequals(option, "upgrade")) {
      seen.upgrade_option = true;
    } else if (!option.empty()) {
      head.connection_names = true;
    }
  });
}

void note(const Header& header, Seen& seen, Head& head) {
  switch (header.id) {
    case Name::kHost:
      ++seen.hosts;
      seen.host = header.value;
      break;
    case Name::kConnection: read_connection(header.value, seen, head); break;
    case Name::kContentLength:
      ++seen.lengths;
      seen.bad_length |= !parse_length(header.value, head.content_length);
      break;
    case Name::kTransferEncoding:
      ++seen.codings;
      seen.coding = header.value;
      break;
    case Name::kTraceId: head.has_trace = true; break;
    case Name::kUpgrade: seen.upgrade_header = !header.value.empty(); break;
    case Name::kExpect:
      if (iequals(header.value, "100-continue")) {
        head.expect_continue = true;
      } else {
        seen.bad_expect = true;
      }
      break;
    default: break;
  }
}

// RFC 9112 5: name ":" OWS value OWS. The scan has refused controls, so only the name is checked
// here.
ReadResult read_header_line(const char* p, const char* end, Header& header) {
  const char* at = p;
  while (at < end && kToken.is[static_cast<unsigned char>(*at)]) ++at;
  if (at == end) return bad(400, "header line without a colon");
  if (*at != ':') {
    return at == p && is_blank(*at) ? bad(400, "header line is folded")
                                    : bad(400, "header name has a byte that it may not have");
  }
  if (at == p) return bad(400, "header name empty");
  header.name = {p, static_cast<size_t>(at - p)};
  ++at;
  while (at < end && is_blank(*at)) ++at;
  while (end > at && is_blank(end[-1])) --end;
  header.value = {at, static_cast<size_t>(end - at)};
  header.id = name_of(header.name);
  return {ReadState::kDone};
}

int on_headers_complete(llhttp_t*) {
  return HPE_PAUSED;
}

const llhttp_settings_t& llhttp_settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_headers_complete = on_headers_complete;
    return s;
  }();
  return settings;
}

// The second opinion: llhttp must reach the end of the same head at the same byte. `stand_in` goes
// before the head in place of what it does not know.
bool llhttp_agrees(llhttp_type type, std::string_view stand_in, std::string_view head) {
  llhttp_t parser;
  llhttp_init(&parser, type, &llhttp_settings());
  if (llhttp_execute(&parser, stand_in.data(), stand_in.size()) != HPE_OK) return false;
  if (llhttp_execute(&parser, head.data(), head.size()) != HPE_PAUSED) return false;
  return llhttp_get_error_pos(&parser) == head.data() + head.size();
}

}  // namespace

// Where the lines of a head end: offsets of their LF. One line more than headers for the first
// line.
struct HeadReader::Lines {
  uint16_t end[kMaxHeaderLines + 2];
  uint32_t begin;  // of the first line
  uint32_t count;  // lines, the blank one not counted
  uint32_t size;   // of the head with the blank line
};

ReadResult HeadReader::scan(std::string_view bytes, const Limits& limits, Lines& lines,
                            bool request) {
  CHECK(limits.header_lines <= kMaxHeaderLines && limits.head_bytes <= 65000);
  // RFC 9112 2.2: one empty line before a request is forgiven (clients of old send it after a
  // body).
  uint32_t begin = 0;
  if (request && bytes.size() >= 1 && bytes[0] == '\r') {
    if (bytes.size() == 1) return {ReadState::kMore};
    if (bytes[1] != '\n') return bad(400, "CR without LF");
    begin = 2;
  }
  if (bytes.size() > begin && !kToken.is[static_cast<unsigned char>(bytes[begin])]) {
    return bad(400, "not the start of an HTTP message");
  }
  if (seen_ < begin) seen_ = line_start_ = begin;
  const bool resumed = seen_ > begin;
  const uint32_t size =
      static_cast<uint32_t>(bytes.size() < limits.head_bytes ? bytes.size() : limits.head_bytes);
  const uint32_t first_line_max = begin + limits.target_bytes + 64;
  lines.begin = begin;
  uint32_t at = seen_;
  while (at < size) {
    const uint32_t n = size - at < 64 ? size - at : 64;
    const ScanMasks masks =
        n == 64 ? scan_block(bytes.data() + at) : scan_tail(bytes.data() + at, n);
    const uint64_t valid = n == 64 ? ~uint64_t{0} : (uint64_t{1} << n) - 1;
    const uint64_t after_cr = (masks.cr << 1 | (cr_ ? 1 : 0)) & valid;
    // CRLF always: an LF must follow a CR and a CR must be followed by an LF.
    const uint64_t wrong = (after_cr ^ masks.lf) | masks.control;
    const uint32_t first_wrong = wrong == 0 ? 64 : static_cast<uint32_t>(std::countr_zero(wrong));
    for (uint64_t lf = masks.lf; lf != 0; lf &= lf - 1) {
      const auto bit = static_cast<uint32_t>(std::countr_zero(lf));
      if (bit >= first_wrong) break;
      const uint32_t p = at + bit;
      if (p == line_start_ + 1) {
        if (line_count_ == 0) return bad(400, "blank line before the message");
        lines.count = line_count_;
        lines.size = p + 1;
        if (!resumed) return {ReadState::kDone};
        // The line table was not kept between calls: scan again, all at once.
        reset();
        return scan(bytes, limits, lines, request);
      }
      if (line_count_ > limits.header_lines) return bad(431, "too many header lines");
      if (line_count_ == 0 && p >= first_line_max) return bad(414, "target too long");
      lines.end[line_count_++] = static_cast<uint16_t>(p);
      line_start_ = p + 1;
    }
    if (first_wrong < 64) return bad(400, "control byte, or a line that does not end in CRLF");
    cr_ = (masks.cr >> (n - 1) & 1) != 0;
    at += n;
    seen_ = at;
    if (line_count_ == 0 && at >= first_line_max) return bad(414, "target too long");
  }
  if (bytes.size() >= limits.head_bytes) return bad(431, "head too large");
  return {ReadState::kMore};
}

namespace {

// The request's body (RFC 9112 6.3) and the rules that keep both sides of us in agreement on it.
ReadResult settle_request(const Seen& seen, Head& head) {
  if (seen.hosts > 1) return bad(400, "Host repeated");
  head.has_host = seen.hosts == 1;
  if (!head.has_host && head.minor_version == 1) return bad(400, "Host missing");
  std::string_view host;
  uint16_t port = 0;
  if (head.has_host && !split_authority(seen.host, host, port)) return bad(400, "Host invalid");
  if (head.form == TargetForm::kAbsolute) {
    if (!split_authority(head.authority, host, port) || host.empty())
      return bad(400, "URL's host invalid");
  } else if (head.form != TargetForm::kAuthority) {
    head.authority = seen.host;
  }
  if (seen.codings > 0) {
    if (head.minor_version == 0) return bad(400, "Transfer-Encoding on HTTP/1.0");
    if (seen.lengths > 0) return bad(400, "Content-Length with Transfer-Encoding");
    if (seen.codings > 1) return bad(400, "Transfer-Encoding repeated");
    if (!iequals(seen.coding, "chunked")) return bad(400, "Transfer-Encoding other than chunked");
    head.framing = Framing::kChunked;
  } else if (seen.lengths > 0) {
    if (seen.lengths > 1) return bad(400, "Content-Length repeated");
    if (seen.bad_length) return bad(400, "Content-Length invalid");
    head.framing = head.content_length == 0 ? Framing::kNone : Framing::kLength;
  }
  if (seen.bad_expect) return bad(417, "Expect other than 100-continue");
  if (head.method == Method::kConnect && head.framing != Framing::kNone)
    return bad(400, "CONNECT with a body");
  // RFC 9110 10.1.1: the expectation of a 1.0 client is ignored; so is one without a body to hold
  // back.
  if (head.minor_version == 0 || head.framing == Framing::kNone) head.expect_continue = false;
  // RFC 9110 7.8: a 1.0 client cannot ask for it. RFC 9113 3.1 gave h2c up, and what is sent over
  // one would pass by everything that we decide of a request.
  if (head.minor_version == 0 ||
      (head.upgrade && list_has_token(head.find(Name::kUpgrade)->value, "h2c"))) {
    head.upgrade = false;
  }
  return {ReadState::kDone};
}

ReadResult settle_response(const Seen& seen, Method request_method, Head& head) {
  if (seen.lengths > 1 || seen.bad_length) return bad(502, "Content-Length invalid or repeated");
  if (seen.codings > 1) return bad(502, "Transfer-Encoding repeated");
  if (seen.codings == 1) {
    if (seen.lengths > 0) return bad(502, "Content-Length with Transfer-Encoding");
    if (head.minor_version == 0) return bad(502, "Transfer-Encoding on HTTP/1.0");
    if (!iequals(seen.coding, "chunked")) return bad(502, "Transfer-Encoding other than chunked");
  }
  if (head.status < 200 || head.status == 204 || head.status == 304 ||
      request_method == Method::kHead ||
      (request_method == Method::kConnect && head.status < 300)) {
    head.framing = Framing::kNone;
  } else if (seen.codings == 1) {
    head.framing = Framing::kChunked;
  } else if (seen.lengths == 1) {
    head.framing = head.content_length == 0 ? Framing::kNone : Framing::kLength;
  } else {
    head.framing = Framing::kUntilClose;
    head.keep_alive = false;
  }
  return {ReadState::kDone};
}

void clear(Head& head) {
  head.method = Method::kOther;
  head.form = TargetForm::kOrigin;
  head.method_text = head.target = head.authority = head.path = head.reason = {};
  head.https = false;
  head.status = 0;
  head.minor_version = 1;
  head.keep_alive = head.upgrade = head.expect_continue = head.connection_names = head.has_host =
      head.has_trace = false;
  head.framing = Framing::kNone;
  head.content_length = 0;
  head.header_count = 0;
}

ReadResult read_lines(const char* data, const uint16_t* line_end, uint32_t count, Seen& seen,
                      Head& head) {
  for (uint32_t i = 1; i < count; ++i) {
    Header& header = head.headers[head.header_count];
    const ReadResult line =
        read_header_line(data + line_end[i - 1] + 1, data + line_end[i] - 1, header);
    if (line.state == ReadState::kBad) return line;
    ++head.header_count;
    if (header.id != Name::kOther) note(header, seen, head);
  }
  head.upgrade = seen.upgrade_option && seen.upgrade_header;
  head.keep_alive = !seen.close && (head.minor_version == 1 || seen.keep_alive);
  return {ReadState::kDone};
}

}  // namespace

ReadResult HeadReader::read_request(std::string_view bytes, const Limits& limits, Head& head) {
  Lines lines;
  ReadResult result = scan(bytes, limits, lines, true);
  if (result.state != ReadState::kDone) return result;
  clear(head);
  head.size = lines.size;
  const std::string_view line = bytes.substr(lines.begin, lines.end[0] - 1 - lines.begin);
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || first == 0)
    return bad(400, "request line malformed");
  head.method_text = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  if (!all(kToken, head.method_text)) return bad(400, "method malformed");
  head.method = method_of(head.method_text);
  // A server that takes "head" for HEAD would send no body where we wait for one.
  if (head.method == Method::kOther && !is_extension_method(head.method_text)) {
    return bad(400, "method malformed");
  }
  result = read_version(line.substr(last + 1), head);
  if (result.state == ReadState::kBad) return result;
  if (head.target.size() > limits.target_bytes) return bad(414, "target too long");
  result = read_target(head);
  if (result.state == ReadState::kBad) return result;
  Seen seen;
  result = read_lines(bytes.data(), lines.end, lines.count, seen, head);
  if (result.state == ReadState::kBad) return result;
  result = settle_request(seen, head);
  if (result.state == ReadState::kBad) return result;
  // RFC 9110 9.1: methods are an open list, of which llhttp knows a few.
  const bool other = head.method == Method::kOther;
  const size_t begin = lines.begin + (other ? head.method_text.size() : 0);
  if (!llhttp_agrees(HTTP_REQUEST, other ? "GET" : "", bytes.substr(begin, lines.size - begin))) {
    return bad(400, "request head refused");
  }
  return {ReadState::kDone};
}

ReadResult HeadReader::read_response(std::string_view bytes, const Limits& limits,
                                     Method request_method, Head& head) {
  Lines lines;
  ReadResult result = scan(bytes, limits, lines, false);
  if (result.state == ReadState::kBad) result.status = 502;
  if (result.state != ReadState::kDone) return result;
  clear(head);
  head.size = lines.size;
  // RFC 9112 4: version SP 3DIGIT SP [reason]; the last SP is missing in practice where there is no
  // reason.
  const std::string_view line = bytes.substr(0, lines.end[0] - 1);
  if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' ')) {
    return bad(502, "status line malformed");
  }
  result = read_version(line.substr(0, 8), head);
  if (result.state == ReadState::kBad) return bad(502, result.reason);
  for (const char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return bad(502, "status malformed");
    head.status = static_cast<uint16_t>(head.status * 10 + (c - '0'));
  }
  if (head.status < 100) return bad(502, "status out of range");
  if (line.size() > 13) head.reason = line.substr(13);
  Seen seen;
  result = read_lines(bytes.data(), lines.end, lines.count, seen, head);
  if (result.state == ReadState::kBad) return bad(502, result.reason);
  result = settle_response(seen, request_method, head);
  if (result.state == ReadState::kBad) return result;
  if (!llhttp_agrees(HTTP_RESPONSE, "", bytes.substr(0, lines.size)))
    return bad(502, "response head refused");
  return {ReadState::kDone};
}

}  // namespace sluice::http1
