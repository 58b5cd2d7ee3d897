// The data plane alone with one route: what the comparison with the raw forwarders measures, and
// the shortest way to see a request go through.
//
//   static-proxy LISTEN UPSTREAM [REACTORS]     static-proxy 127.0.0.1:9999 127.0.0.1:8080 1
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/network.h"
#include "proxy/endpoint.h"
#include "proxy/proxy.h"

namespace {

using namespace sluice;
using namespace sluice::proxy;

class OneEndpoint final : public Router {
 public:
  explicit OneEndpoint(const Endpoint& endpoint) : endpoint_(endpoint) {}
  RouteDecision route(const RouteQuery& query) override {
    endpoint_.begin();
    return {.endpoint = &endpoint_, .path = query.head.path};
  }

  RouteDecision route_stream(const StreamQuery& query) override {
    if (!query.tried.empty()) return {};
    endpoint_.begin();
    return {.endpoint = &endpoint_};
  }

 private:
  const Endpoint& endpoint_;
};

int run(const std::string& listen, const std::string& upstream, uint32_t reactors) {
  const Result<Address> at = parse_address(listen);
  const Result<Address> to = parse_address(upstream);
  if (!at || !to) {
    std::fprintf(stderr, "%s\n", (at ? to.error() : at.error()).message.c_str());
    return 2;
  }
  EndpointRegistry registry([] {});
  const EndpointRef endpoint =
      registry.find_or_add({.destination = {.host = to->ip, .port = to->port}});
  ProxyOptions options;
  options.reactors = reactors;
  options.listeners.push_back({.address = *SocketAddress::make(at->ip, at->port)});
  Result<std::unique_ptr<Proxy>> proxy = Proxy::start(std::move(options), [&](Reactor&, uint32_t) {
    return std::make_unique<OneEndpoint>(*endpoint);
  });
  if (!proxy) {
    std::fprintf(stderr, "%s\n", proxy.error().message.c_str());
    return 1;
  }
  std::printf("listening on %s\n", (*proxy)->addresses()[0].text().c_str());
  std::fflush(stdout);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  (*proxy)->stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: static-proxy LISTEN UPSTREAM [REACTORS]\n");
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return run(argv[1], argv[2], argc > 3 ? static_cast<uint32_t>(std::atoi(argv[3])) : 1);
}
