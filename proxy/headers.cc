#include "proxy/headers.h"

namespace sluice::proxy {

using http1::Head;
using http1::Header;
using http1::Name;

void HeadWriter::add_number(uint64_t number) {
  char digits[20];
  int n = 0;
  do {
    digits[n++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  while (n > 0) add({&digits[--n], 1});
}

namespace {

// Headers that Connection may name without effect: removing them would change where the request
// goes or who it says it is from.
bool connection_may_not_remove(Name id) {
  switch (id) {
    case Name::kHost:
    case Name::kForwarded:
    case Name::kXForwardedFor:
    case Name::kXForwardedProto:
    case Name::kXForwardedPort:
    case Name::kXForwardedHost:
    case Name::kXForwardedPrefix:
    case Name::kXRealIp:
    case Name::kVia:
    case Name::kContentLength:
    case Name::kTransferEncoding: return true;
    default: return false;
  }
}

// Copies headers as runs of the received bytes: neighbours that are kept go out in one copy.
class RunCopier {
 public:
  explicit RunCopier(HeadWriter& out) : out_(out) {}
  void keep(const Header& header) {
    // Up to the line's end: the value's blanks behind it and CRLF follow it in the received bytes,
    // and the next header begins there.
    if (begin_ == nullptr) begin_ = header.name.data();
    end_ = header.value.data() + header.value.size();
  }
  void skip() { flush(); }
  void flush() {
    if (begin_ == nullptr) return;
    out_.add({begin_, static_cast<size_t>(end_ - begin_)});
    out_.add("\r\n");
    begin_ = nullptr;
  }

 private:
  HeadWriter& out_;
  const char* begin_ = nullptr;
  const char* end_ = nullptr;
};

// The forwarding headers of the request that were believed.
struct Believed {
  const Header* forwarded_for = nullptr;
  const Header* forwarded = nullptr;
  const Header* real_ip = nullptr;
  const Header* proto = nullptr;
  const Header* port = nullptr;
  const Header* host = nullptr;
  const Header* prefix = nullptr;
};

// Every value of a header that may be repeated, with ", " behind each.
void add_all(HeadWriter& out, const Head& head, Name id) {
  for (uint16_t i = 0; i < head.header_count; ++i) {
    if (head.headers[i].id != id || head.headers[i].value.empty()) continue;
    out.add(head.headers[i].value);
    out.add(", ");
  }
}

void write_forwarding(HeadWriter& out, const Head& head, const Believed& had,
                      const ClientFacts& client, std::string_view stripped_prefix) {
  const std::string_view proto =
      head.upgrade ? (client.tls ? "wss" : "ws") : (client.tls ? "https" : "http");
  out.add("X-Forwarded-For: ");
  if (had.forwarded_for != nullptr) add_all(out, head, Name::kXForwardedFor);
  out.add(client.ip);
  out.add("\r\n");
  out.header("X-Real-Ip", had.real_ip != nullptr ? had.real_ip->value : client.ip);
  out.header("X-Forwarded-Proto", had.proto != nullptr ? had.proto->value : proto);
  out.header("X-Forwarded-Port", had.port != nullptr ? had.port->value : client.local_port);
  out.header("X-Forwarded-Host", had.host != nullptr ? had.host->value : head.authority);
  if (had.prefix != nullptr) {
    out.header("X-Forwarded-Prefix", had.prefix->value);
  } else if (!stripped_prefix.empty()) {
    out.header("X-Forwarded-Prefix", stripped_prefix);
  }
  out.add("Forwarded: ");
  if (had.forwarded != nullptr) add_all(out, head, Name::kForwarded);
  // RFC 7239 6: an IPv6 address is quoted and bracketed.
  const auto node = [&out](std::string_view ip) {
    const bool v6 = ip.find(':') != std::string_view::npos;
    out.add(v6 ? "\"[" : "");
    out.add(ip);
    out.add(v6 ? "]\"" : "");
  };
  out.add("for=");
  node(client.ip);
  out.add("; proto=");
  out.add(proto);
  if (!client.local_ip.empty()) {
    out.add("; by=");
    node(client.local_ip);
  }
  out.add(head.minor_version == 0 ? "; httpproto=http/1.0\r\n" : "; httpproto=http/1.1\r\n");
}

enum class Fate : uint8_t { kKeep, kDrop };

Fate fate_of_request_header(const Header& header, const ClientFacts& client, Believed& had) {
  const auto believe = [&](const Header*& slot) {
    if (client.trusted && slot == nullptr) slot = &header;
    return Fate::kDrop;
  };
  switch (header.id) {
    case Name::kHost:
    case Name::kConnection:
    case Name::kKeepAlive:
    case Name::kProxyConnection:
    case Name::kTe:
    case Name::kUpgrade:
    case Name::kHttp2Settings:
    case Name::kTransferEncoding: return Fate::kDrop;
    case Name::kXForwardedFor: return believe(had.forwarded_for);
    case Name::kForwarded: return believe(had.forwarded);
    case Name::kXRealIp: return believe(had.real_ip);
    case Name::kXForwardedProto: return believe(had.proto);
    case Name::kXForwardedPort: return believe(had.port);
    case Name::kXForwardedHost: return believe(had.host);
    case Name::kXForwardedPrefix: return believe(had.prefix);
    default: return Fate::kKeep;
  }
}

}  // namespace

bool write_request_head(HeadWriter& out, const Head& head, const RequestEdit& edit,
                        const ClientFacts& client) {
  out.add(head.method_text);
  out.add(" ");
  out.add(edit.path);
  out.add(" HTTP/1.1\r\nHost: ");
  out.add(edit.host.empty() ? head.authority : edit.host);
  out.add("\r\n");
  Believed had;
  RunCopier copier(out);
  for (uint16_t i = 0; i < head.header_count; ++i) {
    const Header& header = head.headers[i];
    const bool named = head.connection_names && !connection_may_not_remove(header.id) &&
                       head.connection_lists(header.name);
    if (named || fate_of_request_header(header, client, had) == Fate::kDrop) {
      copier.skip();
    } else {
      copier.keep(header);
    }
  }
  copier.flush();
  if (head.upgrade) {
    out.add("Connection: Upgrade\r\n");
    out.header("Upgrade", head.find(Name::kUpgrade)->value);
  }
  if (head.framing == http1::Framing::kChunked) out.add("Transfer-Encoding: chunked\r\n");
  write_forwarding(out, head, had, client, edit.stripped_prefix);
  out.add(head.minor_version == 0 ? "Via: 1.0 sluice\r\n\r\n" : "Via: 1.1 sluice\r\n\r\n");
  return out.ok();
}

bool write_response_head(HeadWriter& out, const Head& head, const ResponseFraming& framing) {
  out.add("HTTP/1.1 ");
  out.add_number(head.status);
  out.add(" ");
  out.add(head.reason);
  out.add("\r\n");
  const bool switching = head.status == 101;
  // RFC 9110 8.6: neither a 1xx nor a 204 has a Content-Length.
  const bool no_length = head.status < 200 || head.status == 204;
  RunCopier copier(out);
  for (uint16_t i = 0; i < head.header_count; ++i) {
    const Header& header = head.headers[i];
    bool drop = false;
    switch (header.id) {
      case Name::kConnection:
      case Name::kKeepAlive:
      case Name::kProxyConnection:
      case Name::kTe:
      case Name::kUpgrade:
      case Name::kTransferEncoding: drop = true; break;
      case Name::kContentLength: drop = no_length; break;
      default:
        drop = head.connection_names && !connection_may_not_remove(header.id) &&
               head.connection_lists(header.name);
        break;
    }
    if (drop) {
      copier.skip();
    } else {
      copier.keep(header);
    }
  }
  copier.flush();
  if (switching) {
    out.add("Connection: Upgrade\r\n");
    if (const Header* upgrade = head.find(Name::kUpgrade)) out.header("Upgrade", upgrade->value);
  }
  if (framing.chunked) out.add("Transfer-Encoding: chunked\r\n");
  if (framing.close) out.add("Connection: close\r\n");
  if (framing.keep_alive_10) out.add("Connection: keep-alive\r\n");
  out.add("\r\n");
  return out.ok();
}

std::string_view reason_of(uint16_t status) {
  switch (status) {
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Error";
  }
}

}  // namespace sluice::proxy
