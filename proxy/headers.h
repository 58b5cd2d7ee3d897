// Heads as they are sent on: what a proxy removes, overwrites and adds (RFC 9110 7.6, fabio's
// headers).
//
// Pure; any thread. Writes into memory of the caller; never past its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/http1.h"
#include "core/socket.h"

namespace sluice::proxy {

/// Text of a head into a fixed room. Once something did not fit, ok() is false and stays so.
class HeadWriter {
 public:
  HeadWriter(char* room, size_t size) : begin_(room), at_(room), end_(room + size) {}
  void add(std::string_view text) {
    if (static_cast<size_t>(end_ - at_) < text.size()) {
      ok_ = false;
      return;
    }
    __builtin_memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void add_number(uint64_t number);
  void header(std::string_view name, std::string_view value) {
    add(name);
    add(": ");
    add(value);
    add("\r\n");
  }
  bool ok() const { return ok_; }
  size_t size() const { return static_cast<size_t>(at_ - begin_); }
  /// What was written from this byte on, and changes of it.
  std::string_view written(size_t from) const { return {begin_ + from, size() - from}; }
  void erase(size_t from, size_t count) {
    __builtin_memmove(begin_ + from, begin_ + from + count, size() - from - count);
    at_ -= count;
  }
  void insert(size_t before, char c) {
    if (at_ == end_) {
      ok_ = false;
      return;
    }
    __builtin_memmove(begin_ + before + 1, begin_ + before, size() - before);
    begin_[before] = c;
    ++at_;
  }

 private:
  char* begin_;
  char* at_;
  char* end_;
  bool ok_ = true;
};

/// What is known of the client's connection: constant for its life. The peer's address as text is
/// made where it is wanted: an idle connection would pay 56 bytes for it.
struct ClientFacts {
  SocketAddress peer;
  uint16_t listener_port = 0;
  bool tls = false;
  uint16_t tls_version = 0;  // as in the protocol: 0x0303 is TLS 1.2
  uint16_t tls_cipher = 0;   // its number in the registry
  bool trusted = false;      // its X-Forwarded-* and Forwarded are believed and appended to
};

/// fabio's -proxy.header.* and -proxy.localip: what is set in every request or response, whatever
/// its route. Constant; "" is off.
struct HeaderPolicy {
  std::string client_ip;   // a header with the peer's address
  std::string tls_name;    // a header that only a request that came over TLS has
  std::string tls_value;   // and its value
  std::string request_id;  // a header with an id of our own
  std::string local_ip;    // Forwarded: by=
  std::string sts;         // the value of Strict-Transport-Security over TLS
};

/// What the route changes of a request.
struct RequestEdit {
  std::string_view path;             // path and query as sent; not empty
  std::string_view host;             // "": the client's own
  std::string_view stripped_prefix;  // for X-Forwarded-Prefix
  std::string_view request_id;       // the value; where the policy names a header for it
};

/// Room for what write_request_head adds beside the head's own bytes and the edit's.
inline constexpr size_t kAddedHeadBytes = 1024;

/// How much more the policy may add to a head.
size_t room_for(const HeaderPolicy& policy);

/// The request line and headers for an HTTP/1.1 upstream. False if the room is too small.
bool write_request_head(HeadWriter& out, const http1::Head& head, const RequestEdit& edit,
                        const ClientFacts& client, const HeaderPolicy& policy);

/// What a response gets on its way to the client.
struct ResponseEdit {
  bool chunked = false;        // Transfer-Encoding: chunked is added
  bool close = false;          // Connection: close is added
  bool keep_alive_10 = false;  // Connection: keep-alive is added, for a 1.0 client
  std::string_view sts;        // Strict-Transport-Security, in place of the upstream's own
  std::string_view cookie;     // the name of a cookie to set, "": none
  uint64_t cookie_id = 0;      // its value
  bool secure = false;         // the cookie is for TLS alone
  bool vary = false;           // the response depends on Accept-Encoding
  bool gzip = false;           // it is sent compressed: no length, another entity tag
};

/// Interim responses too. 101 keeps its Upgrade.
bool write_response_head(HeadWriter& out, const http1::Head& head, const ResponseEdit& edit);

}  // namespace sluice::proxy
