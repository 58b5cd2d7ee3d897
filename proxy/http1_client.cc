#include "proxy/http1_client.h"

#include <utility>

#include "core/check.h"
#include "proxy/compress.h"
#include "proxy/worker.h"

namespace sluice::proxy {

Http1Client::Http1Client(Worker& worker, const SocketAddress& peer, const ListenerInfo& listener)
    : Http1Io(worker.reactor()), worker_(worker), timeouts_(listener.timeouts) {
  facts_.peer = peer;
  facts_.listener_port = listener.port;
  facts_.tls = listener.tls;
  facts_.trusted = contains(worker.options().trusted, peer);
}

bool Http1Client::start(Socket socket, std::unique_ptr<tls::Session> tls) {
  if (!channel_.open(reactor_, std::move(socket), *this, Channel::Start::kConnected)) return false;
  arm(tls ? timeouts_.handshake_ms : timeouts_.head_ms);
  channel_.start_tls(std::move(tls));
  return true;
}

bool Http1Client::start(Channel& channel, std::string_view bytes,
                        std::unique_ptr<tls::Session> tls) {
  if (tls ? !tls->feed(bytes) : !in_.append(bytes)) return false;
  channel_.take(reactor_, channel, *this);
  arm(tls ? timeouts_.handshake_ms : timeouts_.head_ms);
  channel_.start_tls(std::move(tls));
  reactor_.resume_later(*this);
  return true;
}

void Http1Client::on_ready(Ready ready) {
  start_turn();
  const bool was_blocked = blocked_;
  note(ready);
  if (was_blocked && !blocked_ && push()) {
    if (state_ == State::kFlushing) {
      next_or_close();
    } else if (state_ == State::kExchange) {
      forward_->on_client_credit();
    }
  }
  switch (state_) {
    case State::kHead: read_head(); break;
    case State::kExchange:
      if (ready.error) {
        forward_->on_client_gone();
      } else if (channel_.readable() && !forward_->exchange().request_ended) {
        forward_->on_request_data();
      }
      break;
    case State::kFlushing:
      if (ready.error) close();
      break;
    case State::kLingering: {
      // Read and dropped, so that closing sends no reset that would take the answer back.
      const Fill got = fill(1);
      in_.clear();
      in_.release_if_empty();
      if (got == Fill::kEnd || got == Fill::kFailed) close();
      if (got == Fill::kGot) reactor_.resume_later(*this);
      break;
    }
    case State::kClosed: break;
  }
  if (channel_.closed() && state_ == State::kExchange) [[unlikely]]
    watch_half_closed();
}

void Http1Client::on_resume() {
  on_ready({.readable = false, .writable = false, .closed = false, .error = write_failed_});
}

void Http1Client::read_head() {
  for (;;) {
    if (!in_.empty()) {
      http1::Head& head = worker_.scratch_head();
      const bool started = reader_.started();
      const http1::ReadResult result =
          reader_.read_request(in_.view(), worker_.options().head, head);
      if (result.state == http1::ReadState::kDone) return begin(head);
      if (result.state == http1::ReadState::kBad) return refuse(result.status, nullptr);
      if (!started) arm(timeouts_.head_ms);
    }
    switch (fill_head()) {
      case Fill::kGot: break;
      case Fill::kWait: return;
      case Fill::kFailed: answer_plain_http(); return close();
      case Fill::kEnd:
      case Fill::kFull: return close();
    }
  }
}

void Http1Client::begin(const http1::Head& head) {
  reader_.reset();
  if (channel_.tls() != nullptr) {
    facts_.tls_version = channel_.tls()->version();
    facts_.tls_cipher = channel_.tls()->cipher();
  }
  if (head.method == http1::Method::kConnect) return refuse(405, &head);
  body_bytes_ = 0;
  half_closed_ = false;
  if (!worker_.admit_request(facts_.peer)) return refuse(429, &head);
  if (head.framing == http1::Framing::kLength && too_large(head.content_length)) {
    return refuse(413, &head);
  }
  reactor_.timers().disarm(*this);
  worker_.counters().requests += 1;
  served_ = true;
  state_ = State::kExchange;
  head_size_ = head.size;
  head_dropped_ = false;
  framing_ = head.framing;
  minor_version_ = head.minor_version;
  head_only_ = head.method == http1::Method::kHead;
  keep_alive_ = head.keep_alive;
  last_ = !head.keep_alive;
  accepts_gzip_ = worker_.options().gzip_types != nullptr && accepts_gzip(head);
  start_body(framing_, head.content_length, head_size_);
  forward_ = worker_.make_forward(*this);
  if (forward_ == nullptr) return refuse(503, &head);
  forward_->on_request_head(head, framing_ == http1::Framing::kNone);
}

const http1::Head& Http1Client::request_head() {
  CHECK(!head_dropped_);
  http1::HeadReader reader;
  http1::Head& head = worker_.scratch_head();
  const http1::ReadResult result =
      reader.read_request(in_.view().substr(0, head_size_), worker_.options().head, head);
  CHECK(result.state == http1::ReadState::kDone);
  return head;
}

void Http1Client::rewind() {
  body_bytes_ = 0;
  source_.start(framing_, request_head().content_length, head_size_);
}

BodyStream::Source Http1Client::pull() {
  for (;;) {
    const std::string_view run = source_.peek(in_.view());
    if (!run.empty()) return too_large(run.size()) ? Source::kTooLarge : Source::kData;
    if (source_.ended()) return Source::kEnded;
    if (source_.bad()) return Source::kBad;
    const uint64_t left = source_.reader().payload_left();
    forward_->before_move();
    arm(timeouts_.client_ms);
    Fill got = fill(left > BufferPool::kSmallBytes ? BufferPool::kLargeBytes - in_.size() : 1);
    if (got == Fill::kFull) {
      // The request is too large to be kept for another try: from here on it only passes through.
      forward_->not_replayable();
      head_dropped_ = true;
      const uint32_t used = source_.used();
      in_.consume(used);
      source_.dropped(used);
      got = fill(BufferPool::kLargeBytes);
    }
    switch (got) {
      case Fill::kGot: break;
      case Fill::kWait: return Source::kWait;
      case Fill::kEnd:
      case Fill::kFailed:
      case Fill::kFull: return Source::kLost;
    }
  }
}

bool Http1Client::too_large(uint64_t more) const {
  const uint64_t max = worker_.options().max_body_bytes;
  return max != 0 && (more > max || body_bytes_ > max - more);
}

void Http1Client::spliced(uint64_t n, bool end) {
  // What never was in memory cannot be sent again.
  if (n > 0) forward_->not_replayable();
  body_bytes_ += n;
  arm(timeouts_.client_ms);
  Http1Io::spliced(n, end);
}

void Http1Client::splice_blocked() {
  Http1Io::splice_blocked();
  arm(timeouts_.client_write_ms);
}

void Http1Client::pass(size_t n) {
  source_.pass(n);
  body_bytes_ += n;
}

void Http1Client::send_interim(const http1::Head& head) {
  if (minor_version_ == 0) return;  // RFC 9110 15.2: a 1.0 client knows none
  const size_t room = out_.make_room(head.size + kAddedHeadBytes);
  HeadWriter writer(out_.room(), room);
  if (write_response_head(writer, head, {})) out_.commit(writer.size());
}

void Http1Client::send_head(const http1::Head& head, std::string_view cookie, uint64_t cookie_id) {
  ResponseEdit framing;
  if (facts_.tls) framing.sts = worker_.options().headers.sts;
  framing.cookie = cookie;
  framing.cookie_id = cookie_id;
  framing.secure = facts_.tls;
  const bool compressed = begin_compressed(head, framing);
  const bool until_close =
      !compressed && (head.framing == http1::Framing::kUntilClose ||
                      (head.framing == http1::Framing::kChunked && minor_version_ == 0));
  // An answer that comes before the upload has ended leaves bytes behind that nobody will read.
  if (until_close || worker_.draining() || !forward_->exchange().request_ended) keep_alive_ = false;
  framing.chunked = compressed || (head.framing == http1::Framing::kChunked && minor_version_ == 1);
  framing.close = !keep_alive_;
  framing.keep_alive_10 = keep_alive_ && minor_version_ == 0;
  const size_t room =
      out_.make_room(head.size + kAddedHeadBytes + framing.sts.size() + cookie.size());
  HeadWriter writer(out_.room(), room);
  if (!write_response_head(writer, head, framing)) return abort();
  out_.commit(writer.size());
  chunked_out_ = framing.chunked;
  until_close_ = until_close;
}

uint64_t Http1Client::write_answer(const Answer& answer, bool with_body) {
  const std::string_view page = answer.no_route ? worker_.no_route_page() : std::string_view();
  const std::string& sts = worker_.options().headers.sts;
  const size_t room = out_.make_room(answer.detail.size() + page.size() + sts.size() + 512);
  HeadWriter writer(out_.room(), room);
  const std::string_view reason = http1::reason_phrase(answer.status);
  const uint64_t body_size = page.empty() ? reason.size() + 5 : page.size();
  writer.add("HTTP/1.1 ");
  writer.add_number(answer.status);
  writer.add(" ");
  writer.add(reason);
  writer.add("\r\n");
  if (!answer.detail.empty()) {
    writer.header(answer.status == 401 ? "WWW-Authenticate" : "Location", answer.detail);
  }
  // RFC 9110 15.5.6 wants it; it is CONNECT that was refused, and of what that names nothing is
  // allowed.
  if (answer.status == 405) writer.add("Allow:\r\n");
  // How long a limit lasts nobody knows; a second is long enough not to come back as a flood.
  if (answer.status == 429 || answer.status == 503) writer.add("Retry-After: 1\r\n");
  if (facts_.tls && !sts.empty()) writer.header("Strict-Transport-Security", sts);
  writer.add(page.empty() ? "Content-Type: text/plain" : "Content-Type: text/html");
  writer.add("; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n");
  writer.add("Content-Length: ");
  writer.add_number(body_size);
  if (minor_version_ == 0 && keep_alive_) writer.add("\r\nConnection: keep-alive");
  writer.add(keep_alive_ ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n");
  if (with_body && !page.empty()) {
    writer.add(page);
  } else if (with_body) {
    writer.add_number(answer.status);
    writer.add(" ");
    writer.add(reason);
    writer.add("\n");
  }
  worker_.counters().answers += 1;
  if (!writer.ok()) {
    keep_alive_ = false;  // no memory for an answer: closing is one
    return 0;
  }
  out_.commit(writer.size());
  return with_body ? body_size : 0;
}

uint64_t Http1Client::answer(const Answer& answer) {
  if (!forward_->exchange().request_ended || worker_.draining()) keep_alive_ = false;
  chunked_out_ = false;
  return write_answer(answer, !head_only_);
}

void Http1Client::refuse(uint16_t status, const http1::Head* head) {
  upload_ended_ = false;
  keep_alive_ = false;
  chunked_out_ = false;
  const uint64_t size = write_answer({status, {}}, true);
  worker_.access().refused(facts_, head, status, size);
  worker_.services().count_answer(ServiceStats::Slot::kNone, status, 0);
  state_ = State::kFlushing;
  flush();
}

bool Http1Client::move_to(Tunnel& tunnel) {
  const bool fits =
      tunnel.add_head(out_.view()) && tunnel.add(Tunnel::kUp, in_.view().substr(source_.used()));
  if (!fits) return false;
  tunnel.adopt(Tunnel::kUp, channel_);
  moved_ = true;
  worker_.retire(*std::exchange(forward_, nullptr));
  state_ = State::kClosed;
  all_node.unlink();
  close_channel(false);
  reactor_.reap(*this);
  return true;
}

void Http1Client::finish() {
  // It is still on the stack: freed at the end of the turn.
  upload_ended_ = forward_->exchange().request_ended;
  worker_.retire(*std::exchange(forward_, nullptr));
  if (state_ == State::kClosed) return;
  state_ = State::kFlushing;
}

void Http1Client::flush() {
  const bool all = push();
  if (all && state_ == State::kFlushing) next_or_close();
  if (!all && state_ != State::kClosed) arm(timeouts_.client_write_ms);
}

void Http1Client::next_or_close() {
  if (!keep_alive_ || worker_.draining()) return linger();
  in_.consume(source_.used());
  in_.release_if_empty();
  state_ = State::kHead;
  reader_.reset();
  arm(timeouts_.keep_alive_ms);
  // A pipelined request waits its turn, so that one client does not nest another exchange in this
  // one.
  if (!in_.empty() || channel_.readable()) reactor_.resume_later(*this);
}

void Http1Client::on_timer() {
  switch (state_) {
    case State::kHead:
      if (reader_.started()) {
        refuse(408, nullptr);
      } else {
        close();
      }
      return;
    case State::kExchange:
      // The client neither sends what it owes nor takes what it is given. What the upstream owes is
      // timed there.
      if (blocked_) {
        forward_->on_client_gone();
      } else if (forward_->awaits_upload()) {
        forward_->on_request_bad(408);
      } else if (half_closed_) {
        on_half_closed_timer();
      }
      return;
    case State::kFlushing:
    case State::kLingering: close(); return;
    case State::kClosed: return;
  }
}

void Http1Client::destroy() {
  worker_.free(*this);
}

}  // namespace sluice::proxy
