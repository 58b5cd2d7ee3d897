#include "proxy/forward.h"

#include "core/check.h"
#include "proxy/endpoint.h"
#include "proxy/worker.h"

namespace sluice::proxy {

Forward::~Forward() {
  CHECK(upstream_ == nullptr && endpoint_ == nullptr && record_ == nullptr && aside_ == nullptr);
}

void Forward::destroy() {
  worker_.free(*this);
}

void Forward::feed(const Event& event) {
  ++depth_;
  run(step(exchange_, event));
  flush();
}

// Built bytes go out once nothing more is about to join them.
void Forward::flush() {
  if (--depth_ != 0) return;
  if (upstream_ != nullptr) upstream_->flush();
  client_.flush();
}

void Forward::on_request_head(const http1::Head& head, bool end) {
  exchange_ = Exchange();
  exchange_.idempotent = http1::is_idempotent(head.method);
  tried_count_ = 0;
  response_bytes_ = 0;
  status_ = 0;
  begin_ms_ = worker_.reactor().now_ms();
  service_ = ServiceStats::Slot::kNone;
  stale_ = false;
  worker_.retry_budget().earn();
  head_ = &head;
  record_ = worker_.access().open(head, client_.facts());
  feed({.kind = EventKind::kRequestHead, .end = end});
  head_ = nullptr;
}

void Forward::before_move() {
  worker_.access().keep(record_);
}

void Forward::on_client_gone() {
  if (exchange_.response == ResponseState::kNone) status_ = 499;
  feed({.kind = EventKind::kClientGone});
}

void Forward::note_failure() {
  if (endpoint_ != nullptr) worker_.note_failure(*endpoint_);
}

void Forward::note_success() {
  if (endpoint_ != nullptr) endpoint_->note_success(worker_.reactor().now_ms());
}

void Forward::on_upstream_failed(uint16_t status) {
  note_failure();
  failed_status_ = status;
  leave_upstream(false);
  feed({.kind = EventKind::kUpstreamFailed, .code = status});
}

void Forward::on_upstream_gone(uint16_t status, bool unsent) {
  failed_status_ = status;
  stale_ = false;
  if (exchange_.response == ResponseState::kNone && !exchange_.over()) {
    // A connection that was kept for a while may be closed just as we write to it, which says
    // nothing of the endpoint: it is asked again, on a new one.
    stale_ = upstream_ != nullptr && !exchange_.fresh;
    if (!stale_) {
      note_failure();
    } else if (tried_count_ > 0 && tried_[tried_count_ - 1] == endpoint_) {
      --tried_count_;
    }
  }
  feed({.kind = EventKind::kUpstreamGone, .unsent = unsent, .code = status});
}

void Forward::on_response_bad() {
  note_failure();
  feed({.kind = EventKind::kResponseBad, .code = 502});
}

void Forward::on_timeout(uint16_t status) {
  if (exchange_.response == ResponseState::kNone) note_failure();
  feed({.kind = EventKind::kTimeout, .code = status});
}

void Forward::on_interim(const http1::Head& head) {
  head_ = &head;
  feed({.kind = EventKind::kInterim});
  head_ = nullptr;
}

void Forward::on_response_head(const http1::Head& head, bool end) {
  head_ = &head;
  status_ = head.status;
  // 502 to 504 of an upstream are a gateway's words, whoever's.
  if (head.status >= 502 && head.status <= 504) {
    note_failure();
  } else {
    note_success();
  }
  feed({.kind = EventKind::kResponseHead, .end = end});
  head_ = nullptr;
}

void Forward::on_upgraded(const http1::Head& head) {
  head_ = &head;
  status_ = head.status;
  note_success();
  feed({.kind = EventKind::kUpgraded});
  head_ = nullptr;
}

void Forward::run(const Actions& actions) {
  for (uint8_t i = 0; i < actions.count; ++i) {
    switch (actions.list[i]) {
      case Action::kConnect:
        if (exchange_.attempts == 1) {
          connect();
        } else {
          retry();
        }
        break;
      case Action::kSendRequestHead:
        break;  // built when the endpoint was chosen; flushed after this
      case Action::kPumpRequest: pump_request(); break;
      case Action::kEndRequest:
        upstream_->end_body(exchange_.request_ended ? client_.trailers() : std::string_view());
        upstream_->await_response();
        break;
      case Action::kSendInterim: client_.send_interim(*head_); break;
      case Action::kSendResponseHead:
        if (aside_ == nullptr) {
          client_.send_head(*head_, {}, 0);
        } else {
          client_.send_head(*head_, aside_->cookie, aside_->cookie_id);
        }
        break;
      case Action::kPumpResponse: pump_response(); break;
      case Action::kEndResponse: client_.end_body(upstream_->trailers()); break;
      case Action::kAnswer:
        status_ = actions.status;
        response_bytes_ = client_.answer({actions.status, detail_, no_route_});
        detail_ = {};
        no_route_ = false;
        break;
      case Action::kCutResponse: client_.cut(); break;
      case Action::kAbortClient: client_.abort(); break;
      case Action::kReleaseUpstream: leave_upstream(true); break;
      case Action::kCloseUpstream: leave_upstream(false); break;
      case Action::kTunnel: tunnel(); break;
      case Action::kFinish: finish(); break;
    }
  }
}

Forward::Spliced Forward::splice(BodyStream& source, BodyStream& sink, Splicer& splicer,
                                 uint64_t& written) {
  Channel* from = nullptr;
  Channel* to = nullptr;
  uint64_t left = 0;
  // Bytes in the pipe go first whatever else is; the source is asked only once it is empty.
  if (splicer.held() == 0) {
    switch (source.splice_from(BodyStream::kSpliceBytes, from, left)) {
      case BodyStream::Splice::kYes: break;
      case BodyStream::Splice::kNo: return Spliced::kCopy;
      case BodyStream::Splice::kLater: return Spliced::kWait;
    }
  }
  switch (sink.splice_to(to)) {
    case BodyStream::Splice::kYes: break;
    case BodyStream::Splice::kNo: return splicer.held() == 0 ? Spliced::kCopy : Spliced::kSinkLost;
    case BodyStream::Splice::kLater: return Spliced::kWait;
  }
  const Splicer::Result moved = splicer.move(worker_.pipes(), from, *to, left);
  written += moved.written;
  source.spliced(moved.read, moved.outcome == Splicer::Outcome::kEnd);
  switch (moved.outcome) {
    case Splicer::Outcome::kMoved: return Spliced::kGoOn;
    case Splicer::Outcome::kWaitFrom: return Spliced::kWait;
    case Splicer::Outcome::kWaitTo: sink.splice_blocked(); return Spliced::kWait;
    case Splicer::Outcome::kEnd: return Spliced::kCopy;  // where pull() says what the end means
    case Splicer::Outcome::kNoPipe: return Spliced::kCopy;
    case Splicer::Outcome::kFromFailed: return Spliced::kSourceLost;
    case Splicer::Outcome::kToFailed: return Spliced::kSinkLost;
  }
  return Spliced::kCopy;
}

void Forward::pump_request() {
  uint64_t written = 0;
  for (;;) {
    switch (splice(client_, *upstream_, up_, written)) {
      case Spliced::kGoOn: continue;
      case Spliced::kWait: return;
      case Spliced::kCopy: break;
      case Spliced::kSourceLost: return on_client_gone();
      // An answer may still wait behind the refusal to take more: what the client sends is dropped
      // until reading has found it, or the end.
      case Spliced::kSinkLost:
        up_.drop(worker_.pipes());
        upstream_->splice_failed();
        break;
    }
    switch (client_.pull()) {
      case BodyStream::Source::kData: {
        const size_t taken = upstream_->write_body(client_.peek());
        client_.pass(taken);
        if (taken == 0) return;
        break;
      }
      case BodyStream::Source::kWait: return;
      case BodyStream::Source::kEnded: feed({.kind = EventKind::kRequestEnd}); return;
      case BodyStream::Source::kBad: on_request_bad(400); return;
      case BodyStream::Source::kTooLarge: on_request_bad(413); return;
      case BodyStream::Source::kLost: on_client_gone(); return;
    }
  }
}

void Forward::pump_response() {
  for (;;) {
    switch (splice(*upstream_, client_, down_, response_bytes_)) {
      case Spliced::kGoOn: continue;
      case Spliced::kWait: return;
      case Spliced::kCopy: break;
      case Spliced::kSourceLost: return on_upstream_gone(502);
      case Spliced::kSinkLost: return on_client_gone();
    }
    switch (upstream_->pull()) {
      case BodyStream::Source::kData: {
        const size_t taken = client_.write_body(upstream_->peek());
        response_bytes_ += taken;
        upstream_->pass(taken);
        if (taken == 0) return;
        break;
      }
      case BodyStream::Source::kWait: return;
      case BodyStream::Source::kEnded: feed({.kind = EventKind::kResponseEnd}); return;
      case BodyStream::Source::kTooLarge:
      case BodyStream::Source::kBad: on_response_bad(); return;
      case BodyStream::Source::kLost: on_upstream_gone(502); return;
    }
  }
}

void Forward::tunnel() {
  Tunnel* tunnel = worker_.make_tunnel();
  worker_.access().keep_without_pin(record_);
  const SocketAddress peer = client_.facts().peer;
  const bool client_moved = tunnel != nullptr && client_.move_to(*tunnel);
  const bool moved = client_moved && upstream_->move_to(*tunnel);
  if (!moved) {
    worker_.access().close(record_, client_.facts(), 502, 0);
    record_ = nullptr;
    if (tunnel != nullptr) tunnel->close(true);
    leave_upstream(false);
    drop_aside();
    // A client whose socket has moved is the tunnel's, and closed with it.
    if (!client_moved) {
      client_.abort();
      client_.finish();
    }
    return;
  }
  upstream_ = nullptr;
  Ref<RouteLimits> entered;
  uint64_t address_hash = 0;
  if (aside_ != nullptr) {
    entered = std::move(aside_->entered);
    address_hash = aside_->address_hash;
  }
  tunnel->begin(*endpoint_, record_, service_, peer, std::move(entered), address_hash);
  drop_aside();
  endpoint_ = nullptr;
  record_ = nullptr;
}

void Forward::leave_upstream(bool reusable) {
  if (upstream_ != nullptr) {
    if (reusable) {
      upstream_->flush();
      upstream_->release();
    } else {
      upstream_->close();
    }
    upstream_ = nullptr;
  }
  if (endpoint_ != nullptr) {
    endpoint_->end();
    endpoint_ = nullptr;
  }
}

void Forward::finish() {
  up_.drop(worker_.pipes());
  down_.drop(worker_.pipes());
  worker_.access().close(record_, client_.facts(), status_, response_bytes_);
  record_ = nullptr;
  worker_.services().count_answer(service_, status_, worker_.reactor().now_ms() - begin_ms_);
  leave_upstream(false);
  drop_aside();
  client_.finish();
}

}  // namespace sluice::proxy
