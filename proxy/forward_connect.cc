// Forward's first half: from a request's head to a stream to an endpoint, with all that may be
// asked of it on the way: credentials, limits, a queue, another try.
#include "proxy/forward.h"
#include "proxy/worker.h"

namespace sluice::proxy {

Aside& Forward::aside() {
  if (aside_ == nullptr) aside_ = &worker_.make_aside(*this);
  return *aside_;
}

void Forward::drop_aside() {
  if (aside_ == nullptr) return;
  worker_.waiters().leave(*aside_);
  if (aside_->check != nullptr) aside_->check->forward = nullptr;
  if (aside_->entered) {
    aside_->entered->leave(aside_->address_hash);
    worker_.waiters().wake();
  }
  worker_.free(*aside_);
  aside_ = nullptr;
}

void Forward::retry() {
  client_.rewind();
  if (!stale_ && !worker_.retry_budget().spend(worker_.reactor().now_ms())) {
    return refuse(failed_status_);
  }
  worker_.counters().retries += 1;
  head_ = &client_.request_head();
  connect();
  head_ = nullptr;
}

RouteDecision Forward::route(const http1::Head& head) {
  RouteQuery query{head, client_.facts(), {tried_.data(), tried_count_}};
  if (aside_ != nullptr) {
    query.authorised = aside_->authorised;
    query.entered = aside_->entered.get();
  }
  return worker_.route(query);
}

// Finds an endpoint and a stream to it. True: it cannot yet, and goes on later.
bool Forward::connect() {
  const http1::Head& head = *head_;
  RouteDecision decision = route(head);
  if (!decision.service.empty()) service_ = worker_.services().slot(decision);
  switch (pass_auth(head, decision)) {
    case Gate::kOpen: break;
    case Gate::kLater: return true;
    case Gate::kAnswered: return false;
  }
  take_limits(decision);
  if (decision.wait) return wait_for_endpoint(decision);
  if (aside_ != nullptr) worker_.waiters().leave(*aside_);
  if (decision.endpoint == nullptr) {
    detail_ = decision.location;
    no_route_ = decision.no_route;
    // Another try without another endpoint says what the last one said, not what routing says.
    refuse(exchange_.attempts > 1 ? failed_status_ : decision.refuse);
    return false;
  }
  open_stream(head, decision);
  return false;
}

Forward::Gate Forward::pass_auth(const http1::Head& head, RouteDecision& decision) {
  // A table that changes meanwhile may ask for another scheme; it does not do so for ever.
  constexpr int kTries = 4;
  for (int i = 0; i < kTries && !decision.auth.empty(); ++i) {
    if (worker_.auth() == nullptr) break;
    const AuthGate::Answer answer = worker_.auth()->check(decision.auth, head, *this);
    switch (answer.verdict) {
      case AuthGate::Verdict::kGood:
        aside().authorised = answer.scheme->name;
        decision = route(head);
        continue;
      case AuthGate::Verdict::kBad:
        if (answer.scheme != nullptr) detail_ = answer.scheme->challenge;
        refuse(401);
        return Gate::kAnswered;
      case AuthGate::Verdict::kLater: aside().check = answer.check; return Gate::kLater;
      case AuthGate::Verdict::kBusy: refuse(503); return Gate::kAnswered;
    }
  }
  if (decision.auth.empty()) return Gate::kOpen;
  refuse(401);
  return Gate::kAnswered;
}

void Forward::take_limits(const RouteDecision& decision) {
  if (decision.limits == nullptr) return;
  Aside& mine = aside();
  if (mine.entered.get() == decision.limits) return;
  if (mine.entered) mine.entered->leave(mine.address_hash);
  mine.entered = Ref<RouteLimits>::share(const_cast<RouteLimits*>(decision.limits));
  mine.address_hash = decision.address_hash;
}

bool Forward::wait_for_endpoint(const RouteDecision& decision) {
  if (aside_->waits_for) return true;
  const Timeouts& timeouts = worker_.options().timeouts;
  const bool asleep = decision.limits->options().wakes;
  const int64_t until_ms =
      worker_.reactor().now_ms() + (asleep ? timeouts.wake_ms : timeouts.queue_ms);
  if (worker_.waiters().join(*aside_, *decision.limits, until_ms)) return true;
  refuse(503);
  return false;
}

bool Forward::on_wait_over() {
  ++depth_;
  head_ = &client_.request_head();
  const bool waits = connect();
  head_ = nullptr;
  flush();
  return waits;
}

void Forward::on_wait_timeout() {
  worker_.waiters().leave(*aside_);
  refuse(503);
}

void Forward::on_password_checked() {
  aside_->check = nullptr;
  on_wait_over();
}

void Forward::open_stream(const http1::Head& head, const RouteDecision& decision) {
  if (tried_count_ < tried_.size()) tried_[tried_count_++] = decision.endpoint;
  endpoint_ = decision.endpoint;
  if (!decision.cookie.empty()) {
    aside().pin = worker_.pin();
    aside().cookie = decision.cookie;
    aside().cookie_id = decision.cookie_id;
  } else if (aside_ != nullptr) {
    aside_->cookie = {};
  }
  RequestEdit edit{decision.path, decision.host, decision.stripped_prefix, {}};
  char request_id[Worker::kRequestIdBytes];
  if (!worker_.options().headers.request_id.empty()) {
    if (aside().request_number == 0) aside().request_number = worker_.next_request_number();
    worker_.write_request_id(aside().request_number, request_id);
    edit.request_id = {request_id, sizeof request_id};
  }
  if (record_ != nullptr) worker_.note_route(record_, &head, decision);
  const Worker::Reuse reuse = stale_                 ? Worker::Reuse::kNone
                              : exchange_.idempotent ? Worker::Reuse::kAny
                                                     : Worker::Reuse::kChecked;
  const Worker::Opened opened = worker_.open_upstream(*endpoint_, *this, reuse);
  upstream_ = opened.stream;
  if (upstream_ == nullptr) {
    // No descriptor, no port, no memory: that is ours, and not the endpoint's.
    failed_status_ = 502;
    leave_upstream(false);
    feed({.kind = EventKind::kUpstreamFailed, .code = 502});
    return;
  }
  if (!upstream_->build_head(head, edit, client_.facts())) {
    leave_upstream(false);
    refuse(431);
    return;
  }
  if (opened.ready) feed({.kind = EventKind::kUpstreamReady, .fresh = opened.fresh});
}

}  // namespace sluice::proxy
