#include "proxy/exchange.h"

#include <string>

#include "test/test.h"

namespace sluice::proxy {

namespace {

std::string names(const Actions& actions) {
  static const char* const kNames[] = {"connect", "head>",   "pump>", "end>",   "interim",
                                       "head<",   "pump<",   "end<",  "answer", "cut",
                                       "abort",   "release", "close", "tunnel", "finish"};
  std::string out;
  for (uint8_t i = 0; i < actions.count; ++i) {
    if (i > 0) out += ' ';
    out += kNames[static_cast<int>(actions.list[i])];
    if (actions.list[i] == Action::kAnswer) out += ":" + std::to_string(actions.status);
  }
  return out;
}

}  // namespace

TEST_CASE("an exchange without bodies") {
  Exchange x;
  EXPECT_EQ(names(step(x, {.kind = EventKind::kRequestHead, .end = true})), "connect");
  EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamReady})), "head> end>");
  EXPECT_EQ(names(step(x, {.kind = EventKind::kInterim})), "interim");
  EXPECT_EQ(names(step(x, {.kind = EventKind::kResponseHead, .end = true})),
            "head< end< release finish");
  EXPECT(x.over());
  EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamGone, .code = 502})), "");
}

TEST_CASE("retries: what is safe, how often, and what is said at last") {
  SUBCASE("nothing sent: any method, another endpoint, at most three") {
    Exchange x;
    step(x, {.kind = EventKind::kRequestHead});
    EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamFailed, .code = 502})), "connect");
    EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamFailed, .code = 504})), "connect");
    EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamFailed, .code = 504})),
              "answer:504 finish");
  }
  SUBCASE("sent: only what is idempotent and kept") {
    Exchange x;
    step(x, {.kind = EventKind::kRequestHead, .end = true});
    x.idempotent = true;
    step(x, {.kind = EventKind::kUpstreamReady});
    EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamGone, .code = 502})), "close connect");
    step(x, {.kind = EventKind::kUpstreamReady});
    x.replayable = false;
    EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamGone, .code = 502})),
              "close answer:502 finish");
  }
  SUBCASE("written to a connection that took not one byte: any method, while all is kept") {
    for (const bool kept : {true, false}) {
      Exchange x;
      step(x, {.kind = EventKind::kRequestHead});
      step(x, {.kind = EventKind::kUpstreamReady});
      x.replayable = kept;
      EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamGone, .unsent = true, .code = 502})),
                kept ? "close connect" : "close answer:502 finish");
    }
  }
  SUBCASE("sent and not idempotent: never") {
    Exchange x;
    step(x, {.kind = EventKind::kRequestHead, .end = true});
    step(x, {.kind = EventKind::kUpstreamReady});
    EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamGone, .code = 502})),
              "close answer:502 finish");
  }
  SUBCASE("a response that has begun is cut off, not repeated") {
    Exchange x;
    x.idempotent = true;
    step(x, {.kind = EventKind::kRequestHead, .end = true});
    step(x, {.kind = EventKind::kUpstreamReady});
    EXPECT_EQ(names(step(x, {.kind = EventKind::kResponseHead})), "head< pump<");
    EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamGone, .code = 502})), "close cut finish");
  }
  SUBCASE("a time limit is no reason to wait again") {
    Exchange x;
    x.idempotent = true;
    step(x, {.kind = EventKind::kRequestHead, .end = true});
    step(x, {.kind = EventKind::kUpstreamReady});
    EXPECT_EQ(names(step(x, {.kind = EventKind::kTimeout, .code = 504})),
              "close answer:504 finish");
  }
}

TEST_CASE("bodies, credit, and an answer before the upload's end") {
  Exchange x;
  step(x, {.kind = EventKind::kRequestHead});
  EXPECT_EQ(names(step(x, {.kind = EventKind::kRequestData})), "");
  EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamReady, .fresh = true})), "head> pump>");
  EXPECT_EQ(names(step(x, {.kind = EventKind::kRequestData})), "pump>");
  EXPECT_EQ(names(step(x, {.kind = EventKind::kUpstreamCredit})), "pump>");
  EXPECT_EQ(names(step(x, {.kind = EventKind::kClientCredit})), "");
  EXPECT_EQ(names(step(x, {.kind = EventKind::kResponseHead})), "head< pump<");
  EXPECT_EQ(names(step(x, {.kind = EventKind::kClientCredit})), "pump<");
  EXPECT_EQ(names(step(x, {.kind = EventKind::kResponseEnd})), "end< close finish");
  EXPECT(x.request == RequestState::kStopped);
}

TEST_CASE("what breaks on the client's side") {
  Exchange x;
  step(x, {.kind = EventKind::kRequestHead});
  step(x, {.kind = EventKind::kUpstreamReady});
  EXPECT_EQ(names(step(x, {.kind = EventKind::kRequestBad, .code = 400})),
            "close answer:400 finish");
  Exchange y;
  step(y, {.kind = EventKind::kRequestHead, .end = true});
  EXPECT_EQ(names(step(y, {.kind = EventKind::kClientGone})), "close abort finish");
  Exchange z;
  step(z, {.kind = EventKind::kRequestHead, .end = true});
  EXPECT_EQ(names(step(z, {.kind = EventKind::kRefused, .code = 404})), "answer:404 finish");
}

}  // namespace sluice::proxy
