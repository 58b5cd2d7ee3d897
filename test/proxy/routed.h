// A proxy with real routes, made of tags as a catalog has them, between raw clients and raw
// upstreams.
//
// Thread: the test's, which is the control loop too; the reactor has its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/proxy.h"
#include "proxy/publish.h"
#include "test/proxy/wire.h"

namespace sluice::proxy::test {

/// Stands for the control loop: closures run when the test says so.
class Control {
 public:
  void post(Publisher::Closure closure);
  /// Runs what comes until `done` says so; false if it does not within ten seconds.
  bool run_until(const std::function<bool()>& done);

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  std::vector<Publisher::Closure> closures_;
};

struct Instance {
  SocketAddress at;
  bool healthy = true;
};

class Routed {
 public:
  explicit Routed(WorkerOptions worker = {}, PublisherOptions publisher = {});
  ~Routed();

  /// `tag` is without its prefix. Replaces what the service said before; live when this returns.
  void set(const std::string& service, const std::string& tag,
           const std::vector<Instance>& instances);
  void set(const std::string& service, const std::string& tag, const Upstream& upstream) {
    set(service, tag, {{upstream.address()}});
  }
  Wire connect() { return Wire::connect(proxy_->addresses()[0]); }
  /// One request on a connection of its own: all of the answer.
  std::string ask(const std::string& host, const std::string& path,
                  const std::string& headers = "");
  Publisher& publisher() { return publisher_; }
  Proxy& proxy() { return *proxy_; }
  Counters counters();

 private:
  void settle();

  Control control_;
  Publisher publisher_;
  std::unique_ptr<Proxy> proxy_;
};

/// An upstream that answers each request with its name, from a thread of its own.
class Answering {
 public:
  explicit Answering(std::string name, std::string status = "200 OK");
  ~Answering();
  const SocketAddress& address() const { return address_; }
  /// Requests so far.
  int served() const { return served_.load(); }
  void set_status(std::string status);

 private:
  void run();
  void serve(Wire wire);

  const std::string name_;
  Upstream upstream_;
  SocketAddress address_;
  std::mutex mutex_;
  std::string status_;  // guarded by mutex_
  std::atomic<int> served_{0};
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace sluice::proxy::test
