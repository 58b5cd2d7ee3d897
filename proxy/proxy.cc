#include "proxy/proxy.h"

#include <atomic>
#include <mutex>

namespace sluice::proxy {

struct Proxy::Cell {
  Cell(const ProxyOptions& options, const RouterMaker& make_router, uint32_t index)
      : reactor(options.reactor),
        router(make_router(reactor, index)),
        worker(reactor, options.worker, *router) {}

  Reactor reactor;
  std::unique_ptr<Router> router;
  Worker worker;
  std::vector<Reactor::ListenerId> listeners;
  std::thread thread;
};

Proxy::Proxy(ProxyOptions options) : options_(std::move(options)) {}

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

Result<void> Proxy::listen() {
  for (const ListenSpec& spec : options_.listeners) {
    if (spec.protocol != ListenProtocol::kHttp && spec.protocol != ListenProtocol::kTcp) {
      return fail(Code::kUnsupported, "listener {}: proto={} is not built yet", spec.address.text(),
                  to_string(spec.protocol));
    }
    SocketAddress at = spec.address;
    if (at.port() != 0) {
      Result<void> free = probe_address(at);
      if (!free) return free;
    }
    infos_.push_back(std::make_unique<ListenerInfo>());
    ListenerInfo& info = *infos_.back();
    for (const auto& cell : cells_) {
      Result<Socket> socket = listen_on(at, {});
      if (!socket) return pass(socket);
      at = socket->local_address();
      Worker& worker = cell->worker;
      const auto id = cell->reactor.add_listener(
          std::move(*socket), [&worker, &info](Socket client, const SocketAddress& peer) {
            worker.accept(std::move(client), peer, info);
          });
      if (id == Reactor::ListenerId::kNone) return fail(Code::kIo, "watch listener {}", at.text());
      cell->listeners.push_back(id);
    }
    info.protocol = spec.protocol;
    info.port = at.port();
    info.port_text = std::to_string(at.port());
    addresses_.push_back(at);
  }
  return {};
}

void Proxy::post_to_all(const std::function<void(uint32_t index, Worker&)>& message) {
  for (uint32_t i = 0; i < cells_.size(); ++i) {
    Worker& worker = cells_[i]->worker;
    cells_[i]->reactor.post([message, i, &worker] { message(i, worker); });
  }
}

void Proxy::read_counters(std::function<void(const Counters&)> done) {
  struct Sum {
    std::mutex mutex;
    Counters counters;
    size_t left = 0;
    std::function<void(const Counters&)> done;
  };
  auto sum = std::make_shared<Sum>();
  sum->left = cells_.size();
  sum->done = std::move(done);
  post_to_all([sum](uint32_t, Worker& worker) {
    const std::lock_guard lock(sum->mutex);
    sum->counters.add(worker.counters());
    if (--sum->left == 0) sum->done(sum->counters);
  });
}

void Proxy::drain() {
  for (const auto& cell : cells_) {
    Cell& c = *cell;
    c.reactor.post([&c] {
      for (const auto id : c.listeners) c.reactor.close_listener(id);
      c.worker.drain();
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
  for (TableReader* reader : readers_) publisher_->remove_reader(*reader);
  readers_.clear();
}

}  // namespace sluice::proxy
