#include "proxy/headers.h"

#include "core/http1_text.h"
#include "proxy/redirect.h"

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

// The port that the client named, else its scheme's: where we are behind a port mapping, ours would
// lead nowhere.
std::string_view port_of(std::string_view authority, bool tls) {
  std::string_view host;
  uint16_t port = 0;
  if (http1::split_authority(authority, host, port) && port != 0) {
    return authority.substr(host.size() + 1);
  }
  return tls ? "443" : "80";
}

template <size_t kDigits>
void add_hex(HeadWriter& out, uint64_t number) {
  char text[kDigits];
  for (size_t i = kDigits; i > 0; --i, number >>= 4) text[i - 1] = "0123456789abcdef"[number & 15];
  out.add({text, kDigits});
}

std::string_view tls_name_of(uint16_t version) {
  switch (version) {
    case 0x0301: return "tls10";
    case 0x0302: return "tls11";
    case 0x0303: return "tls12";
    case 0x0304: return "tls13";
    default: return {};
  }
}

bool is_websocket(const Head& head) {
  return head.upgrade && http1::list_has_token(head.find(Name::kUpgrade)->value, "websocket");
}

void write_forwarded(HeadWriter& out, const Head& head, const ClientFacts& client,
                     std::string_view ip, const HeaderPolicy& policy) {
  // RFC 7239 6: an IPv6 address is quoted and bracketed.
  const auto node = [&out](std::string_view address) {
    const bool v6 = address.find(':') != std::string_view::npos;
    out.add(v6 ? "\"[" : "");
    out.add(address);
    out.add(v6 ? "]\"" : "");
  };
  out.add("for=");
  node(ip);
  out.add("; proto=");
  out.add(is_websocket(head) ? (client.tls ? "wss" : "ws") : (client.tls ? "https" : "http"));
  if (!policy.local_ip.empty()) {
    out.add("; by=");
    node(policy.local_ip);
  }
  out.add(head.minor_version == 0 ? "; httpproto=http/1.0" : "; httpproto=http/1.1");
  if (client.tls_version != 0) {
    out.add("; tlsver=");
    const std::string_view name = tls_name_of(client.tls_version);
    if (name.empty()) {
      out.add("0x");
      add_hex<4>(out, client.tls_version);
    } else {
      out.add(name);
    }
  }
  if (client.tls_cipher != 0) {
    out.add("; tlscipher=0x");
    add_hex<4>(out, client.tls_cipher);
  }
  out.add("\r\n");
}

void write_forwarding(HeadWriter& out, const Head& head, const Believed& had,
                      const ClientFacts& client, std::string_view ip, const HeaderPolicy& policy,
                      std::string_view stripped_prefix) {
  out.add("X-Forwarded-For: ");
  if (had.forwarded_for != nullptr) add_all(out, head, Name::kXForwardedFor);
  out.add(ip);
  out.add("\r\n");
  out.header("X-Real-Ip", had.real_ip != nullptr ? had.real_ip->value : ip);
  // Of a websocket too it is http or https: clients' libraries choke on ws.
  if (had.proto != nullptr) {
    out.header("X-Forwarded-Proto", had.proto->value);
  } else {
    const bool https = had.forwarded == nullptr
                           ? client.tls
                           : forwarded_says_https(had.forwarded->value, client.tls);
    out.header("X-Forwarded-Proto", https ? "https" : "http");
  }
  out.header("X-Forwarded-Port",
             had.port != nullptr ? had.port->value : port_of(head.authority, client.tls));
  if (had.host != nullptr || !head.authority.empty()) {
    out.header("X-Forwarded-Host", had.host != nullptr ? had.host->value : head.authority);
  }
  if (!stripped_prefix.empty()) {
    out.header("X-Forwarded-Prefix", stripped_prefix);
  } else if (had.prefix != nullptr) {
    out.header("X-Forwarded-Prefix", had.prefix->value);
  }
  out.add("Forwarded: ");
  if (had.forwarded != nullptr) add_all(out, head, Name::kForwarded);
  write_forwarded(out, head, client, ip, policy);
}

void write_policy(HeadWriter& out, const ClientFacts& client, std::string_view ip,
                  const HeaderPolicy& policy, std::string_view request_id) {
  if (!policy.client_ip.empty()) out.header(policy.client_ip, ip);
  if (!policy.tls_name.empty() && client.tls) out.header(policy.tls_name, policy.tls_value);
  if (!policy.request_id.empty()) out.header(policy.request_id, request_id);
}

enum class Fate : uint8_t { kKeep, kDrop };

// Gateways of CGI and its like read X_Forwarded_For and X-Forwarded-For as one variable, so a name
// is the same with either.
bool same_variable(std::string_view name, std::string_view ours) {
  if (name.size() != ours.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char a = name[i] == '_' ? '-' : http1::lower(name[i]);
    const char b = ours[i] == '_' ? '-' : http1::lower(ours[i]);
    if (a != b) return false;
  }
  return true;
}

