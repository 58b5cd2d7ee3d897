#include "proxy/access_log.h"

#include <algorithm>
#include <cstring>

#include "core/ascii.h"
#include "core/check.h"
#include "core/civil_time.h"
#include "proxy/redirect.h"

namespace sluice::proxy {

constexpr std::pair<std::string_view, AccessFormat::Field> AccessFormat::kFields[] = {
    {"$remote_addr", Field::kRemoteAddr},
    {"$remote_host", Field::kRemoteHost},
    {"$remote_port", Field::kRemotePort},
    {"$request", Field::kRequest},
    {"$request_args", Field::kRequestArgs},
    {"$request_host", Field::kRequestHost},
    {"$request_method", Field::kRequestMethod},
    {"$request_scheme", Field::kRequestScheme},
    {"$request_uri", Field::kRequestUri},
    {"$request_url", Field::kRequestUrl},
    {"$request_proto", Field::kRequestProto},
    {"$response_body_size", Field::kResponseBodySize},
    {"$response_status", Field::kResponseStatus},
    {"$response_time_ms", Field::kResponseTimeMs},
    {"$response_time_us", Field::kResponseTimeUs},
    {"$response_time_ns", Field::kResponseTimeNs},
    {"$time_rfc3339", Field::kTimeRfc3339},
    {"$time_rfc3339_ms", Field::kTimeRfc3339Ms},
    {"$time_rfc3339_us", Field::kTimeRfc3339Us},
    {"$time_rfc3339_ns", Field::kTimeRfc3339Ns},
    {"$time_unix_ms", Field::kTimeUnixMs},
    {"$time_unix_us", Field::kTimeUnixUs},
    {"$time_unix_ns", Field::kTimeUnixNs},
    {"$time_common", Field::kTimeCommon},
    {"$upstream_addr", Field::kUpstreamAddr},
    {"$upstream_host", Field::kUpstreamHost},
    {"$upstream_port", Field::kUpstreamPort},
    {"$upstream_service", Field::kUpstreamService},
    {"$upstream_request_scheme", Field::kUpstreamRequestScheme},
    {"$upstream_request_uri", Field::kUpstreamRequestUri},
    {"$upstream_request_url", Field::kUpstreamRequestUrl},
};

namespace {

constexpr std::string_view kCommon =
    "$remote_host - - [$time_common] \"$request\" $response_status $response_body_size";
constexpr std::string_view kCombined =
    "$remote_host - - [$time_common] \"$request\" $response_status $response_body_size "
    "\"$header.Referer\" \"$header.User-Agent\"";
constexpr std::string_view kHeaderField = "$header.";
constexpr int64_t kSecondNs = 1'000'000'000;

bool is_name(char c) {
  return ascii::is_alphanumeric(c) || c == '_' || c == '-';
}

size_t name_size(std::string_view text) {
  size_t size = 0;
  while (size < text.size() && is_name(text[size])) ++size;
  return size;
}

}  // namespace

Result<AccessFormat> AccessFormat::compile(std::string_view format) {
  if (format == "common") format = kCommon;
  if (format == "combined") format = kCombined;
  if (format.empty()) return fail(Code::kInvalid, "the access log's format is empty");
  if (format.size() > kFormatBytes) {
    return fail(Code::kLimit, "the access log's format is longer than {} bytes", kFormatBytes);
  }
  AccessFormat out;
  while (!format.empty()) {
    const size_t dollar = format.find('$');
    const size_t size = dollar == std::string_view::npos ? 0 : name_size(format.substr(dollar + 1));
    if (size == 0) {  // no field, or a dollar sign of the text
      const size_t end = dollar == std::string_view::npos ? format.size() : dollar + 1;
      out.add_text(format.substr(0, end));
      format.remove_prefix(end);
      continue;
    }
    if (dollar > 0) out.add_text(format.substr(0, dollar));
    format.remove_prefix(dollar);
    std::string_view name = format.substr(0, 1 + size);
    if (format.starts_with(kHeaderField)) {
      name = format.substr(0, kHeaderField.size() + name_size(format.substr(kHeaderField.size())));
    }
    auto added = out.add_field(name);
    if (!added) return pass(added);
    format.remove_prefix(name.size());
  }
  return out;
}

Result<void> AccessFormat::add_field(std::string_view name) {
  if (name.starts_with(kHeaderField) && name.size() > kHeaderField.size()) {
    const std::string_view header = name.substr(kHeaderField.size());
    auto at = std::find(headers_.begin(), headers_.end(), header);
    if (at == headers_.end()) {
      if (headers_.size() == AccessRequest::kHeaders) {
        return fail(Code::kLimit, "the access log's format shows more than {} headers",
                    AccessRequest::kHeaders);
      }
      headers_.emplace_back(header);
      at = headers_.end() - 1;
    }
    items_.push_back({Field::kHeader, static_cast<uint8_t>(at - headers_.begin()), {}});
    return {};
  }
  for (const auto& [known, field] : kFields) {
    if (known == name) {
      items_.push_back({field, 0, {}});
      const bool scheme = field == Field::kRequestScheme || field == Field::kRequestUrl;
      shows_scheme_ = shows_scheme_ || scheme;
      return {};
    }
  }
  return fail(Code::kInvalid, "the access log's format has an invalid field {:?}", name);
}

void AccessFormat::add_text(std::string_view text) {
  if (items_.empty() || items_.back().field != Field::kText)
    items_.push_back({Field::kText, 0, {}});
  items_.back().text += text;
}

AccessRequest AccessFormat::read(const http1::Head& head, const ClientFacts& client) const {
  AccessRequest out;
  out.method = head.method_text;
  out.target = head.target;
  out.host = head.authority;
  out.minor_version = head.minor_version;
  if (shows_scheme_) out.https = asked_for_https(head, client);
  for (size_t i = 0; i < headers_.size(); ++i) {
    const http1::Header* header = head.find(std::string_view(headers_[i]));
    if (header != nullptr) out.headers[i] = header->value;
  }
  return out;
}

void AccessFormat::keep(AccessRequest& request, char* room) const {
  // The target gets half of the room, the others share the rest.
  size_t left = kRoomBytes;
  const auto keep_one = [&](std::string_view& view, size_t most) {
    const size_t size = std::min(view.size(), std::min(most, left));
    std::memcpy(room, view.data(), size);
    view = {room, size};
    room += size;
    left -= size;
  };
  keep_one(request.target, kRoomBytes / 2);
  keep_one(request.method, 32);
  keep_one(request.host, 256);
  for (size_t i = 0; i < headers_.size(); ++i) {
    keep_one(request.headers[i], left / (headers_.size() - i));
  }
}

/// The rest of the buffer, at most a line of it. What does not fit is cut.
class AccessBuffer::Out {
 public:
  Out(char* begin, size_t size) : begin_(begin), at_(begin), end_(begin + size) {}

