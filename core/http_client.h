// HttpClient: HTTP/1.1 requests of the control plane to one address (Docker's socket, Consul's
// agent, a check's target, our own API from the command line).
//
// Owner: its user; outlives the exchanges. Thread: the executor's. Idle connections are kept, at
// most kept_connections of them; a kept one that the peer has closed meanwhile is replaced once by
// a new one where the request is idempotent. Cancelling a task closes its connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/executor.h"
#include "core/http.h"
#include "core/http1_body.h"
#include "core/network.h"
#include "core/result.h"
#include "core/task.h"

namespace sluice {

struct HttpClientOptions {
  std::string host;  // the Host header; empty: the address
  int64_t connect_timeout_ms = 2'000;
  int64_t response_timeout_ms = 60'000;  // to the end of the head; and each wait for body bytes
  size_t body_limit_bytes = 64 * 1024 * 1024;  // of send(): a longer body is kLimit
  size_t kept_connections = 8;
  http1::Limits head_limits;
};

class HttpClient;

/// One response whose body is read as it comes, or a connection that was upgraded.
/// Destroying it before the body's end closes the connection.
class HttpExchange {
 public:
  HttpExchange(HttpClient& client, std::unique_ptr<Stream> stream);
  ~HttpExchange();

  int status() const { return status_; }
  const HttpHeaders& headers() const { return headers_; }
  /// The next bytes of the body, all that have come; an empty string at its end. Without a time
  /// limit: for streams.
  Task<Result<std::string>> read();
  /// All of the body, kLimit past `limit_bytes`.
  Task<Result<std::string>> read_all(size_t limit_bytes);
  /// After a 101 (or Docker's hijack): the raw connection, and bytes that came behind the head.
  std::unique_ptr<Stream> take_stream(std::string& early_bytes);

 private:
  friend HttpClient;
  Task<Result<void>> write_request(const HttpRequest& request);
  Task<Result<void>> read_head(http1::Method method);
  Task<Result<bool>> fill();  // false at the end of the stream

  HttpClient& client_;
  std::unique_ptr<Stream> stream_;
  HttpInput input_;
  http1::BodyReader body_;
  int status_ = 0;
  HttpHeaders headers_;
  bool keep_alive_ = false;
  bool answered_ = false;  // a byte of the response has come
  bool ended_ = false;
};

class HttpClient {
 public:
  HttpClient(Executor& executor, Network& network, Address address, HttpClientOptions options = {})
      : executor_(executor),
        network_(network),
        address_(std::move(address)),
        options_(std::move(options)) {}

  /// The whole response. kTimeout, kUnavailable (refused), kClosed, kLimit, kInvalid (not HTTP).
  Task<Result<HttpResponse>> send(HttpRequest request);
  /// Up to the response's head; the body is read from the exchange.
  Task<Result<std::unique_ptr<HttpExchange>>> open(HttpRequest request);

  const Address& address() const { return address_; }

 private:
  friend HttpExchange;
  Task<Result<std::unique_ptr<HttpExchange>>> attempt(const HttpRequest& request, bool& stale);
  void keep(std::unique_ptr<Stream> stream);

  Executor& executor_;
  Network& network_;
  Address address_;
  HttpClientOptions options_;
  std::vector<std::unique_ptr<Stream>> kept_;
};

}  // namespace sluice
