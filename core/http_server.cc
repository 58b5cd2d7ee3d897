#include "core/http_server.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace sluice {

namespace {

/// What a client may send ahead of its answer before reading from it waits.
constexpr size_t kPipelinedBytes = 64 * 1024;

}  // namespace

/// One accepted connection: reads a request, runs its handler, reads the next. While a handler
/// runs, a second task watches the socket, so that a long poll whose client has gone ends.
class HttpServerConnection {
 public:
  HttpServerConnection(Executor& executor, std::unique_ptr<Stream> stream, HttpHandler& handler,
                       const HttpServerOptions& options, Answering& answering)
      : executor_(executor),
        stream_(std::move(stream)),
        handler_(handler),
        options_(options),
        answering_(answering),
        cancel_wanted_(executor),
        handled_(executor),
        watcher_(executor) {}
  ~HttpServerConnection() { set_answering(false); }

  Task<void> serve() {
    set_answering(true);
    while (co_await serve_one()) {
    }
  }

 private:
  friend HttpResponseWriter;

  void set_answering(bool answers) {
    if (std::exchange(is_answering_, answers) == answers) return;
    answers ? answering_.begin() : answering_.end();
  }
  Task<bool> serve_one();
  Task<Result<bool>> fill();
  Task<Result<void>> read_request(HttpServerRequest& request, int& refusal);
  Task<void> refuse(int status, std::string_view reason);
  Task<void> run_handler(const HttpServerRequest& request, HttpResponseWriter& writer);
  Task<void> watch();

  Executor& executor_;
  std::unique_ptr<Stream> stream_;
  HttpHandler& handler_;
  const HttpServerOptions& options_;
  Answering& answering_;
  bool is_answering_ = false;
  HttpInput input_;
  http1::Head head_;
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool http10_ = false;
  bool expect_continue_ = false;
  Event cancel_wanted_;
  Event handled_;
  Scope watcher_;
};

Task<Result<bool>> HttpServerConnection::fill() {
  char chunk[16 * 1024];
  Result<size_t> n = co_await stream_->read(chunk);
  if (!n) co_return pass(n);
  input_.append({chunk, *n});
  co_return *n > 0;
}

Task<Result<void>> HttpServerConnection::read_request(HttpServerRequest& request, int& refusal) {
  http1::HeadReader reader;
  for (;;) {
    const http1::ReadResult result =
        reader.read_request(input_.unread(), options_.head_limits, head_);
    if (result.state == http1::ReadState::kDone) break;
    if (result.state == http1::ReadState::kBad) {
      refusal = result.status;
      co_return fail(Code::kInvalid, "{}", result.reason);
    }
    Result<bool> more = co_await fill();
    if (!more) co_return pass(more);
    if (!*more) co_return fail(Code::kClosed, "closed within a request");
  }
  request.method = head_.method_text;
  request.target = head_.path;
  const size_t question = request.target.find('?');
  request.path = request.target.substr(0, question);
  if (question != std::string::npos) {
    request.query = parse_query(std::string_view(request.target).substr(question + 1));
  }
  request.headers = copy_headers(head_);
  request.host = head_.authority;
  request.peer = stream_->peer();
  keep_alive_ = head_.keep_alive;
  head_only_ = head_.method == http1::Method::kHead;
  http10_ = head_.minor_version == 0;
  expect_continue_ = head_.expect_continue;
  http1::BodyReader body;
  body.start(head_.framing, head_.content_length);
  const bool too_long =
      head_.framing == http1::Framing::kLength && head_.content_length > options_.body_limit_bytes;
  input_.consume(head_.size);
  if (too_long) {
    refusal = 413;
    co_return fail(Code::kLimit, "a body of at most {} bytes", options_.body_limit_bytes);
  }
  if (body.done()) co_return Result<void>();
  if (expect_continue_) {
    Result<void> sent = co_await stream_->write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return pass(sent);
  }
  for (;;) {
    const http1::BodyReader::Step step = body.read(input_.unread());
    request.body.append(step.data);
    input_.consume(step.consumed);
    if (step.state == http1::BodyReader::State::kEnd) co_return Result<void>();
    if (step.state == http1::BodyReader::State::kBad) {
      refusal = 400;
      co_return fail(Code::kInvalid, "broken chunked body");
    }
    if (request.body.size() > options_.body_limit_bytes) {
      refusal = 413;
      co_return fail(Code::kLimit, "a body of at most {} bytes", options_.body_limit_bytes);
    }
    if (step.consumed > 0) continue;
    Result<bool> more = co_await fill();
    if (!more) co_return pass(more);
    if (!*more) co_return fail(Code::kClosed, "closed within a body");
  }
}

Task<void> HttpServerConnection::refuse(int status, std::string_view reason) {
  const std::string body = fmt::format("{}\n", reason);
  (void)co_await stream_->write(
      fmt::format("HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
                  "{}\r\nConnection: close\r\n\r\n{}",
                  status, http1::reason_phrase(status), body.size(), body));
}

Task<void> HttpServerConnection::run_handler(const HttpServerRequest& request,
                                             HttpResponseWriter& writer) {
  co_await handler_(request, writer);
  if (!writer.started_) (void)co_await writer.respond(500, "text/plain", "no answer was made\n");
  handled_.set();
}

Task<void> HttpServerConnection::watch() {
  while (input_.unread().size() < kPipelinedBytes) {
    Result<bool> more = co_await fill();
    if (more && *more) continue;
    co_await cancel_wanted_.wait();
    handled_.set();
    co_return;
  }
}

