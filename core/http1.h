// HTTP/1 heads: one parse, in place, of a request's or a response's head, and how its body is
// framed.
//
// A strict vectorised scan (core/http1_scan.h) runs first and finds the lines; then the head's own
// rules (RFC 9112 and 9110, and what proxies have been smuggled through); llhttp, strict and with
// no lenient flag, must agree on the same bytes. Bodies and trailers: core/http1_body.h.
//
// Owner: whoever owns the bytes; a Head borrows them (its views point into them) and is void once
// they move. Thread: any; nothing is shared. Allocates nothing. Limits: Limits, and kMaxHeaderLines
// for the array.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::http1 {

inline constexpr uint16_t kMaxHeaderLines =
    128;  // capacity of Head::headers; Limits::header_lines is less

struct Limits {
  uint32_t head_bytes = 32 * 1024;  // at most 65,000: offsets are 16 bits
  uint32_t header_lines = 100;      // at most kMaxHeaderLines
  uint32_t target_bytes = 16 * 1024;
};

enum class Method : uint8_t {
  kGet,
  kHead,
  kPost,
  kPut,
  kDelete,
  kConnect,
  kOptions,
  kTrace,
  kPatch,
  kOther,
};

/// RFC 9110 9.2.2: sending it twice has the effect of sending it once.
bool is_idempotent(Method method);

/// The names that a proxy decides on. Everything else is kOther.
enum class Name : uint8_t {
  kOther,
  kHost,
  kConnection,
  kContentLength,
  kTransferEncoding,
  kUpgrade,
  kExpect,
  kTe,
  kTrailer,
  kKeepAlive,
  kProxyConnection,
  kVia,
  kForwarded,
  kXForwardedFor,
  kXForwardedProto,
  kXForwardedPort,
  kXForwardedHost,
  kXForwardedPrefix,
  kXRealIp,
  kTraceId,
  kHttp2Settings,
  kDate,
  kServer,
  kContentType,
  kContentEncoding,
  kAcceptEncoding,
  kAuthorization,
  kCookie,
  kLocation,
  kStrictTransport,
};

struct Header {
  std::string_view name;
  std::string_view value;  // without the blanks around it
  Name id;
};

enum class Framing : uint8_t {
  kNone,    // no body at all
  kLength,  // Head::content_length bytes
  kChunked,
  kUntilClose,  // responses only
};

enum class TargetForm : uint8_t { kOrigin, kAbsolute, kAuthority, kAsterisk };

/// 5 KB, so one a reactor and not one a connection. Only what header_count covers is written.
struct Head {
  Head() {}  // leaves the fields unset: read_* sets all of them

  // of a request
  Method method;
  TargetForm form;
  std::string_view method_text;
  std::string_view target;     // as received
  std::string_view authority;  // the absolute form's, else Host's value; may be empty
  std::string_view path;  // path and query; "/" where the absolute form has none, "*" for OPTIONS *
  bool https;             // the absolute form said so

  // of a response
  uint16_t status;
  std::string_view reason;

  uint8_t minor_version;  // HTTP/1.0 or 1.1
  bool keep_alive;        // what the peer asked for and the framing allows
  bool upgrade;           // Connection: upgrade with an Upgrade header
  bool expect_continue;
  bool connection_names;  // Connection names other headers (beyond close, keep-alive, upgrade)
  bool has_host;
  bool has_trace;  // a header Trace
  Framing framing;
  uint64_t
      content_length;  // of kLength; of a response to HEAD or a 304 what the header says, else 0
  uint32_t size;       // bytes of the head in the input, blank line included
  uint16_t header_count;
  Header headers[kMaxHeaderLines];

  /// The first header of that name, or nullptr.
  const Header* find(Name id) const;
  /// The first header of that name, in any case, or nullptr.
  const Header* find(std::string_view name) const;
  /// True if a Connection header names this header (compared without case).
  bool connection_lists(std::string_view name) const;
};

enum class ReadState : uint8_t { kMore, kDone, kBad };

struct ReadResult {
  ReadState state;
  uint16_t status = 0;  // kBad: the answer to a bad request; a bad response is always a 502
  const char* reason = nullptr;  // kBad: static text, for logs
};

/// Reads one head that may arrive in pieces: 12 bytes that a connection keeps while its head is
/// incomplete. Each call gets all bytes since the head's first one; the result depends on the bytes
/// alone, not on how they were cut. After kDone or kBad call reset() before the next head.
class HeadReader {
 public:
  ReadResult read_request(std::string_view bytes, const Limits& limits, Head& head);
  /// request_method: of the request that this answers, because it decides whether a body follows.
  ReadResult read_response(std::string_view bytes, const Limits& limits, Method request_method,
                           Head& head);
  void reset() { *this = HeadReader(); }
  /// True once any byte of a head was seen.
  bool started() const { return seen_ != 0; }

 private:
  struct Lines;
  ReadResult scan(std::string_view bytes, const Limits& limits, Lines& lines, bool request);

  uint32_t seen_ = 0;        // bytes of the input that were scanned
  uint32_t line_start_ = 0;  // where the unfinished line begins
  uint16_t line_count_ = 0;
  bool cr_ = false;  // the last byte seen was CR
};

// Helpers on header text, shared by both planes. ASCII only, by design of the protocol.
bool iequals(std::string_view a, std::string_view b);
/// True if the comma-separated list holds the token, without case.
bool list_has_token(std::string_view list, std::string_view token);
/// Splits host[:port] of a Host header or an authority. False if it is not valid: an empty port is
/// 0 and fine, more than 5 digits is not; user information is not; "." and "..x" are not.
bool split_authority(std::string_view authority, std::string_view& host, uint16_t& port);
/// The header's id by its name in any case.
Name name_of(std::string_view name);
/// Of a status, RFC 9110 15; "Unknown" for others.
std::string_view reason_phrase(int status);
/// Digits only, no sign, no blank, no overflow past 2^62.
bool parse_length(std::string_view text, uint64_t& value);

}  // namespace sluice::http1
