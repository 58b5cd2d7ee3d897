#include "core/http_client.h"

#include <fmt/core.h>

#include <utility>

#include "core/http1_text.h"
#include "core/scope.h"

namespace sluice {

namespace {

constexpr size_t kReadBytes = 64 * 1024;

http1::Method method_of(std::string_view name) {
  if (name == "GET") return http1::Method::kGet;
  if (name == "HEAD") return http1::Method::kHead;
  if (name == "POST") return http1::Method::kPost;
  if (name == "PUT") return http1::Method::kPut;
  if (name == "DELETE") return http1::Method::kDelete;
  return http1::Method::kOther;
}

/// A header value of ours must not break the head (it may hold a task's or a user's text).
bool is_field_text(std::string_view text) {
  for (const char c : text) {
    if (c == '\r' || c == '\n' || c == '\0') return false;
  }
  return true;
}

}  // namespace

HttpExchange::HttpExchange(HttpClient& client, std::unique_ptr<Stream> stream)
    : client_(client), stream_(std::move(stream)) {}

HttpExchange::~HttpExchange() {
  if (ended_ && keep_alive_ && stream_ != nullptr && input_.unread().empty()) {
    client_.keep(std::move(stream_));
  }
}

Task<Result<void>> HttpExchange::write_request(const HttpRequest& request) {
  const std::string host = !client_.options_.host.empty() ? client_.options_.host
                           : client_.address_.is_unix()   ? "localhost"
                                                          : to_string(client_.address_);
  if (!is_field_text(request.target) || request.target.find(' ') != std::string::npos) {
    co_return fail(Code::kInvalid, "request target '{}' is not escaped", request.target);
  }
  if (request.method.empty() || !http1::all(http1::kToken, request.method)) {
    co_return fail(Code::kInvalid, "'{}' is no method", request.method);
  }
  if (!is_field_text(host)) co_return fail(Code::kInvalid, "header Host holds a line break");
  std::string head =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, request.target, host);
  for (const auto& [name, value] : request.headers.fields) {
    if (!is_field_text(name) || !is_field_text(value)) {
      co_return fail(Code::kInvalid, "header {} holds a line break", name);
    }
    head += fmt::format("{}: {}\r\n", name, value);
  }
  const bool has_body =
      !request.body.empty() || request.method == "POST" || request.method == "PUT";
  if (has_body) head += fmt::format("Content-Length: {}\r\n", request.body.size());
  head += "\r\n";
  head += request.body;
  co_return co_await stream_->write(head);
}

Task<Result<bool>> HttpExchange::fill() {
  char chunk[kReadBytes];
  Result<size_t> n = co_await stream_->read(chunk);
  if (!n) co_return pass(n);
  if (*n > 0) answered_ = true;
  input_.append({chunk, *n});
  co_return *n > 0;
}

Task<Result<void>> HttpExchange::read_head(http1::Method method) {
  http1::HeadReader reader;
  auto head = std::make_unique<http1::Head>();
  for (;;) {
    const http1::ReadResult result =
        reader.read_response(input_.unread(), client_.options_.head_limits, method, *head);
    switch (result.state) {
      case http1::ReadState::kMore: {
        Result<bool> more = co_await fill();
        if (!more) co_return pass(more);
        if (!*more) {
          co_return fail(Code::kClosed, "{} closed the connection before answering",
                         to_string(client_.address_));
        }
        continue;
      }
      case http1::ReadState::kBad:
        co_return fail(Code::kInvalid, "{} sent what is not HTTP/1.1: {}",
                       to_string(client_.address_), result.reason);
      case http1::ReadState::kDone: break;
    }
    input_.consume(head->size);
    reader.reset();
    if (head->status >= 200 || head->status == 101) break;  // 1xx: the answer follows
  }
  status_ = head->status;
  headers_ = copy_headers(*head);
  keep_alive_ = head->keep_alive && status_ != 101;
  body_.start(head->framing, head->content_length);
  ended_ = head->framing == http1::Framing::kNone;
  co_return Result<void>();
}

