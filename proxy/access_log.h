// Access log: one line an exchange or a tunnel, in fabio's formats.
//
//   common   $remote_host - - [$time_common] "$request" $response_status $response_body_size
//   combined common, then "$header.Referer" "$header.User-Agent"
//   else     text and $fields, as the user wrote it
//
// AccessFormat is compiled once and never changes: any thread. An AccessBuffer belongs to one
// reactor: it formats into memory of its own, without allocating, and hands whole lines to a
// LineWriter's thread, which drops and counts them when the reader is too slow.
//
// Bytes that could end a line or a quoted field (controls, a quote, a backslash) come out as \xNN.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/http1.h"
#include "core/line_writer.h"
#include "core/result.h"
#include "proxy/endpoint.h"

namespace sluice::proxy {

struct ClientFacts;

/// What a line tells of the request. Views: of the head while its bytes are kept, else of a copy.
struct AccessRequest {
  static constexpr size_t kHeaders = 8;  // different $header.X in one format

  std::string_view method;
  std::string_view target;  // as received: path and query, or an absolute URL
  std::string_view host;
  uint8_t minor_version = 1;
  bool https = false;                              // what the client asked for, see asked_for_https
  std::array<std::string_view, kHeaders> headers;  // in the order of AccessFormat::headers()
};

struct AccessEvent {
  const AccessRequest* request = nullptr;  // null: a tunnel of a tcp or sni listener
  std::string_view remote_host;            // without brackets
  uint16_t remote_port = 0;
  uint16_t status = 0;
  uint64_t body_bytes = 0;  // sent to the client
  int64_t duration_ns = 0;
  int64_t end_wall_ns = 0;
  const Endpoint* upstream = nullptr;  // null: none was reached
  std::string_view service;
  std::string_view upstream_target;  // path and query as sent there
};

class AccessFormat {
 public:
  static constexpr size_t kFormatBytes = 4096;

  /// "common", "combined" or a format of the user's own.
  static Result<AccessFormat> compile(std::string_view format);

  /// The headers that lines show, as written in the format.
  [[nodiscard]] const std::vector<std::string>& headers() const { return headers_; }

  /// Finds what a line needs of the head; the views are the head's.
  [[nodiscard]] AccessRequest read(const http1::Head& head, const ClientFacts& client) const;

  /// Copies what the views show into `room` and points them there, each cut to its part of it. To
  /// be called before the head's bytes go while the exchange goes on.
  static constexpr size_t kRoomBytes = 2048;
  void keep(AccessRequest& request, char* room) const;

 private:
  friend class AccessBuffer;

  enum class Field : uint8_t {
    kText,
    kHeader,
    kRemoteAddr,
    kRemoteHost,
    kRemotePort,
    kRequest,
    kRequestArgs,
    kRequestHost,
    kRequestMethod,
    kRequestScheme,
    kRequestUri,
    kRequestUrl,
    kRequestProto,
    kResponseBodySize,
    kResponseStatus,
    kResponseTimeMs,
    kResponseTimeUs,
    kResponseTimeNs,
    kTimeRfc3339,
    kTimeRfc3339Ms,
    kTimeRfc3339Us,
    kTimeRfc3339Ns,
    kTimeUnixMs,
    kTimeUnixUs,
    kTimeUnixNs,
    kTimeCommon,
    kUpstreamAddr,
    kUpstreamHost,
    kUpstreamPort,
    kUpstreamService,
    kUpstreamRequestScheme,
    kUpstreamRequestUri,
    kUpstreamRequestUrl,
  };
  static const std::pair<std::string_view, Field> kFields[];

  struct Item {
    Field field;
    uint8_t header = 0;
    std::string text;
  };

  Result<void> add_field(std::string_view name);
  void add_text(std::string_view text);

  std::vector<Item> items_;
  std::vector<std::string> headers_;
  bool shows_scheme_ = false;
};

class AccessBuffer {
 public:
  static constexpr size_t kBufferBytes = 64 * 1024;
  static constexpr size_t kLineBytes = 16 * 1024;  // a longer line is cut
  static constexpr int64_t kFlushMs = 50;

  /// Both outlive this.
  AccessBuffer(const AccessFormat& format, LineWriter& writer);

  /// True: the buffer was empty; call flush() within kFlushMs.
  bool add(const AccessEvent& event);
  void flush();

 private:
  class Out;
  void put(Out& out, const AccessFormat::Item& item, const AccessEvent& event);
  void put_request(Out& out, AccessFormat::Field field, const AccessRequest* request);
  void put_upstream(Out& out, AccessFormat::Field field, const AccessEvent& event);
  void put_time(Out& out, AccessFormat::Field field, int64_t wall_ns);
  void read_clock(int64_t unix_second);

  const AccessFormat& format_;
  LineWriter& writer_;
  std::unique_ptr<char[]> buffer_;
  size_t size_ = 0;
  uint64_t lines_ = 0;
  int64_t second_ = INT64_MIN;    // that the two texts show
  std::array<char, 26> common_;   // 30/Mar/2019:08:13:15 +0000
  std::array<char, 19> rfc3339_;  // 2019-03-30T08:13:15
};

}  // namespace sluice::proxy
