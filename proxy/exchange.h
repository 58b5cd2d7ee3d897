// Exchange: one request and its response as two state machines, and nothing else: no socket, no
// clock, no memory. step() takes what happened and says what to do; proxy/forward.h does it.
//
// An exchange is one stream; a connection has none or many of them, so HTTP/1 and HTTP/2 on either
// side look the same from here. Backpressure is credit: the sink of a direction says when it takes
// more.
//
// Owner: a Forward. Thread: any; pure.
#pragma once

#include <array>
#include <cstdint>

namespace sluice::proxy {

enum class RequestState : uint8_t {
  kNone,        // no head yet
  kConnecting,  // the head is here; an upstream stream is being found or opened
  kStreaming,   // the head was sent; the body follows as it comes
  kSent,        // all of it was sent
  kStopped,     // the upload ended early: the rest is read and dropped, or the connection closes
};

enum class ResponseState : uint8_t {
  kNone,       // nothing but interim heads yet
  kStreaming,  // the head was sent to the client
  kDone,       // all of it was sent, or an answer of our own
  kAborted,    // cut off: the client must be able to see that it is not whole
};

enum class EventKind : uint8_t {
  kRequestHead,     // end: no body follows
  kRequestData,     // body bytes wait at the client's side
  kRequestEnd,      // the last body byte was passed on
  kRequestBad,      // the body's framing is broken, it is too large or too slow; code: the status
  kClientGone,      // reset by the client, or its stream failed
  kClientCredit,    // the client takes bytes again
  kRefused,         // routing says no: code is the status to answer
  kUpstreamReady,   // a stream is open; fresh: on a connection that has served nothing before
  kUpstreamFailed,  // no stream could be opened, so nothing was sent; code: status if nobody else
                    // helps
  kUpstreamCredit,
  kInterim,       // a 1xx head other than 101
  kResponseHead,  // end: no body follows
  kResponseData,
  kResponseEnd,   // the last body byte was passed on
  kUpgraded,      // 101: both directions are raw from here on
  kUpstreamGone,  // closed or reset before the response was whole
  kResponseBad,   // the response is malformed
  kTimeout,       // code: the status for it
};

struct Event {
  EventKind kind;
  bool end = false;
  bool fresh = false;
  bool unsent = false;  // of kUpstreamGone: not one byte of the request has left
  uint16_t code = 0;
};

enum class Action : uint8_t {
  kConnect,  // find a stream to an endpoint not tried yet
  kSendRequestHead,
  kPumpRequest,  // pass on body bytes while there are some and credit lasts
  kEndRequest,
  kSendInterim,
  kSendResponseHead,
  kPumpResponse,
  kEndResponse,
  kAnswer,           // our own final answer; Actions::status
  kCutResponse,      // the client gets what came, and an end that shows that part is missing
  kAbortClient,      // close so that it shows
  kReleaseUpstream,  // its stream is over; the connection may serve another
  kCloseUpstream,
  kTunnel,  // join the two connections
  kFinish,  // the exchange is over
};

struct Actions {
  static constexpr uint8_t kMax = 4;
  std::array<Action, kMax> list;
  uint8_t count = 0;
  uint16_t status = 0;
};

struct Exchange {
  static constexpr uint8_t kMaxAttempts = 3;

  RequestState request = RequestState::kNone;
  ResponseState response = ResponseState::kNone;
  uint8_t attempts = 0;        // endpoints tried
  bool request_ended = false;  // no body, or all of it was passed on
  bool idempotent = false;     // set with the head
  bool replayable = true;  // every byte sent upstream is still kept; whoever drops bytes clears it
  bool head_sent = false;  // to the present upstream
  bool fresh = false;      // the present upstream connection had served nothing before

  bool over() const {
    return response == ResponseState::kDone || response == ResponseState::kAborted;
  }
};

Actions step(Exchange& exchange, const Event& event);

}  // namespace sluice::proxy