  void add(std::string_view text) {
    const size_t size = std::min(text.size(), static_cast<size_t>(end_ - at_));
    if (size > 0) std::memcpy(at_, text.data(), size);
    at_ += size;
  }
  void add_number(uint64_t value, unsigned width = 0) {
    char digits[24];
    add({digits, put_decimal(digits, value, width)});
  }
  /// What a client or an upstream sent.
  void add_foreign(std::string_view text) {
    size_t plain = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      if (c >= 0x20 && c != 0x7f && c != '"' && c != '\\') continue;
      add(text.substr(plain, i - plain));
      static constexpr char kHex[] = "0123456789ABCDEF";
      const char escape[] = {'\\', 'x', kHex[c >> 4], kHex[c & 15]};
      add({escape, sizeof escape});
      plain = i + 1;
    }
    add(text.substr(plain));
  }
  /// "10.0.0.1:80", "[::1]:80"
  void add_address(std::string_view host, uint16_t port) {
    const bool brackets = host.find(':') != std::string_view::npos;
    if (brackets) add("[");
    add(host);
    add(brackets ? "]:" : ":");
    add_number(port);
  }
  /// Seconds with so many decimals.
  void add_seconds(int64_t ns, unsigned decimals) {
    const auto value = static_cast<uint64_t>(std::max<int64_t>(ns, 0));
    add_number(value / kSecondNs);
    add(".");
    add_fraction(value % kSecondNs, decimals);
  }
  void add_fraction(uint64_t ns, unsigned decimals) {
    for (unsigned i = decimals; i < 9; ++i) ns /= 10;
    add_number(ns, decimals);
  }
  [[nodiscard]] size_t size() const { return static_cast<size_t>(at_ - begin_); }

