// Tunnel: two sockets joined, bytes both ways until both directions have ended: TCP, TLS by SNI,
// and HTTP connections that were upgraded.
//
// A direction copies; once its reads come back full it splices, until they come small again. An end
// of stream is passed on after what came before it; a reset is passed on as a reset.
//
// Owner: Worker's slab. Thread: the reactor's. Limits: one block or one pipe a direction, four
// moves a turn.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/buffer.h"
#include "core/channel.h"
#include "core/intrusive_list.h"
#include "core/timer_wheel.h"
#include "proxy/router.h"
#include "proxy/splice.h"

namespace sluice::proxy {

class Endpoint;
struct AccessRecord;
class Worker;
struct ListenerInfo;

class Tunnel final : public Timer, public Resumable, public Reapable {
 public:
  explicit Tunnel(Worker& worker);

  enum Way : uint8_t { kUp, kDown };  // client to upstream, upstream to client

  /// A client of a tcp listener: finds an endpoint and connects.
  bool start(Socket client, const SocketAddress& peer, const ListenerInfo& listener);

  /// An upgraded connection: first the two channels and the bytes on their way, then begin().
  void adopt(Way from, Channel& channel);
  /// Bytes that go first in that direction.
  bool add(Way way, std::string_view bytes);
  /// `endpoint` has begin() behind it; the tunnel calls end().
  void begin(const Endpoint& endpoint, AccessRecord* record);

  void close(bool reset);

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
    bool bulk = false;   // the last read was full: splice
    bool ended = false;  // the source has ended
    bool done = false;   // and the sink was told
  };
  enum class State : uint8_t { kConnecting, kOpen, kClosed };

  Side& source(Way way) { return way == kUp ? client_ : upstream_; }
  Side& sink(Way way) { return way == kUp ? upstream_ : client_; }
  Direction& direction(Way way) { return way == kUp ? up_ : down_; }
  bool connect_next();
  void on_connecting(EventHandler::Ready ready);
  void pump(Way way);
  /// False if the direction can do nothing more now.
  bool copy_step(Way way);
  bool splice_step(Way way);
  void settle();
  void arm();
  void leave_endpoint();
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
  std::array<const Endpoint*, 3> tried_{};
  uint8_t tried_count_ = 0;
  State state_ = State::kConnecting;
  uint16_t status_ = 502;  // for the access log: 200 once it was joined
};

}  // namespace sluice::proxy
