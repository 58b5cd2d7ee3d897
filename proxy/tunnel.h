// Tunnel: two sockets joined, bytes both ways until both directions have ended: TCP, TLS by SNI,
// and HTTP connections that were upgraded.
//
// A direction copies; once its reads come back full it splices, until they come small again. An end
// of stream is passed on after what came before it; a reset is passed on as a reset.
//
// Owner: Worker's slab. Thread: the reactor's. Limits: one block or one pipe a direction, four
// moves a turn.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/buffer.h"
#include "core/channel.h"
#include "core/intrusive_list.h"
#include "core/timer_wheel.h"
#include "proxy/router.h"
#include "proxy/service_stats.h"
#include "proxy/splice.h"
#include "proxy/traffic_limits.h"

namespace sluice::proxy {

class Endpoint;
struct AccessRecord;
class Worker;
struct ListenerInfo;

class Tunnel final : public Timer, public Resumable, public Reapable {
 public:
  explicit Tunnel(Worker& worker);

  enum Way : uint8_t { kUp, kDown };  // client to upstream, upstream to client

  /// A client of a tcp listener: finds an endpoint and connects. False: there is none, or the
  /// system refused; it is logged, and the socket is reset.
  /// `tls` is nullptr for a plain listener.
  bool start(Socket client, std::unique_ptr<tls::Session> tls, const SocketAddress& peer,
             const ListenerInfo& listener);
  /// The same after a preface: takes the socket and copies the bytes that came; on failure the
  /// socket stays the caller's, who closes it.
  /// kNotTcp, of https+tcp+sni alone: the name's target is none for a tunnel, and nothing was
  /// done.
  enum class Started : uint8_t { kYes, kNo, kNotTcp };
  Started start(Channel& client, std::string_view bytes, std::unique_ptr<tls::Session> tls,
                const SocketAddress& peer, const ListenerInfo& listener);

  /// An upgraded connection: first the two channels and the bytes on their way, then begin().
  void adopt(Way from, Channel& channel);
  /// Bytes that go first in that direction.
  bool add(Way way, std::string_view bytes);
  /// The head of a 101 in front of what goes down: passed on, and no part of the body.
  bool add_head(std::string_view head);
  /// `endpoint` has begin() behind it; the tunnel calls end(). Of `peer` it is counted as one of
  /// its connections; `entered` (null: none) counts it as a request.
  void begin(const Endpoint& endpoint, AccessRecord* record, ServiceStats::Slot service,
             const SocketAddress& peer, Ref<RouteLimits> entered, uint64_t address_hash);
  const SocketAddress& peer() const { return peer_; }

  void close(bool reset);
  [[nodiscard]] const Endpoint* endpoint() const { return endpoint_; }

  void on_timer() override;
  void on_resume() override;
  void destroy() override;

  ListNode all_node;

 private:
  struct Side final : EventHandler {
    explicit Side(Tunnel& owner) : tunnel(owner) {}
    void on_ready(Ready ready) override;
    Tunnel& tunnel;
    Channel channel;
  };
  struct Direction {
    Direction(BufferPool& pool) : buffer(pool) {}
    Buffer buffer;
    Splicer splicer;
    uint64_t bytes = 0;
    bool large = false;  // the last read brought much
    bool bulk = false;   // and the one before it: splice
    bool ended = false;  // the source has ended
    bool done = false;   // and the sink was told
  };
  enum class State : uint8_t { kConnecting, kOpen, kClosed };

  Side& source(Way way) { return way == kUp ? client_ : upstream_; }
  Side& sink(Way way) { return way == kUp ? upstream_ : client_; }
  Direction& direction(Way way) { return way == kUp ? up_ : down_; }
  /// `first` is the decision to begin with; nullptr: asks for one.
  bool connect_next(const RouteDecision* first = nullptr);
  RouteDecision find_endpoint();
  bool send_proxy_header();
  void on_connecting(EventHandler::Ready ready);
  void join();
  void pump(Way way);
  /// False if the direction can do nothing more now.
  bool copy_step(Way way);
  bool splice_step(Way way);
  void settle();
  void arm();
  void note_moved(Way way);
  bool pending() const;
  void leave_endpoint();
  /// What went down behind the head.
  uint64_t body_bytes() const { return down_.bytes - std::min(down_.bytes, head_bytes_); }
  void log();

  Worker& worker_;
  Side client_;
  Side upstream_;
  Direction up_;
  Direction down_;
  const Endpoint* endpoint_ = nullptr;
  const ListenerInfo* listener_ = nullptr;
  AccessRecord* record_ = nullptr;
  SocketAddress peer_;
  int64_t read_at_ms_ = 0;   // the client's last byte
  int64_t write_at_ms_ = 0;  // the last one that it took, or when one began to wait for it
  uint64_t head_bytes_ = 0;  // of down_
  Ref<RouteLimits> entered_;
  uint64_t address_hash_ = 0;
  std::array<const Endpoint*, 3> tried_{};
  uint8_t tried_count_ = 0;
  State state_ = State::kConnecting;
  ServiceStats::Slot service_ = ServiceStats::Slot::kNone;
  uint16_t status_ = 502;  // for the access log: 200 once it was joined
};

}  // namespace sluice::proxy
