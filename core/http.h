// HTTP messages of the control plane (Docker, Consul, checks, our own API): whole heads as plain
// data, for clarity over speed. The data plane does not use them; both sit on the parser in
// core/http1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/http1.h"

namespace sluice {

/// In the order received or to be sent; names keep their case and compare without it.
struct HttpHeaders {
  std::vector<std::pair<std::string, std::string>> fields;

  /// The first field's value, or nullptr.
  const std::string* find(std::string_view name) const;
  void add(std::string name, std::string value) {
    fields.emplace_back(std::move(name), std::move(value));
  }
};

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";  // origin form: path and query, already escaped
  HttpHeaders headers;       // without Host, Content-Length and Transfer-Encoding, which are ours
  std::string body;
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers;
  std::string body;

  bool ok() const { return status >= 200 && status < 300; }
};

/// %XX to bytes; '+' to a blank only where it is a query's. Invalid escapes are kept as they are.
std::string percent_decode(std::string_view text, bool plus_is_blank);
/// Everything but RFC 3986 unreserved characters becomes %XX.
std::string percent_encode(std::string_view text);

/// The fields of a query string, decoded, in order.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

/// A parsed head's headers as plain data.
HttpHeaders copy_headers(const http1::Head& head);

/// Reads heads and bodies of one connection from a buffer that holds what arrived and is not used
/// yet. Owner: a connection.
class HttpInput {
 public:
  /// All unread bytes.
  std::string_view unread() const { return std::string_view(buffer_).substr(used_); }
  void append(std::string_view bytes);
  void consume(size_t count) { used_ += count; }
  /// Takes all unread bytes out (for an upgraded connection).
  std::string take();

 private:
  std::string buffer_;
  size_t used_ = 0;
};

}  // namespace sluice
