// Http1Client's end: how a connection closes without taking back what was sent, and how it is seen
// that nobody is there any more.
#include "proxy/http1_client.h"
#include "proxy/worker.h"

namespace sluice::proxy {

// Plain HTTP where TLS is spoken: an answer in what was spoken says what is wrong, an alert does
// not.
void Http1Client::answer_plain_http() {
  if (channel_.tls() == nullptr || std::string_view(channel_.tls()->error()) != "HTTP_REQUEST")
    return;
  constexpr std::string_view kAnswer =
      "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
      "X-Content-Type-Options: nosniff\r\nContent-Length: 42\r\nConnection: close\r\n\r\n"
      "400 Bad Request: HTTP was sent, not HTTPS\n";
  const IoResult put = channel_.socket().write(kAnswer.data(), kAnswer.size());
  const bool sent = put.state == IoState::kOk && put.bytes == kAnswer.size();
  worker_.access().refused(facts_, nullptr, 400, sent ? 42 : 0);
}

// Who ends its direction while an answer is due has mostly gone altogether, which only a write
// would show; the upstream must learn of it, or it works for nobody. One that half-closed gets what
// comes, as long as something does.
void Http1Client::watch_half_closed() {
  if (half_closed_ || !forward_->exchange().request_ended) return;
  half_closed_ = true;
  sent_before_ = forward_->response_bytes();
  // While it takes nothing, it has the time that a slow reader has.
  if (!Http1Io::blocked()) arm(timeouts_.abandoned_ms);
}

void Http1Client::on_half_closed_timer() {
  const uint64_t sent = forward_->response_bytes();
  if (sent == sent_before_) return forward_->on_client_gone();
  sent_before_ = sent;
  arm(timeouts_.abandoned_ms);
}

// A body with a framing shows that part of it is missing when the stream ends; a reset would take
// back what was passed on and not read yet. One that ends at the close needs the reset.
void Http1Client::cut() {
  if (until_close_) return abort();
  keep_alive_ = false;
}

void Http1Client::abort() {
  if (state_ == State::kClosed) return;
  keep_alive_ = false;
  state_ = State::kClosed;
  all_node.unlink();
  close_channel(true);
  reactor_.reap(*this);
}

void Http1Client::linger() {
  // RFC 9112 9.6: who has said close sends nothing more, so no reset can take the answer back.
  const bool nothing_follows =
      last_ && upload_ended_ && in_.size() == source_.used() && !channel_.readable();
  if (nothing_follows && !facts_.tls) return close();
  channel_.shutdown_write();
  if (channel_.closed() && !channel_.readable()) return close();
  state_ = State::kLingering;
  in_.clear();
  in_.release_if_empty();
  arm(timeouts_.linger_ms);
  if (channel_.readable()) reactor_.resume_later(*this);
}

void Http1Client::drain() {
  // A request that is there, or due on a connection that was just made, is still served.
  if (state_ == State::kHead && !reader_.started() && served_ && !channel_.readable()) close();
}

void Http1Client::close() {
  switch (state_) {
    case State::kClosed: return;
    case State::kExchange: forward_->on_client_gone(); return;  // which aborts and closes
    case State::kHead:
    case State::kFlushing:
    case State::kLingering: break;
  }
  state_ = State::kClosed;
  all_node.unlink();
  close_channel(false);
  reactor_.reap(*this);
}

}  // namespace sluice::proxy
