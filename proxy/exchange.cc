#include "proxy/exchange.h"

#include "core/check.h"

namespace sluice::proxy {

namespace {

void add(Actions& actions, Action action) {
  CHECK(actions.count < Actions::kMax);
  actions.list[actions.count++] = action;
}

// A final answer of our own. The request's rest, if there is one, is not wanted any more.
void answer(Exchange& x, Actions& actions, uint16_t status) {
  if (!x.request_ended) x.request = RequestState::kStopped;
  x.response = ResponseState::kDone;
  actions.status = status;
  add(actions, Action::kAnswer);
  add(actions, Action::kFinish);
}

// The present upstream is lost and the client has seen nothing of a response: once more, or say so.
//
// Nothing sent: safe for every request. Sent: only for an idempotent one whose bytes are all kept
// (RFC 9110 9.2.2); that also covers the keep-alive race, where the upstream closed an idle
// connection just as we wrote to it.
void retry_or_answer(Exchange& x, Actions& actions, uint16_t status) {
  const bool safe = !x.head_sent || (x.idempotent && x.replayable);
  if (safe && x.attempts < Exchange::kMaxAttempts) {
    x.request = RequestState::kConnecting;
    x.head_sent = false;
    add(actions, Action::kConnect);
    ++x.attempts;
    return;
  }
  answer(x, actions, status);
}

void on_upstream_ready(Exchange& x, Actions& actions, bool fresh) {
  x.fresh = fresh;
  x.head_sent = true;
  add(actions, Action::kSendRequestHead);
  if (x.request_ended) {
    x.request = RequestState::kSent;
    add(actions, Action::kEndRequest);
  } else {
    x.request = RequestState::kStreaming;
    add(actions, Action::kPumpRequest);
  }
}

void on_upstream_gone(Exchange& x, Actions& actions, uint16_t status) {
  add(actions, Action::kCloseUpstream);
  switch (x.response) {
    case ResponseState::kNone: retry_or_answer(x, actions, status); return;
    case ResponseState::kStreaming:
      x.response = ResponseState::kAborted;
      add(actions, Action::kCutResponse);
      add(actions, Action::kFinish);
      return;
    case ResponseState::kDone:
    case ResponseState::kAborted: return;
  }
}

void on_response_end(Exchange& x, Actions& actions) {
  x.response = ResponseState::kDone;
  add(actions, Action::kEndResponse);
  if (x.request == RequestState::kSent) {
    add(actions, Action::kReleaseUpstream);
  } else {
    // The answer came before all of the request went: the upload ends here.
    x.request = RequestState::kStopped;
    add(actions, Action::kCloseUpstream);
  }
  add(actions, Action::kFinish);
}

}  // namespace

Actions step(Exchange& x, const Event& event) {
  Actions actions;
  if (x.over()) return actions;
  switch (event.kind) {
    case EventKind::kRequestHead:
      CHECK(x.request == RequestState::kNone);
      x.request = RequestState::kConnecting;
      x.request_ended = event.end;
      x.attempts = 1;
      add(actions, Action::kConnect);
      break;
    case EventKind::kRequestData:
    case EventKind::kUpstreamCredit:
      if (x.request == RequestState::kStreaming) add(actions, Action::kPumpRequest);
      break;
    case EventKind::kRequestEnd:
      x.request_ended = true;
      if (x.request == RequestState::kStreaming) {
        x.request = RequestState::kSent;
        add(actions, Action::kEndRequest);
      }
      break;
    case EventKind::kRequestBad:
      // Part of the request is out already, so the upstream must see that it is cut off.
      add(actions, Action::kCloseUpstream);
      if (x.response == ResponseState::kNone) {
        answer(x, actions, event.code);
      } else {
        x.request = RequestState::kStopped;
        x.response = ResponseState::kAborted;
        add(actions, Action::kAbortClient);
        add(actions, Action::kFinish);
      }
      break;
    case EventKind::kClientGone:
      x.request = RequestState::kStopped;
      x.response = ResponseState::kAborted;
      add(actions, Action::kCloseUpstream);
      add(actions, Action::kAbortClient);
      add(actions, Action::kFinish);
      break;
    case EventKind::kClientCredit:
    case EventKind::kResponseData:
      if (x.response == ResponseState::kStreaming) add(actions, Action::kPumpResponse);
      break;
    case EventKind::kRefused: answer(x, actions, event.code); break;
    case EventKind::kUpstreamReady:
      CHECK(x.request == RequestState::kConnecting);
      on_upstream_ready(x, actions, event.fresh);
      break;
    case EventKind::kUpstreamFailed:
      CHECK(x.request == RequestState::kConnecting && !x.head_sent);
      retry_or_answer(x, actions, event.code);
      break;
    case EventKind::kInterim:
      if (x.response == ResponseState::kNone) add(actions, Action::kSendInterim);
      break;
    case EventKind::kResponseHead:
      CHECK(x.response == ResponseState::kNone);
      x.response = ResponseState::kStreaming;
      add(actions, Action::kSendResponseHead);
      if (event.end) {
        on_response_end(x, actions);
      } else {
        add(actions, Action::kPumpResponse);
      }
      break;
    case EventKind::kResponseEnd: on_response_end(x, actions); break;
    case EventKind::kUpgraded:
      if (x.request != RequestState::kSent) {
        // What is left of the body would go on as bytes of the new protocol.
        x.replayable = false;
        on_upstream_gone(x, actions, 502);
        break;
      }
      x.response = ResponseState::kDone;
      add(actions, Action::kSendResponseHead);
      add(actions, Action::kTunnel);
      break;
    case EventKind::kUpstreamGone:
      if (event.unsent && x.replayable) x.head_sent = false;
      on_upstream_gone(x, actions, event.code);
      break;
    case EventKind::kResponseBad:
    case EventKind::kTimeout:
      // That was an answer, or waiting for one: neither is done a second time.
      x.replayable = false;
      on_upstream_gone(x, actions, event.code);
      break;
  }
  return actions;
}

}  // namespace sluice::proxy
