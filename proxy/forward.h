// Forward: carries out an exchange: feeds step() with what happens at the two ends and does what it
// says.
//
// Owner: the client's stream, from its worker's slab while an exchange is under way. Thread: the
// reactor's. Allocates nothing.
#pragma once

#include <array>
#include <cstdint>

#include "core/http1.h"
#include "proxy/exchange.h"
#include "proxy/service_stats.h"
#include "proxy/splice.h"
#include "proxy/stream.h"

namespace sluice::proxy {

class Endpoint;
struct AccessRecord;
struct Aside;
struct RouteDecision;
class Worker;

class Forward final : public Reapable {
 public:
  Forward(Worker& worker, ClientStream& client) : worker_(worker), client_(client) {}
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;
  ~Forward();

  void destroy() override;

  // From the client's stream.
  void on_request_head(const http1::Head& head, bool end);
  void on_request_data() { feed({.kind = EventKind::kRequestData}); }
  void on_client_credit() { feed({.kind = EventKind::kClientCredit}); }
  void on_client_gone();
  /// The rest of the body will not come as it should.
  void on_request_bad(uint16_t status) { feed({.kind = EventKind::kRequestBad, .code = status}); }
  /// The request's bytes are about to move.
  void before_move();
  /// Bytes of the request were dropped: it cannot be sent again.
  void not_replayable() { exchange_.replayable = false; }

  // From the upstream stream.
  void on_upstream_ready(bool fresh) { feed({.kind = EventKind::kUpstreamReady, .fresh = fresh}); }
  void on_upstream_failed(uint16_t status);
  void on_upstream_credit() { feed({.kind = EventKind::kUpstreamCredit}); }
  void on_interim(const http1::Head& head);
  void on_response_head(const http1::Head& head, bool end);
  void on_upgraded(const http1::Head& head);
  void on_response_data() { feed({.kind = EventKind::kResponseData}); }
  /// `unsent`: not one byte of the request had left.
  void on_upstream_gone(uint16_t status, bool unsent = false);
  void on_response_bad();
  void on_timeout(uint16_t status);

  // From the worker.
  /// True: it waits still.
  bool on_wait_over();
  void on_wait_timeout();
  void on_password_checked();

  const Exchange& exchange() const { return exchange_; }
  /// The client owes bytes of the body, and nothing else is waited for.
  bool awaits_upload() const {
    return exchange_.request == RequestState::kStreaming && !exchange_.request_ended &&
           upstream_ != nullptr && !upstream_->blocked();
  }
  /// Of the response's body, passed to the client.
  uint64_t response_bytes() const { return response_bytes_; }
  /// What is waited for is the client's to do, and its timers', not the upstream's.
  bool waits_for_client() const { return awaits_upload() || client_.blocked(); }

 private:
  void feed(const Event& event);
  void run(const Actions& actions);
  void retry();
  bool connect();
  RouteDecision route(const http1::Head& head);
  enum class Gate : uint8_t { kOpen, kLater, kAnswered };
  Gate pass_auth(const http1::Head& head, RouteDecision& decision);
  void take_limits(const RouteDecision& decision);
  bool wait_for_endpoint(const RouteDecision& decision);
  void open_stream(const http1::Head& head, const RouteDecision& decision);
  void refuse(uint16_t status) { feed({.kind = EventKind::kRefused, .code = status}); }
  void note_failure();
  void note_success();
  Aside& aside();
  void drop_aside();
  void flush();
  void pump_request();
  void pump_response();
  enum class Spliced : uint8_t { kGoOn, kWait, kCopy, kSourceLost, kSinkLost };
  Spliced splice(BodyStream& source, BodyStream& sink, Splicer& splicer, uint64_t& written);
  void tunnel();
  void leave_upstream(bool reusable);
  void finish();

  Worker& worker_;
  ClientStream& client_;
  UpstreamStream* upstream_ = nullptr;
  const Endpoint* endpoint_ = nullptr;
  Aside* aside_ = nullptr;             // what most exchanges have no need of
  const http1::Head* head_ = nullptr;  // of the event that is being worked on
  Exchange exchange_;
  std::array<const Endpoint*, Exchange::kMaxAttempts> tried_{};
  std::string_view detail_;  // of a redirect or a challenge, while it is answered
  AccessRecord* record_ = nullptr;
  uint64_t response_bytes_ = 0;
  int64_t begin_ms_ = 0;
  Splicer up_;
  Splicer down_;
  uint16_t status_ = 0;         // answered
  uint16_t failed_status_ = 0;  // what the last endpoint's failure comes to
  ServiceStats::Slot service_ = ServiceStats::Slot::kNone;
  bool no_route_ = false;  // of a refusal, while it is answered
  bool stale_ = false;     // the last connection was an old one, and may just have been closed
  uint8_t tried_count_ = 0;
  uint8_t depth_ = 0;
};

}  // namespace sluice::proxy
