#include "test/proxy/routed.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "core/check.h"

namespace sluice::proxy::test {

void Control::post(Publisher::Closure closure) {
  const std::lock_guard lock(mutex_);
  closures_.push_back(std::move(closure));
  more_.notify_one();
}

bool Control::run_until(const std::function<bool()>& done) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done()) {
    std::vector<Publisher::Closure> batch;
    {
      std::unique_lock lock(mutex_);
      if (!more_.wait_until(lock, limit, [&] { return !closures_.empty(); })) return false;
      batch.swap(closures_);
    }
    for (Publisher::Closure& closure : batch) closure();
  }
  return true;
}

Routed::Routed(WorkerOptions worker, PublisherOptions publisher)
    : publisher_(
          std::move(publisher),
          [this](Publisher::Closure closure) { control_.post(std::move(closure)); }, nullptr) {
  ProxyOptions options;
  options.reactors = 1;
  options.router.trusted = worker.trusted;
  options.worker = std::move(worker);
  options.listeners.push_back({.address = *SocketAddress::make("127.0.0.1", 0)});
  Result<std::unique_ptr<Proxy>> proxy = Proxy::start(std::move(options), publisher_, 1);
  CHECK(proxy.has_value());
  proxy_ = std::move(*proxy);
}

Routed::~Routed() {
  proxy_->stop();
}

void Routed::set(const std::string& service, const std::string& tag,
                 const std::vector<Instance>& instances) {
  RouteEdit edit{.key = service};
  for (const Instance& instance : instances) {
    Result<std::optional<RouteSpec>> spec =
        parse_tag("urlprefix-" + tag, {.service = service,
                                       .instance = service + std::to_string(edit.routes.size()),
                                       .address = "127.0.0.1",
                                       .port = instance.at.port()});
    CHECK(spec.has_value() && spec->has_value());
    edit.routes.push_back(std::move(**spec));
    edit.routes.back().healthy = instance.healthy;
  }
  std::vector<RouteEdit> edits;
  edits.push_back(std::move(edit));
  publisher_.apply(std::move(edits));
  settle();
}

// Messages reach a reactor in order: once this one was there, so was the table.
void Routed::settle() {
  std::atomic<bool> there = false;
  proxy_->post_to_all([&](uint32_t, Worker&) {
    there = true;
    there.notify_one();
  });
  there.wait(false);
}

std::string Routed::ask(const std::string& host, const std::string& path,
                        const std::string& headers) {
  Wire client = connect();
  client.send("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers +
              "Connection: close\r\n\r\n");
  return client.read_to_end();
}

Counters Routed::counters() {
  Counters sum;
  std::atomic<bool> there = false;
  proxy_->read_stats([&](const ProxyStats& stats) {
    sum = stats.counters;
    there = true;
    there.notify_one();
  });
  there.wait(false);
  return sum;
}

Answering::Answering(std::string name, std::string status)
    : name_(std::move(name)),
      address_(upstream_.address()),
      status_(std::move(status)),
      acceptor_([this] { run(); }) {}

Answering::~Answering() {
  stopping_ = true;
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

void Answering::set_status(std::string status) {
  const std::lock_guard lock(mutex_);
  status_ = std::move(status);
}

void Answering::run() {
  while (!stopping_) {
    if (!upstream_.waits(20)) continue;
    threads_.emplace_back([this, wire = upstream_.accept()]() mutable { serve(std::move(wire)); });
  }
}

void Answering::serve(Wire wire) {
  for (;;) {
    while (!wire.waits(20)) {
      if (stopping_) return;
    }
    if (wire.read_head().empty()) return;
    ++served_;
    std::string status;
    {
      const std::lock_guard lock(mutex_);
      status = status_;
    }
    wire.send("HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(name_.size()) +
              "\r\n\r\n" + name_);
  }
}

}  // namespace sluice::proxy::test