// One that nobody but a proxy sets, beyond those with a Name of their own.
bool speaks_for_a_proxy(std::string_view name) {
  constexpr std::string_view kPrefix = "x-forwarded-";
  if (name.size() < 9 || (name[0] != 'x' && name[0] != 'X')) return false;
  return same_variable(name.substr(0, kPrefix.size()), kPrefix) || same_variable(name, "x-real-ip");
}

Fate fate_of_request_header(const Header& header, const ClientFacts& client,
                            const HeaderPolicy& policy, Believed& had) {
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
    case Name::kOther: {
      if (!client.trusted && speaks_for_a_proxy(header.name)) return Fate::kDrop;
      for (const std::string* ours : {&policy.client_ip, &policy.tls_name, &policy.request_id}) {
        if (!ours->empty() && same_variable(header.name, *ours)) return Fate::kDrop;
      }
      return Fate::kKeep;
    }
    default: return Fate::kKeep;
  }
}

}  // namespace

size_t room_for(const HeaderPolicy& policy) {
  return policy.client_ip.size() + policy.tls_name.size() + policy.tls_value.size() +
         policy.request_id.size() + policy.local_ip.size() + policy.sts.size() + 128;
}

bool write_request_head(HeadWriter& out, const Head& head, const RequestEdit& edit,
                        const ClientFacts& client, const HeaderPolicy& policy) {
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
    if (named || fate_of_request_header(header, client, policy, had) == Fate::kDrop) {
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
  char text[SocketAddress::kMaxText];
  const std::string_view ip(text, client.peer.write_ip(text));
  write_forwarding(out, head, had, client, ip, policy, edit.stripped_prefix);
  write_policy(out, client, ip, policy, edit.request_id);
  out.add(head.minor_version == 0 ? "Via: 1.0 sluice\r\n\r\n" : "Via: 1.1 sluice\r\n\r\n");
  return out.ok();
}

bool write_response_head(HeadWriter& out, const Head& head, const ResponseEdit& edit) {
  out.add("HTTP/1.1 ");
  out.add_number(head.status);
  out.add(" ");
  out.add(head.reason);
  out.add("\r\n");
  const bool switching = head.status == 101;
  // RFC 9110 8.6: neither a 1xx nor a 204 has a Content-Length.
  const bool no_length = head.status < 200 || head.status == 204;
  RunCopier copier(out);
  const Header* entity_tag = nullptr;
  bool varies = false;
  for (uint16_t i = 0; i < head.header_count; ++i) {
    const Header& header = head.headers[i];
    bool drop = false;
    if (edit.vary) [[unlikely]] {
      if (header.id == Name::kContentLength && edit.gzip) drop = true;
      if (http1::iequals(header.name, "accept-ranges")) drop = edit.gzip;
      if (http1::iequals(header.name, "vary")) {
        varies = varies || http1::list_has_token(header.value, "accept-encoding") ||
                 http1::list_has_token(header.value, "*");
      }
      if (edit.gzip && http1::iequals(header.name, "etag")) {
        entity_tag = &header;
        drop = true;
      }
      if (drop) {
        copier.skip();
        continue;
      }
    }
    switch (header.id) {
      case Name::kConnection:
      case Name::kKeepAlive:
      case Name::kProxyConnection:
      case Name::kTe:
      case Name::kUpgrade:
      case Name::kTransferEncoding: drop = true; break;
      case Name::kContentLength: drop = no_length; break;
      case Name::kStrictTransport: drop = !edit.sts.empty(); break;
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
  if (!edit.sts.empty()) out.header("Strict-Transport-Security", edit.sts);
  if (entity_tag != nullptr) {
    // RFC 9110 8.8.1: the same content, and not the same bytes.
    out.add(entity_tag->value.starts_with("W/") ? "ETag: " : "ETag: W/");
    out.add(entity_tag->value);
    out.add("\r\n");
  }
  if (edit.gzip) out.add("Content-Encoding: gzip\r\n");
  if (edit.vary && !varies) out.add("Vary: Accept-Encoding\r\n");
  if (!edit.cookie.empty()) {
    out.add("Set-Cookie: ");
    out.add(edit.cookie);
    out.add("=");
    add_hex<16>(out, edit.cookie_id);
    out.add(edit.secure ? "; Path=/; HttpOnly; SameSite=Lax; Secure\r\n"
                        : "; Path=/; HttpOnly; SameSite=Lax\r\n");
  }
  // RFC 9110 7.6.3: not of an interim response, which is over before the response is.
  if (head.status >= 200) {
    out.add(head.minor_version == 0 ? "Via: 1.0 sluice\r\n" : "Via: 1.1 sluice\r\n");
  }
  if (edit.chunked) out.add("Transfer-Encoding: chunked\r\n");
  if (edit.close) out.add("Connection: close\r\n");
  if (edit.keep_alive_10) out.add("Connection: keep-alive\r\n");
  out.add("\r\n");
  return out.ok();
}

}  // namespace sluice::proxy