Task<Result<std::string>> HttpExchange::read() {
  std::string data;
  while (!ended_) {
    const http1::BodyReader::Step step = body_.read(input_.unread());
    data += step.data;
    input_.consume(step.consumed);
    switch (step.state) {
      case http1::BodyReader::State::kBad:
        co_return fail(Code::kInvalid, "{}: broken chunked body", to_string(client_.address_));
      case http1::BodyReader::State::kEnd: ended_ = true; break;
      case http1::BodyReader::State::kMore: break;
    }
    if (ended_ || step.consumed > 0) continue;  // chunks may be small and many
    if (!data.empty()) co_return data;
    Result<bool> more = co_await fill();
    if (!more) co_return pass(more);
    if (*more) continue;
    if (!body_.ends_at_close()) {
      co_return fail(Code::kClosed, "{} closed the connection within a body",
                     to_string(client_.address_));
    }
    ended_ = true;
    keep_alive_ = false;
  }
  co_return data;
}

Task<Result<std::string>> HttpExchange::read_all(size_t limit_bytes) {
  std::string all;
  for (;;) {
    Result<std::string> piece = co_await read();
    if (!piece) co_return pass(piece);
    if (piece->empty()) co_return all;
    if (all.size() + piece->size() > limit_bytes) {
      co_return fail(Code::kLimit, "{}: a body of more than {} bytes", to_string(client_.address_),
                     limit_bytes);
    }
    all += *piece;
  }
}

std::unique_ptr<Stream> HttpExchange::take_stream(std::string& early_bytes) {
  early_bytes = input_.take();
  return std::move(stream_);
}

void HttpClient::keep(std::unique_ptr<Stream> stream) {
  if (kept_.size() < options_.kept_connections) kept_.push_back(std::move(stream));
}

/// `stale`: a kept connection ended before a byte of the answer, so the request was not served on
/// it.
Task<Result<std::unique_ptr<HttpExchange>>> HttpClient::attempt(const HttpRequest& request,
                                                                bool& stale) {
  std::unique_ptr<Stream> stream;
  const bool kept = !kept_.empty();
  if (kept) {
    stream = std::move(kept_.back());
    kept_.pop_back();
  } else {
    Result<std::unique_ptr<Stream>> made =
        co_await network_.connect(address_, options_.connect_timeout_ms);
    if (!made) co_return pass(made);
    stream = std::move(*made);
  }
  auto exchange = std::make_unique<HttpExchange>(*this, std::move(stream));
  Result<void> done = co_await exchange->write_request(request);
  if (done) {
    done = co_await with_timeout(executor_, options_.response_timeout_ms,
                                 exchange->read_head(method_of(request.method)));
  }
  if (!done) {
    stale = kept && !exchange->answered_ && done.error().code != Code::kTimeout;
    co_return pass(done, "{} {}", request.method, request.target);
  }
  co_return std::move(exchange);
}

Task<Result<std::unique_ptr<HttpExchange>>> HttpClient::open(HttpRequest request) {
  const bool may_repeat = http1::is_idempotent(method_of(request.method));
  for (;;) {
    bool stale = false;
    Result<std::unique_ptr<HttpExchange>> exchange = co_await attempt(request, stale);
    if (exchange || !stale) co_return std::move(exchange);
    // The other kept ones are likely as old. A request that is not idempotent is not said twice,
    // for the peer may have taken it before it closed.
    kept_.clear();
    if (!may_repeat) co_return std::move(exchange);
  }
}

Task<Result<HttpResponse>> HttpClient::send(HttpRequest request) {
  Result<std::unique_ptr<HttpExchange>> exchange = co_await open(std::move(request));
  if (!exchange) co_return pass(exchange);
  HttpResponse response{
      .status = (*exchange)->status(), .headers = (*exchange)->headers(), .body = {}};
  Result<std::string> body = co_await with_timeout(
      executor_, options_.response_timeout_ms, (*exchange)->read_all(options_.body_limit_bytes));
  if (!body) co_return pass(body);
  response.body = std::move(*body);
  co_return response;
}

}  // namespace sluice