 private:
  char* begin_;
  char* at_;
  char* end_;
};

AccessBuffer::AccessBuffer(const AccessFormat& format, LineWriter& writer)
    : format_(format), writer_(writer), buffer_(new char[kBufferBytes]) {}

bool AccessBuffer::add(const AccessEvent& event) {
  if (kBufferBytes - size_ < kLineBytes) flush();
  const bool first = size_ == 0;
  Out out(buffer_.get() + size_, kLineBytes - 1);
  for (const AccessFormat::Item& item : format_.items_) put(out, item, event);
  size_ += out.size();
  buffer_[size_++] = '\n';
  ++lines_;
  return first;
}

void AccessBuffer::flush() {
  if (size_ == 0) return;
  writer_.write({buffer_.get(), size_}, lines_);
  size_ = 0;
  lines_ = 0;
}

void AccessBuffer::put(Out& out, const AccessFormat::Item& item, const AccessEvent& event) {
  using Field = AccessFormat::Field;
  switch (item.field) {
    case Field::kText: out.add(item.text); break;
    case Field::kRemoteAddr: out.add_address(event.remote_host, event.remote_port); break;
    case Field::kRemoteHost: out.add(event.remote_host); break;
    case Field::kRemotePort: out.add_number(event.remote_port); break;
    case Field::kHeader:
      if (event.request != nullptr) out.add_foreign(event.request->headers[item.header]);
      break;
    case Field::kRequest:
    case Field::kRequestArgs:
    case Field::kRequestHost:
    case Field::kRequestMethod:
    case Field::kRequestScheme:
    case Field::kRequestUri:
    case Field::kRequestUrl:
    case Field::kRequestProto: put_request(out, item.field, event.request); break;
    case Field::kResponseBodySize: out.add_number(event.body_bytes); break;
    case Field::kResponseStatus: out.add_number(event.status); break;
    case Field::kResponseTimeMs: out.add_seconds(event.duration_ns, 3); break;
    case Field::kResponseTimeUs: out.add_seconds(event.duration_ns, 6); break;
    case Field::kResponseTimeNs: out.add_seconds(event.duration_ns, 9); break;
    case Field::kTimeRfc3339:
    case Field::kTimeRfc3339Ms:
    case Field::kTimeRfc3339Us:
    case Field::kTimeRfc3339Ns:
    case Field::kTimeUnixMs:
    case Field::kTimeUnixUs:
    case Field::kTimeUnixNs:
    case Field::kTimeCommon: put_time(out, item.field, event.end_wall_ns); break;
    case Field::kUpstreamAddr:
    case Field::kUpstreamHost:
    case Field::kUpstreamPort:
    case Field::kUpstreamService:
    case Field::kUpstreamRequestScheme:
    case Field::kUpstreamRequestUri:
    case Field::kUpstreamRequestUrl: put_upstream(out, item.field, event); break;
  }
}

