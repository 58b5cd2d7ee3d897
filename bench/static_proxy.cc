// The data plane with routes from its command line and nothing around it: what is measured where
// the routes themselves are what is varied (their number, and how often they change), and the
// shortest way to see a request go through.
//
//   static-proxy [-routes N] [-routes-to IP:PORT] [-change-ms MS] [-reactors N] LISTENERS COMMANDS
//   static-proxy '127.0.0.1:9999' 'route add web / http://127.0.0.1:8080/'
//
// LISTENERS is what -proxy.addr takes, COMMANDS are route commands. -routes adds N routes,
// host-0.example.com and so on, to an endpoint each or all to -routes-to; -change-ms gives one of
// those (there is one at least) a new endpoint every so often, each
// change a new table for every reactor, and prints at the end how many there were.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "core/network.h"
#include "core/reactor.h"
#include "proxy/listen_spec.h"
#include "proxy/proxy.h"
#include "proxy/publish.h"

namespace {

using namespace sluice;
using namespace sluice::proxy;

struct Flags {
  uint64_t routes = 0, change_ms = 0, reactors = 1;
  std::string listeners, commands;
  std::string routes_to;
};

/// The control loop: closures from the reactors, run on the main thread, which waits for signals.
class Control {
 public:
  void post(Publisher::Closure closure) {
    {
      const std::lock_guard lock(mutex_);
      posted_.push_back(std::move(closure));
    }
    ::kill(::getpid(), SIGUSR1);
  }
  void run_posted() {
    std::vector<Publisher::Closure> now;
    {
      const std::lock_guard lock(mutex_);
      now.swap(posted_);
    }
    for (Publisher::Closure& each : now) each();
  }

 private:
  std::mutex mutex_;
  std::vector<Publisher::Closure> posted_;
};

RouteEdit filler(const Flags& flags, uint64_t n, uint64_t change) {
  const std::string name = "service-" + std::to_string(n);
  RouteEdit edit{.key = name};
  RouteSpec spec;
  spec.service = name;
  spec.instance = "_" + name + "-" + std::to_string(change);
  spec.host = "host-" + std::to_string(n) + ".example.com";
  spec.path = "/";
  spec.destination.host = "10." + std::to_string(n >> 16 & 255) + "." +
                          std::to_string(n >> 8 & 255) + "." + std::to_string(n & 255);
  spec.destination.port = static_cast<uint16_t>(20000 + change % 40000);
  if (const Result<Address> to = parse_address(flags.routes_to); to && change == 0) {
    spec.destination.host = to->ip;
    spec.destination.port = to->port;
  }
  edit.routes.push_back(std::move(spec));
  return edit;
}

int run(const Flags& flags, const sigset_t& signals) {
  Result<std::vector<ListenSpec>> listeners = parse_listen_specs(flags.listeners);
  if (!listeners) {
    std::fprintf(stderr, "static-proxy: %s\n", listeners.error().message.c_str());
    return 2;
  }
  Control control;
  Publisher publisher(
      {}, [&](Publisher::Closure closure) { control.post(std::move(closure)); }, nullptr);
  std::vector<RouteEdit> edits;
  edits.push_back({.key = "static", .commands = flags.commands});
  for (uint64_t n = 0; n < flags.routes; ++n) edits.push_back(filler(flags, n, 0));
  publisher.apply(std::move(edits));
  for (const RejectedRoute& each : publisher.rejected()) {
    std::fprintf(stderr, "static-proxy: %s: %s\n", each.tag.c_str(), each.reason.c_str());
    return 2;
  }
  ProxyOptions options;
  options.reactors = static_cast<uint32_t>(flags.reactors);
  options.listeners = std::move(*listeners);
  Result<std::unique_ptr<Proxy>> proxy = Proxy::start(std::move(options), publisher, 1);
  if (!proxy) {
    std::fprintf(stderr, "static-proxy: %s\n", proxy.error().message.c_str());
    return 1;
  }
  for (const SocketAddress& at : (*proxy)->addresses()) {
    std::printf("listening on %s\n", at.text().c_str());
  }
  std::fflush(stdout);
  uint64_t changes = 0;
  const int64_t period_ns = static_cast<int64_t>(flags.change_ms) * 1'000'000;
  int64_t next_change = steady_ns() + period_ns;
  for (;;) {
    const int64_t wait = period_ns > 0 ? std::max<int64_t>(next_change - steady_ns(), 0)
                                       : int64_t{3600} * 1'000'000'000;
    const timespec until{wait / 1'000'000'000, wait % 1'000'000'000};
    const int got = sigtimedwait(&signals, nullptr, &until);
    control.run_posted();
    if (got == SIGINT || got == SIGTERM) break;
    if (period_ns > 0 && steady_ns() >= next_change) {
      ++changes;
      next_change += period_ns;
      std::vector<RouteEdit> one;
      one.push_back(filler(flags, changes % (flags.routes > 0 ? flags.routes : 1), changes));
      publisher.apply(std::move(one));
    }
  }
  (*proxy)->stop();
  proxy->reset();
  control.run_posted();
  std::printf("changes %llu\n", static_cast<unsigned long long>(changes));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    const auto number = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (std::strcmp(argv[i], "-routes") == 0) {
      flags.routes = number();
    } else if (std::strcmp(argv[i], "-routes-to") == 0 && i + 1 < argc) {
      flags.routes_to = argv[++i];
    } else if (std::strcmp(argv[i], "-change-ms") == 0) {
      flags.change_ms = number();
    } else if (std::strcmp(argv[i], "-reactors") == 0) {
      flags.reactors = number();
    } else {
      words.emplace_back(argv[i]);
    }
  }
  if (words.size() != 2) {
    std::fprintf(stderr,
                 "usage: static-proxy [-routes N] [-routes-to IP:PORT] [-change-ms MS] "
                 "[-reactors N] LISTENERS COMMANDS\n");
    return 2;
  }
  flags.listeners = words[0];
  flags.commands = words[1];
  sigset_t signals;
  sigemptyset(&signals);
  for (const int each : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&signals, each);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return run(flags, signals);
}
