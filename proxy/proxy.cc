#include "proxy/proxy.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "core/log.h"

namespace sluice::proxy {

struct Proxy::Cell {
  Cell(const ProxyOptions& options, const RouterMaker& make_router, uint32_t index)
      : reactor(options.reactor),
        router(make_router(reactor, index)),
        worker(reactor, options.worker, *router) {}

  Reactor reactor;
  std::unique_ptr<Router> router;
  Worker worker;
  struct Bound {
    Socket socket;
    const ListenerInfo* info;
  };
  std::vector<Bound> bound;  // until it accepts
  std::vector<Reactor::ListenerId> listeners;
  std::thread thread;
};

/// Its sockets are the reactors'; the info stays, for connections that outlive the listener.
struct Proxy::Added {
  SocketAddress at;
  ListenerInfo* info = nullptr;
  std::vector<std::vector<Reactor::ListenerId>> ids;  // by cell, each written by its reactor
  std::vector<int> fds;
  bool open = true;
};

Proxy::Proxy(ProxyOptions options) : options_(std::move(options)) {
  const bool any_tls = std::any_of(options_.tls.begin(), options_.tls.end(),
                                   [](const auto& context) { return context != nullptr; });
  if (options_.signers == 0 || !any_tls) return;
  signer_ = std::make_unique<tls::Signer>(options_.signers);
  options_.worker.signer = signer_.get();
}

Proxy::~Proxy() {
  stop();
}

Result<std::unique_ptr<Proxy>> Proxy::start(ProxyOptions options, const RouterMaker& make_router) {
  if (options.reactors == 0) options.reactors = std::max(1U, std::thread::hardware_concurrency());
  std::unique_ptr<Proxy> proxy(new Proxy(std::move(options)));
  for (uint32_t i = 0; i < proxy->options_.reactors; ++i) {
    proxy->cells_.push_back(std::make_unique<Cell>(proxy->options_, make_router, i));
  }
  Result<void> listening = proxy->listen();
  if (!listening) return pass(listening);
  for (const auto& cell : proxy->cells_) {
    if (proxy->options_.wait_to_accept) continue;
    if (!proxy->accept(*cell)) return fail(Code::kIo, "watch the listeners");
  }
  for (const auto& cell : proxy->cells_) {
    Reactor& reactor = cell->reactor;
    cell->thread = std::thread([&reactor] { reactor.run(); });
  }
  return proxy;
}

Result<std::unique_ptr<Proxy>> Proxy::start(ProxyOptions options, Publisher& publisher,
                                            uint64_t seed) {
  std::vector<TableReader*> readers;
  const RouterOptions router = options.router;
  const auto make_router = [&](Reactor& reactor, uint32_t index) {
    TableReader& reader = publisher.add_reader(
        [&reactor](Publisher::Closure closure) { reactor.post(std::move(closure)); });
    readers.push_back(&reader);
    return std::make_unique<TableRouter>(reader, reactor, router,
                                         seed + index * 0x9e3779b97f4a7c15);
  };
  Result<std::unique_ptr<Proxy>> proxy = start(std::move(options), make_router);
  if (!proxy) {
    for (TableReader* reader : readers) publisher.remove_reader(*reader);
    return proxy;
  }
  (*proxy)->publisher_ = &publisher;
  (*proxy)->readers_ = std::move(readers);
  return proxy;
}

namespace {

Result<void> check_listener(const ListenSpec& spec) {
  switch (spec.protocol) {
    case ListenProtocol::kTcp:
    case ListenProtocol::kHttps:
    case ListenProtocol::kHttpsTcpSni: return {};
    case ListenProtocol::kHttp:
    case ListenProtocol::kTcpDynamic:
    case ListenProtocol::kTcpSni:
      if (spec.cert_store.empty()) return {};
      return fail(Code::kUnsupported, "listener {}: proto={} takes no cs", spec.address.text(),
                  to_string(spec.protocol));
    case ListenProtocol::kGrpc:
    case ListenProtocol::kGrpcs:
    case ListenProtocol::kPrometheus: break;
  }
  return fail(Code::kUnsupported, "listener {}: proto={} is not built yet", spec.address.text(),
              to_string(spec.protocol));
}

/// What is 0 keeps the default.
void set_if(int64_t& limit_ms, int64_t value_ms) {
  if (value_ms > 0) limit_ms = value_ms;
}

}  // namespace

ListenerInfo& Proxy::make_info(const ListenSpec& spec, uint16_t port) {
  infos_.push_back(std::make_unique<ListenerInfo>());
  ListenerInfo& info = *infos_.back();
  info.protocol = spec.protocol;
  info.port = port;
  info.port_text = std::to_string(port);
  info.proxy_protocol = spec.proxy_protocol;
  info.proxy_timeout_ms = spec.proxy_timeout_ms;
  info.timeouts = options_.worker.timeouts;
  set_if(info.timeouts.head_ms, spec.read_timeout_ms);
  set_if(info.timeouts.client_ms, spec.read_timeout_ms);
  set_if(info.timeouts.client_write_ms, spec.write_timeout_ms);
  set_if(info.timeouts.keep_alive_ms, spec.idle_timeout_ms);
  set_if(info.timeouts.tunnel_ms, spec.idle_timeout_ms);
  info.read_ms = spec.read_timeout_ms;
  info.write_ms = spec.write_timeout_ms;
  return info;
}

Result<Proxy::Sockets> Proxy::bind_all(SocketAddress& at) {
  Sockets sockets(cells_.size());
  HandedSockets::node_type inherited;
  if (options_.inherited) inherited = options_.inherited->extract(handover_name(at));
  if (!inherited.empty()) {
    // All of them, also where there are fewer reactors now: each has a queue of its own.
    for (size_t i = 0; i < inherited.mapped().size(); ++i) {
      sockets[i % cells_.size()].push_back(std::move(inherited.mapped()[i]));
    }
  } else if (at.port() != 0) {
    Result<void> free = probe_address(at);
    if (!free) return pass(free);
  }
  for (std::vector<Socket>& own : sockets) {
    if (!own.empty()) continue;
    Result<Socket> socket = listen_on(at, {});
    if (!socket) return pass(socket);
    at = socket->local_address();
    own.push_back(std::move(*socket));
  }
  return sockets;
}

static std::vector<int> descriptors(const std::vector<std::vector<Socket>>& sockets) {
  std::vector<int> fds;
  for (const std::vector<Socket>& own : sockets) {
    for (const Socket& socket : own) fds.push_back(socket.fd());
  }
  return fds;
}

Result<void> Proxy::listen() {
  for (const ListenSpec& spec : options_.listeners) {
    Result<void> known = check_listener(spec);
    if (!known) return known;
    SocketAddress at = spec.address;
    Result<Sockets> sockets = bind_all(at);
    if (!sockets) return pass(sockets);
    ListenerInfo& info = make_info(spec, at.port());
    start_tls(info, static_cast<uint32_t>(addresses_.size()));
    descriptors_.push_back(descriptors(*sockets));
    for (size_t i = 0; i < cells_.size(); ++i) {
      for (Socket& socket : (*sockets)[i]) cells_[i]->bound.push_back({std::move(socket), &info});
    }
    addresses_.push_back(at);
  }
  return {};
}

/// On the reactor's thread, or before it runs.
bool Proxy::accept(Cell& cell) {
  Worker& worker = cell.worker;
  for (Cell::Bound& each : cell.bound) {
    const auto id = cell.reactor.add_listener(
        std::move(each.socket),
        [&worker, info = each.info](Socket client, const SocketAddress& peer) {
          worker.accept(std::move(client), peer, *info);
        });
    if (id == Reactor::ListenerId::kNone) return false;
    cell.listeners.push_back(id);
  }
  cell.bound.clear();
  return true;
}

void Proxy::accept() {
  for (const auto& each : cells_) {
    Cell& cell = *each;
    cell.reactor.post([this, &cell] {
      if (!accept(cell) && options_.worker.log != nullptr) {
        options_.worker.log->error("a listener cannot be watched: no memory for it");
      }
    });
  }
}

OfferedSockets Proxy::listening() const {
  OfferedSockets all;
  for (size_t i = 0; i < addresses_.size(); ++i) {
    all[handover_name(addresses_[i])] = descriptors_[i];
  }
  for (const auto& added : added_) {
    if (added->open) all[handover_name(added->at)] = added->fds;
  }
  return all;
}

void Proxy::start_tls(ListenerInfo& info, uint32_t index) {
  if (index >= options_.tls.size() || options_.tls[index] == nullptr) {
    CHECK(info.protocol != ListenProtocol::kHttps && info.protocol != ListenProtocol::kHttpsTcpSni);
    return;
  }
  info.tls = true;
  info.index = index;
  for (const auto& cell : cells_) cell->worker.set_tls(index, options_.tls[index]);
}

void Proxy::set_tls(uint32_t listener, std::shared_ptr<const tls::ServerContext> context) {
  post_to_all([listener, context](uint32_t, Worker& worker) { worker.set_tls(listener, context); });
}

Result<void> Proxy::add_listener(const ListenSpec& spec) {
  Result<void> known = check_listener(spec);
  if (!known) return known;
  SocketAddress at = spec.address;
  Result<Sockets> sockets = bind_all(at);
  if (!sockets) return pass(sockets);
  // One that was there before is taken again, so that a port that comes and goes costs nothing.
  const auto same = std::find_if(added_.begin(), added_.end(),
                                 [&](const auto& each) { return !each->open && each->at == at; });
  const bool fresh = same == added_.end();
  Added& added = fresh ? *added_.emplace_back(std::make_unique<Added>(at)) : **same;
  if (fresh) {
    added.info = &make_info(spec, at.port());
    added.ids.resize(cells_.size());
  }
  added.open = true;
  added.fds = descriptors(*sockets);
  for (size_t i = 0; i < cells_.size(); ++i) {
    Cell& cell = *cells_[i];
    cell.reactor.post([&cell, &added, i, own = std::move((*sockets)[i])]() mutable {
      for (Socket& socket : own) {
        const auto id = cell.reactor.add_listener(
            std::move(socket),
            [&cell, info = added.info](Socket client, const SocketAddress& peer) {
              cell.worker.accept(std::move(client), peer, *info);
            });
        if (id != Reactor::ListenerId::kNone) added.ids[i].push_back(id);
      }
    });
  }
  return {};
}

void Proxy::remove_listener(const SocketAddress& at) {
  for (const auto& each : added_) {
    if (!each->open || !(each->at == at)) continue;
    each->open = false;
    for (size_t i = 0; i < cells_.size(); ++i) {
      Cell& cell = *cells_[i];
      cell.reactor.post([&cell, &added = *each, i] {
        for (const auto id : added.ids[i]) cell.reactor.drain_listener(id);
        added.ids[i].clear();
      });
    }
  }
}

void Proxy::post_to_all(const std::function<void(uint32_t index, Worker&)>& message) {
  for (uint32_t i = 0; i < cells_.size(); ++i) {
    Worker& worker = cells_[i]->worker;
    cells_[i]->reactor.post([message, i, &worker] { message(i, worker); });
  }
}

void Proxy::read_stats(std::function<void(const ProxyStats&)> done) {
  struct Sum {
    std::mutex mutex;
    ProxyStats stats;
    size_t left = 0;
    std::function<void(const ProxyStats&)> done;
  };
  auto sum = std::make_shared<Sum>();
  sum->left = cells_.size();
  sum->done = std::move(done);
  post_to_all([sum](uint32_t, Worker& worker) {
    const std::lock_guard lock(sum->mutex);
    sum->stats.add(worker);
    if (--sum->left == 0) sum->done(sum->stats);
  });
}

void Proxy::explain(ExplainRequest request, std::function<void(Explained)> done) {
  Worker& worker = cells_.front()->worker;
  cells_.front()->reactor.post([&worker, request = std::move(request), done = std::move(done)] {
    done(worker.explain(request));
  });
}

void Proxy::drain(IdleClients idle, std::function<void()> drained) {
  struct Left {
    std::atomic<size_t> cells;
    std::function<void()> drained;
  };
  auto left = std::make_shared<Left>(cells_.size(), std::move(drained));
  for (const auto& each : added_) remove_listener(each->at);
  for (const auto& cell : cells_) {
    Cell& c = *cell;
    c.reactor.post([&c, idle, left] {
      for (const auto id : c.listeners) c.reactor.drain_listener(id);
      c.worker.drain(idle, [left, said = false]() mutable {
        if (!std::exchange(said, true) && left->cells.fetch_sub(1) == 1) left->drained();
      });
    });
  }
}

void Proxy::stop() {
  for (const auto& cell : cells_) {
    if (!cell->thread.joinable()) continue;
    Worker& worker = cell->worker;
    cell->reactor.post([&worker] { worker.close_all(); });
    cell->reactor.stop();
  }
  for (const auto& cell : cells_) {
    if (cell->thread.joinable()) cell->thread.join();
  }
  signer_.reset();  // what it still posts finds no reactor
  for (TableReader* reader : readers_) publisher_->remove_reader(*reader);
  readers_.clear();
}

}  // namespace sluice::proxy
