// A publisher under test: loops that run when the test says so, routes as edits.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/publish.h"

namespace sluice::proxy::test {

using Closure = std::move_only_function<void()>;

/// Runs closures when the test says so.
struct FakeLoop {
  std::deque<Closure> queue;
  Publisher::Post post() {
    return [this](Closure closure) { queue.push_back(std::move(closure)); };
  }
  void run() {
    while (!queue.empty()) {
      Closure next = std::move(queue.front());
      queue.pop_front();
      next();
    }
  }
};

inline RouteSpec spec(std::string service, std::string host, std::string path, uint16_t port,
                      std::string instance = "") {
  RouteSpec out;
  out.service = std::move(service);
  out.instance = std::move(instance);
  out.host = std::move(host);
  out.path = std::move(path);
  out.destination = {Scheme::kHttp, "10.0.0.1", port};
  return out;
}

inline std::vector<RouteEdit> edit(std::string key, std::vector<RouteSpec> routes) {
  std::vector<RouteEdit> out;
  out.push_back({std::move(key), std::move(routes), {}});
  return out;
}

}  // namespace sluice::proxy::test
