// Preface: a connection whose first bytes say what becomes of it: a PROXY header in front
// (pxyproto=true), a ClientHello to be looked into (tcp+sni, https+tcp+sni). Then it hands socket
// and bytes over: to a tunnel, or to what ends the protocol here.
//
//   accept -> [PROXY header] -> [ClientHello] -> Tunnel | Http1Client
//
// The bytes of the ClientHello go along: the endpoint, or a TLS session of ours, reads them again.
//
// Owner: Worker's slab. Thread: the reactor's. Limits: one block, pxytimeout and the head's time.
#pragma once

#include <cstdint>

#include "core/buffer.h"
#include "core/channel.h"
#include "core/intrusive_list.h"
#include "core/timer_wheel.h"
#include "proxy/client_hello.h"

namespace sluice::proxy {

class Worker;
struct ListenerInfo;

class Preface final : public EventHandler, public Timer, public Resumable, public Reapable {
 public:
  Preface(Worker& worker, const SocketAddress& peer, const ListenerInfo& listener);

  /// False if the system refused; nothing was watched then.
  bool start(Socket socket);
  void close();

  void on_ready(Ready ready) override;
  void on_resume() override { go_on(); }
  void on_timer() override;
  void destroy() override;

  ListNode all_node;

 private:
  enum class State : uint8_t { kProxyHeader, kHello, kClosed };

  void go_on();
  /// False: more bytes are wanted, or it is over.
  bool read_header();
  void read_hello();
  void hand_over();
  void refuse(uint16_t status);
  void leave();

  Worker& worker_;
  const ListenerInfo& listener_;
  SocketAddress peer_;
  Channel channel_;
  Buffer in_;
  ClientHelloReader hello_;
  State state_ = State::kProxyHeader;
};

}  // namespace sluice::proxy
