// HttpServer: HTTP/1.1 for the control plane's own interfaces (the jobs API, the routes page, the
// embedded catalog). Not the data plane.
//
// Owner: its maker, who awaits run(). Thread: the executor's. A handler is a task of its
// connection: it is cancelled when the server goes, and, if it asked for it, when the peer closes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/env.h"
#include "core/http.h"
#include "core/http1_body.h"
#include "core/scope.h"

namespace sluice {

struct HttpServerOptions {
  http1::Limits head_limits;
  size_t body_limit_bytes = 16 * 1024 * 1024;
  size_t connections = 1'000;  // past that, accepting waits
  int64_t head_timeout_ms =
      10'000;  // from a request's first byte to the end of its body's last wait
  int64_t idle_timeout_ms = 75'000;  // between requests
};

struct HttpServerRequest {
  std::string method;
  std::string target;  // as received
  std::string path;    // escapes kept: a handler decodes the parts it takes
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  HttpHeaders headers;
  std::string host;
  std::string body;
  Address peer;

  /// The first value of that name, or nullptr.
  const std::string* find_query(std::string_view name) const;
};

class HttpServerConnection;

/// How a handler answers: respond() once, or start(), write()... and finish(). An error means that
/// the peer is gone; the handler returns.
class HttpResponseWriter {
 public:
  explicit HttpResponseWriter(HttpServerConnection& connection) : connection_(connection) {}
  HttpResponseWriter(const HttpResponseWriter&) = delete;

  /// Sent with the answer; set before respond() or start(). The value may hold a client's own
  /// words: what would end its line is sent as a blank.
  void add_header(std::string name, std::string value);
  Task<Result<void>> respond(int status, std::string_view content_type, std::string_view body);
  /// A body that comes in pieces: chunked, or up to the close for HTTP/1.0.
  Task<Result<void>> start(int status, std::string_view content_type);
  Task<Result<void>> write(std::string_view piece);
  Task<Result<void>> finish();

  /// From now on the peer's close cancels this handler: for long polls and streams. Without it a
  /// client that only half-closed still gets its answer.
  void cancel_on_close();
  /// Upgrades: sends `head` (a whole 101 response), after which the handler owns both directions of
  /// the stream, which stays the server's. `early_bytes` gets what the client sent behind its
  /// request.
  Task<Result<Stream*>> upgrade(std::string_view head, std::string& early_bytes);

  bool started() const { return started_; }

 private:
  friend HttpServerConnection;
  std::string make_head(int status, std::string_view content_type, std::string_view framing);

  HttpServerConnection& connection_;
  HttpHeaders headers_;
  bool started_ = false;
  bool finished_ = false;
  bool upgraded_ = false;
};

/// Keeps `request` and `writer` only until it ends.
using HttpHandler =
    std::function<Task<void>(const HttpServerRequest& request, HttpResponseWriter& writer)>;

/// What a server's connections have under way.
struct Answering {
  explicit Answering(Executor& executor) : quiet(executor) { quiet.set(); }
  void begin() {
    if (count++ == 0) quiet.clear();
  }
  void end() {
    if (--count == 0) quiet.set();
  }

  size_t count = 0;  // connections that wait for an answer and not just for news
  Event quiet;       // there is none
  bool finishing = false;
};

class HttpServer {
 public:
  HttpServer(Executor& executor, std::unique_ptr<Listener> listener, HttpHandler handler,
             HttpServerOptions options = {});

  Address local() const { return local_; }
  /// Accepts and serves until cancelled.
  Task<void> run();
  /// run() was cancelled: what was accepted is served, and the listener closes; connections stay
  /// until they end.
  Task<void> close_listener();
  /// After close_listener(). Ready once every connection that is new, or has begun to ask, has its
  /// answer, those that wait for news (cancel_on_close) aside; or after `limit_ms`. From now on a
  /// connection ends with its answer.
  Task<void> finish(int64_t limit_ms);

 private:
  Task<void> serve(std::unique_ptr<Stream> stream);

  Executor& executor_;
  std::unique_ptr<Listener> listener_;
  const Address local_;
  HttpHandler handler_;
  HttpServerOptions options_;
  Event slot_free_;
  Answering answering_;
  Scope connections_;
};

}  // namespace sluice
