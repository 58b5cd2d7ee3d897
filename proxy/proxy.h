// Proxy: the data plane as main.cc sees it: listeners and reactors, started, drained and stopped
// together.
//
// Owner: main.cc. Thread: the control loop's; each reactor runs on a thread of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/handover.h"
#include "core/reactor.h"
#include "core/result.h"
#include "core/socket.h"
#include "core/tls/context.h"
#include "core/tls/signer.h"
#include "proxy/listen_spec.h"
#include "proxy/metrics.h"
#include "proxy/publish.h"
#include "proxy/router.h"
#include "proxy/table_router.h"
#include "proxy/worker.h"

namespace sluice::proxy {

struct ProxyOptions {
  std::vector<ListenSpec> listeners;
  /// Of the predecessor (core/handover.h): a listener at the address of one takes its sockets. May
  /// be null.
  std::shared_ptr<HandedSockets> inherited;
  /// Binds, and lets connections wait until accept().
  bool wait_to_accept = false;
  uint32_t reactors = 0;  // 0: one a core
  uint32_t signers = 0;   // threads that sign with RSA keys; 0: the reactors do
  WorkerOptions worker;
  /// By listener, nullptr for those that end no TLS; may be shorter.
  std::vector<std::shared_ptr<const tls::ServerContext>> tls;
  RouterOptions router;
  Reactor::Limits reactor;
};

class Proxy {
 public:
  /// Makes the router of a reactor; called once each, before its thread starts.
  using RouterMaker = std::function<std::unique_ptr<Router>(Reactor& reactor, uint32_t index)>;

  /// Binds every listener on every reactor, then starts the threads. Fails with the address in the
  /// message if one is in use, by whomever; nothing runs then.
  static Result<std::unique_ptr<Proxy>> start(ProxyOptions options, const RouterMaker& make_router);
  /// With routes from `publisher`, which outlives the proxy. `seed` is for the picks.
  static Result<std::unique_ptr<Proxy>> start(ProxyOptions options, Publisher& publisher,
                                              uint64_t seed);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  /// With the port that was given where port 0 was asked for; in the order of the options.
  const std::vector<SocketAddress>& addresses() const { return addresses_; }
  /// Runs on each reactor's thread.
  void post_to_all(const std::function<void(uint32_t index, Worker&)>& message);
  /// A listener's certificates and rules from now on.
  void set_tls(uint32_t listener, std::shared_ptr<const tls::ServerContext> context);
  /// What the reactors counted, added up, through `done` on the last reactor's thread.
  void read_stats(std::function<void(const ProxyStats&)> done);

  /// What the first reactor's router says to it, through `done` on that reactor's thread.
  void explain(ExplainRequest request, std::function<void(Explained)> done);

  /// A listener more, of a running proxy (tcp-dynamic). Fails with the address if it is in use.
  Result<void> add_listener(const ListenSpec& spec);
  /// Closes a listener that was added, once it took what waits on it; its connections stay.
  void remove_listener(const SocketAddress& at);

  /// Once, of a proxy that waits to.
  void accept();
  /// The sockets that listen, for a successor; they stay ours.
  OfferedSockets listening() const;
  /// What no listener took of the predecessor's sockets closes.
  void drop_inherited() { options_.inherited.reset(); }

  /// Listeners close once they took what waits on them; connections after their exchange. `drained`
  /// is called once none is left, from the last reactor's thread.
  void drain(IdleClients idle, std::function<void()> drained);
  /// Closes everything and joins the threads.
  void stop();

 private:
  struct Cell;
  struct Added;
  explicit Proxy(ProxyOptions options);
  Result<void> listen();
  using Sockets = std::vector<std::vector<Socket>>;
  /// At least one socket a reactor, all on the same address, which gets its port.
  Result<Sockets> bind_all(SocketAddress& at);
  bool accept(Cell& cell);
  void start_tls(ListenerInfo& info, uint32_t index);
  ListenerInfo& make_info(const ListenSpec& spec, uint16_t port);

  ProxyOptions options_;  // does not change once the threads run
  std::vector<SocketAddress> addresses_;
  std::vector<std::vector<int>> descriptors_;  // of their sockets, which are the reactors'
  std::vector<std::unique_ptr<ListenerInfo>> infos_;
  std::vector<std::unique_ptr<Added>> added_;
  std::vector<std::unique_ptr<Cell>> cells_;
  std::unique_ptr<tls::Signer> signer_;  // after the cells: it posts to their reactors
  Publisher* publisher_ = nullptr;
  std::vector<TableReader*> readers_;
};

}  // namespace sluice::proxy
