// Heads as they are sent on: what a proxy removes, overwrites and adds (RFC 9110 7.6, fabio's
// headers).
//
// Pure; any thread. Writes into memory of the caller; never past its end.
#pragma once

#include <cstddef>
#include <cstdint>
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

 private:
  char* begin_;
  char* at_;
  char* end_;
  bool ok_ = true;
};

/// What is known of the client's connection: constant for its life.
struct ClientFacts {
  SocketAddress peer;
  std::string_view ip;          // the peer's, as text
  std::string_view local_ip;    // ours, for Forwarded: by=
  std::string_view local_port;  // digits
  uint16_t listener_port = 0;
  bool tls = false;
  uint16_t tls_version = 0;  // as in the protocol: 0x0303 is TLS 1.2
  uint16_t tls_cipher = 0;   // its number in the registry
  bool trusted = false;      // its X-Forwarded-* and Forwarded are believed and appended to
};

/// What the route changes of a request.
struct RequestEdit {
  std::string_view path;             // path and query as sent; not empty
  std::string_view host;             // "": the client's own
  std::string_view stripped_prefix;  // for X-Forwarded-Prefix
};

/// Room for what write_request_head adds beside the head's own bytes and the edit's.
inline constexpr size_t kAddedHeadBytes = 1024;

/// The request line and headers for an HTTP/1.1 upstream. False if the room is too small.
bool write_request_head(HeadWriter& out, const http1::Head& head, const RequestEdit& edit,
                        const ClientFacts& client);

/// How the response is framed towards the client.
struct ResponseFraming {
  bool chunked = false;        // Transfer-Encoding: chunked is added
  bool close = false;          // Connection: close is added
  bool keep_alive_10 = false;  // Connection: keep-alive is added, for a 1.0 client
};

/// Interim responses too. 101 keeps its Upgrade.
bool write_response_head(HeadWriter& out, const http1::Head& head, const ResponseFraming& framing);

std::string_view reason_of(uint16_t status);

}  // namespace sluice::proxy