Task<bool> HttpServerConnection::serve_one() {
  if (input_.unread().empty()) {
    Result<bool> first = co_await with_timeout(executor_, options_.idle_timeout_ms, fill());
    if (!first || !*first) co_return false;
  }
  set_answering(true);
  HttpServerRequest request;
  int refusal = 0;
  Result<void> read =
      co_await with_timeout(executor_, options_.head_timeout_ms, read_request(request, refusal));
  if (!read) {
    if (read.error().code == Code::kTimeout) refusal = 408;
    if (refusal != 0) co_await refuse(refusal, read.error().message);
    co_return false;
  }
  HttpResponseWriter writer(*this);
  if (answering_.finishing) keep_alive_ = false;
  handled_.clear();
  cancel_wanted_.clear();
  {
    Scope scope(executor_);
    watcher_.spawn(watch());
    scope.spawn(run_handler(request, writer));
    co_await handled_.wait();
    watcher_.cancel_all();
  }
  set_answering(false);
  if (writer.started_ && !writer.finished_)
    co_return false;  // cut short: only the close can say so
  co_return keep_alive_ && !writer.upgraded_;
}

const std::string* HttpServerRequest::find_query(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

void HttpResponseWriter::add_header(std::string name, std::string value) {
  std::ranges::replace_if(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  headers_.add(std::move(name), std::move(value));
}

std::string HttpResponseWriter::make_head(int status, std::string_view content_type,
                                          std::string_view framing) {
  started_ = true;
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", status, http1::reason_phrase(status));
  if (!content_type.empty()) head += fmt::format("Content-Type: {}\r\n", content_type);
  for (const auto& [name, value] : headers_.fields) head += fmt::format("{}: {}\r\n", name, value);
  head += framing;
  if (!connection_.keep_alive_) head += "Connection: close\r\n";
  head += "\r\n";
  return head;
}

Task<Result<void>> HttpResponseWriter::respond(int status, std::string_view content_type,
                                               std::string_view body) {
  CHECK(!started_);
  std::string message =
      make_head(status, content_type, fmt::format("Content-Length: {}\r\n", body.size()));
  finished_ = true;
  if (!connection_.head_only_) message += body;
  co_return co_await connection_.stream_->write(message);
}

Task<Result<void>> HttpResponseWriter::start(int status, std::string_view content_type) {
  CHECK(!started_);
  if (connection_.http10_) connection_.keep_alive_ = false;
  const std::string head =
      make_head(status, content_type, connection_.http10_ ? "" : "Transfer-Encoding: chunked\r\n");
  co_return co_await connection_.stream_->write(head);
}

Task<Result<void>> HttpResponseWriter::write(std::string_view piece) {
  CHECK(started_ && !finished_);
  if (piece.empty() || connection_.head_only_) co_return Result<void>();
  if (connection_.http10_) co_return co_await connection_.stream_->write(piece);
  const std::string chunk = fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
  co_return co_await connection_.stream_->write(chunk);
}

Task<Result<void>> HttpResponseWriter::finish() {
  CHECK(started_ && !finished_);
  finished_ = true;
  if (connection_.head_only_ || connection_.http10_) co_return Result<void>();
  co_return co_await connection_.stream_->write("0\r\n\r\n");
}

void HttpResponseWriter::cancel_on_close() {
  connection_.set_answering(false);
  connection_.cancel_wanted_.set();
}

Task<Result<Stream*>> HttpResponseWriter::upgrade(std::string_view head, std::string& early_bytes) {
  CHECK(!started_);
  started_ = finished_ = upgraded_ = true;
  connection_.watcher_.cancel_all();
  Result<void> sent = co_await connection_.stream_->write(head);
  if (!sent) co_return pass(sent);
  early_bytes = connection_.input_.take();
  co_return connection_.stream_.get();
}

HttpServer::HttpServer(Executor& executor, std::unique_ptr<Listener> listener, HttpHandler handler,
                       HttpServerOptions options)
    : executor_(executor),
      listener_(std::move(listener)),
      local_(listener_->local()),
      handler_(std::move(handler)),
      options_(std::move(options)),
      slot_free_(executor),
      answering_(executor),
      connections_(executor) {}

Task<void> HttpServer::serve(std::unique_ptr<Stream> stream) {
  {
    auto connection = std::make_unique<HttpServerConnection>(executor_, std::move(stream), handler_,
                                                             options_, answering_);
    co_await connection->serve();
  }
  slot_free_.pulse();
}

Task<void> HttpServer::close_listener() {
  while (listener_->is_waiting()) {
    Result<std::unique_ptr<Stream>> stream = co_await listener_->accept();
    if (stream) connections_.spawn(serve(std::move(*stream)));
  }
  listener_.reset();
}

Task<void> HttpServer::finish(int64_t limit_ms) {
  answering_.finishing = true;
  auto wait = [](Event& quiet) -> Task<Result<void>> {
    co_await quiet.wait();
    co_return Result<void>();
  };
  (void)co_await with_timeout(executor_, limit_ms, wait(answering_.quiet));
}

Task<void> HttpServer::run() {
  for (;;) {
    while (connections_.running() >= options_.connections) co_await slot_free_.wait();
    Result<std::unique_ptr<Stream>> stream = co_await listener_->accept();
    if (stream) {
      connections_.spawn(serve(std::move(*stream)));
    } else {
      // Out of descriptors, most likely: wait for some to come back rather than spin.
      co_await sleep_for(executor_, 100);
    }
  }
}

}  // namespace sluice