void AccessBuffer::put_request(Out& out, AccessFormat::Field field, const AccessRequest* request) {
  using Field = AccessFormat::Field;
  if (request == nullptr) return;
  const std::string_view proto = request->minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
  const std::string_view scheme = request->https ? "https" : "http";
  if (field == Field::kRequest) {
    out.add_foreign(request->method);
    out.add(" ");
    out.add_foreign(request->target);
    out.add(" ");
    out.add(proto);
  } else if (field == Field::kRequestArgs) {
    const size_t question = request->target.find('?');
    if (question != std::string_view::npos) out.add_foreign(request->target.substr(question + 1));
  } else if (field == Field::kRequestHost) {
    out.add_foreign(request->host);
  } else if (field == Field::kRequestMethod) {
    out.add_foreign(request->method);
  } else if (field == Field::kRequestScheme) {
    out.add(scheme);
  } else if (field == Field::kRequestUri) {
    out.add_foreign(request->target);
  } else if (field == Field::kRequestUrl) {
    if (request->target.starts_with('/')) {
      out.add(scheme);
      out.add("://");
      out.add_foreign(request->host);
    }
    out.add_foreign(request->target);
  } else {
    out.add(proto);
  }
}

void AccessBuffer::put_upstream(Out& out, AccessFormat::Field field, const AccessEvent& event) {
  using Field = AccessFormat::Field;
  if (field == Field::kUpstreamService) out.add(event.service);
  if (event.upstream == nullptr) return;
  const Endpoint& upstream = *event.upstream;
  if (field == Field::kUpstreamAddr) {
    out.add_address(upstream.host(), upstream.port());
  } else if (field == Field::kUpstreamHost) {
    out.add(upstream.host());
  } else if (field == Field::kUpstreamPort) {
    out.add_number(upstream.port());
  } else if (field == Field::kUpstreamRequestScheme) {
    out.add(to_string(upstream.scheme()));
  } else if (field == Field::kUpstreamRequestUri) {
    out.add_foreign(event.upstream_target);
  } else if (field == Field::kUpstreamRequestUrl) {
    out.add(to_string(upstream.scheme()));
    out.add("://");
    out.add_address(upstream.host(), upstream.port());
    out.add_foreign(event.upstream_target);
  }
}

void AccessBuffer::read_clock(int64_t unix_second) {
  second_ = unix_second;
  const CivilTime time = to_civil(unix_second);
  const auto year = static_cast<uint64_t>(std::clamp(time.year, 0, 9999));
  const auto put = [](char*& at, uint64_t value, unsigned width, std::string_view after) {
    at += put_decimal(at, value, width);
    std::memcpy(at, after.data(), after.size());
    at += after.size();
  };
  char* at = common_.data();
  put(at, time.day, 2, "/");
  std::memcpy(at, month_name(time.month), 3);
  at += 3;
  *at++ = '/';
  put(at, year, 4, ":");
  put(at, time.hour, 2, ":");
  put(at, time.minute, 2, ":");
  put(at, time.second, 2, " +0000");
  at = rfc3339_.data();
  put(at, year, 4, "-");
  put(at, time.month, 2, "-");
  put(at, time.day, 2, "T");
  put(at, time.hour, 2, ":");
  put(at, time.minute, 2, ":");
  put(at, time.second, 2, "");
}

void AccessBuffer::put_time(Out& out, AccessFormat::Field field, int64_t wall_ns) {
  using Field = AccessFormat::Field;
  const auto ns = static_cast<uint64_t>(std::max<int64_t>(wall_ns, 0));
  const auto second = static_cast<int64_t>(ns / kSecondNs);
  if (second != second_) read_clock(second);
  if (field == Field::kTimeCommon) return out.add({common_.data(), common_.size()});
  if (field == Field::kTimeUnixMs) return out.add_number(ns / 1'000'000);
  if (field == Field::kTimeUnixUs) return out.add_number(ns / 1'000);
  if (field == Field::kTimeUnixNs) return out.add_number(ns);
  out.add({rfc3339_.data(), rfc3339_.size()});
  if (field != Field::kTimeRfc3339) {
    out.add(".");
    const unsigned decimals = field == Field::kTimeRfc3339Ms   ? 3
                              : field == Field::kTimeRfc3339Us ? 6
                                                               : 9;
    out.add_fraction(ns % kSecondNs, decimals);
  }
  out.add("Z");
}

}  // namespace sluice::proxy
