#include "core/http1_text.h"

#include "core/http1.h"

namespace sluice::http1 {

bool is_idempotent(Method method) {
  switch (method) {
    case Method::kGet:
    case Method::kHead:
    case Method::kPut:
    case Method::kDelete:
    case Method::kOptions:
    case Method::kTrace: return true;
    case Method::kPost:
    case Method::kConnect:
    case Method::kPatch:
    case Method::kOther: return false;
  }
  return false;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool list_has_token(std::string_view list, std::string_view token) {
  bool found = false;
  for_each_element(list, [&](std::string_view element) { found |= iequals(element, token); });
  return found;
}

bool parse_length(std::string_view text, uint64_t& value) {
  if (text.empty() || text.size() > 19) return false;
  uint64_t sum = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    sum = sum * 10 + static_cast<uint64_t>(c - '0');  // 19 digits stay below 2^64
  }
  value = sum;
  return sum <= uint64_t{1} << 62;
}

bool split_authority(std::string_view authority, std::string_view& host, uint16_t& port) {
  port = 0;
  size_t end = authority.find(':');
  if (!authority.empty() && authority.front() == '[') {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos || close < 3) return false;
    for (const char c : authority.substr(1, close - 1)) {
      const char l = lower(c);
      if (!((l >= '0' && l <= '9') || (l >= 'a' && l <= 'f') || l == ':' || l == '.')) return false;
    }
    end = close + 1;
    host = authority.substr(0, end);
  } else {
    host = authority.substr(0, end);
    if (!all(kRegName, host)) return false;
    if (!host.empty() && host.front() == '.') return false;
    if (host.find("..") != std::string_view::npos) return false;
  }
  if (end >= authority.size()) return true;
  if (authority[end] != ':') return false;
  const std::string_view digits = authority.substr(end + 1);
  if (digits.size() > 5) return false;
  uint32_t number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<uint32_t>(c - '0');
  }
  if (number > 65535) return false;
  port = static_cast<uint16_t>(number);
  return true;
}

Name name_of(std::string_view name) {
  const auto is = [name](std::string_view lower_name, Name id) {
    return iequals(name, lower_name) ? id : Name::kOther;
  };
  // By length first: most names of others stop here.
  switch (name.size()) {
    case 2: return is("te", Name::kTe);
    case 3: return is("via", Name::kVia);
    case 4: return lower(name[0]) == 'h' ? is("host", Name::kHost) : is("date", Name::kDate);
    case 5: return is("trace", Name::kTraceId);
    case 6:
      return lower(name[0]) == 'e'   ? is("expect", Name::kExpect)
             : lower(name[0]) == 's' ? is("server", Name::kServer)
                                     : is("cookie", Name::kCookie);
    case 7:
      return lower(name[0]) == 'u' ? is("upgrade", Name::kUpgrade) : is("trailer", Name::kTrailer);
    case 8: return is("location", Name::kLocation);
    case 9:
      return lower(name[0]) == 'x' ? is("x-real-ip", Name::kXRealIp)
                                   : is("forwarded", Name::kForwarded);
    case 10:
      return lower(name[0]) == 'c' ? is("connection", Name::kConnection)
                                   : is("keep-alive", Name::kKeepAlive);
    case 12: return is("content-type", Name::kContentType);
    case 13: return is("authorization", Name::kAuthorization);
    case 14:
      return lower(name[0]) == 'c' ? is("content-length", Name::kContentLength)
                                   : is("http2-settings", Name::kHttp2Settings);
    case 15:
      return lower(name[0]) == 'x' ? is("x-forwarded-for", Name::kXForwardedFor)
                                   : is("accept-encoding", Name::kAcceptEncoding);
    case 16:
      switch (lower(name[0])) {
        case 'p': return is("proxy-connection", Name::kProxyConnection);
        case 'c': return is("content-encoding", Name::kContentEncoding);
        case 'x':
          return lower(name[12]) == 'p' ? is("x-forwarded-port", Name::kXForwardedPort)
                                        : is("x-forwarded-host", Name::kXForwardedHost);
        default: return Name::kOther;
      }
    case 17:
      return lower(name[0]) == 't' ? is("transfer-encoding", Name::kTransferEncoding)
                                   : is("x-forwarded-proto", Name::kXForwardedProto);
    case 18: return is("x-forwarded-prefix", Name::kXForwardedPrefix);
    case 25: return is("strict-transport-security", Name::kStrictTransport);
    default: return Name::kOther;
  }
}

const Header* Head::find(Name id) const {
  for (uint16_t i = 0; i < header_count; ++i) {
    if (headers[i].id == id) return &headers[i];
  }
  return nullptr;
}

const Header* Head::find(std::string_view name) const {
  for (uint16_t i = 0; i < header_count; ++i) {
    if (iequals(headers[i].name, name)) return &headers[i];
  }
  return nullptr;
}

bool Head::connection_lists(std::string_view name) const {
  for (uint16_t i = 0; i < header_count; ++i) {
    if (headers[i].id == Name::kConnection && list_has_token(headers[i].value, name)) return true;
  }
  return false;
}

}  // namespace sluice::http1
