#include "proxy/forward.h"

#include "core/check.h"
#include "proxy/endpoint.h"
#include "proxy/worker.h"

namespace sluice::proxy {

Forward::~Forward() {
  CHECK(upstream_ == nullptr && endpoint_ == nullptr && record_ == nullptr);
}

void Forward::feed(const Event& event) {
  ++depth_;
  run(step(exchange_, event));
  // Built bytes go out once nothing more is about to join them.
  if (--depth_ == 0) {
    if (upstream_ != nullptr) upstream_->flush();
    client_.flush();
  }
}

void Forward::on_request_head(const http1::Head& head, bool end) {
  exchange_ = Exchange();
  exchange_.idempotent = http1::is_idempotent(head.method);
  tried_count_ = 0;
  response_bytes_ = 0;
  status_ = 0;
  begin_ms_ = worker_.reactor().now_ms();
  service_ = ServiceStats::Slot::kNone;
  head_ = &head;
  record_ = worker_.access().open(&head, client_.facts().tls);
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

void Forward::on_upstream_failed(uint16_t status) {
  leave_upstream(false);
  feed({.kind = EventKind::kUpstreamFailed, .code = status});
}

void Forward::on_interim(const http1::Head& head) {
  head_ = &head;
  feed({.kind = EventKind::kInterim});
  head_ = nullptr;
}

void Forward::on_response_head(const http1::Head& head, bool end) {
  head_ = &head;
  status_ = head.status;
  feed({.kind = EventKind::kResponseHead, .end = end});
  head_ = nullptr;
}

void Forward::on_upgraded(const http1::Head& head) {
  head_ = &head;
  status_ = head.status;
  feed({.kind = EventKind::kUpgraded});
  head_ = nullptr;
}

void Forward::run(const Actions& actions) {
  for (uint8_t i = 0; i < actions.count; ++i) {
    switch (actions.list[i]) {
      case Action::kConnect: connect(); break;
      case Action::kSendRequestHead:
        break;  // built when the endpoint was chosen; flushed after this
      case Action::kPumpRequest: pump_request(); break;
      case Action::kEndRequest:
        upstream_->end_body(exchange_.request_ended ? client_.trailers() : std::string_view());
        upstream_->await_response();
        break;
      case Action::kSendInterim: client_.send_interim(*head_); break;
      case Action::kSendResponseHead: client_.send_head(*head_); break;
      case Action::kPumpResponse: pump_response(); break;
      case Action::kEndResponse: client_.end_body(upstream_->trailers()); break;
      case Action::kAnswer:
        status_ = actions.status;
        response_bytes_ = client_.answer({actions.status, location_, no_route_});
        location_ = {};
        no_route_ = false;
        break;
      case Action::kAbortClient: client_.abort(); break;
      case Action::kReleaseUpstream: leave_upstream(true); break;
      case Action::kCloseUpstream: leave_upstream(false); break;
      case Action::kTunnel: tunnel(); break;
      case Action::kFinish: finish(); break;
    }
  }
}

void Forward::connect() {
  const bool again = exchange_.attempts > 1;
  if (again) client_.rewind();
  const http1::Head& head = again ? client_.request_head() : *head_;
  const RouteDecision decision = worker_.route(client_, head, {tried_.data(), tried_count_});
  if (decision.endpoint == nullptr) {
    location_ = decision.location;
    no_route_ = decision.no_route;
    // Another try without another endpoint says what the last one said, not what routing says.
    feed({.kind = EventKind::kRefused, .code = again ? uint16_t{502} : decision.refuse});
    return;
  }
  if (tried_count_ < tried_.size()) tried_[tried_count_++] = decision.endpoint;
  endpoint_ = decision.endpoint;
  service_ = worker_.services().slot(decision.service);
  if (record_ != nullptr) worker_.note_route(record_, &head, decision);
  const Worker::Opened opened = worker_.open_upstream(*endpoint_, *this);
  upstream_ = opened.stream;
  if (upstream_ == nullptr) {
    on_upstream_failed(502);
    return;
  }
  const RequestEdit edit{decision.path, decision.host, decision.stripped_prefix};
  if (!upstream_->build_head(head, edit, client_.facts())) {
    leave_upstream(false);
    feed({.kind = EventKind::kRefused, .code = 431});
    return;
  }
  if (opened.ready) feed({.kind = EventKind::kUpstreamReady});
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
      // An answer may still wait behind the refusal to take more; reading finds it, or the end.
      case Spliced::kSinkLost: return on_upstream_gone(502);
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
  const bool moved = tunnel != nullptr && client_.move_to(*tunnel) && upstream_->move_to(*tunnel);
  if (!moved) {
    worker_.access().close(record_, client_.facts(), 502, 0);
    record_ = nullptr;
    if (tunnel != nullptr) tunnel->close(true);
    client_.abort();
    leave_upstream(false);
    return;
  }
  upstream_ = nullptr;
  tunnel->begin(*endpoint_, record_, service_);
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
  client_.finish();
}

}  // namespace sluice::proxy
