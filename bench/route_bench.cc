// Micro benchmark of routing: what 100,000 routes cost to build, to edit, to look up and to keep.
//
//   route-bench [ROUTES]
//
// Three shapes of a cluster: each route a host, a service and an instance of its own (the worst for
// memory); services of four instances with two paths (the common one); one host that holds every
// path. The targets are those of the proxy's design: build under 1 s, edit under 1 ms, lookup under
// 300 ns, under 300 bytes a route beside its strings.
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "proxy/host_path.h"
#include "proxy/pick.h"
#include "proxy/publish.h"

namespace {

using namespace sluice;
using namespace sluice::proxy;

/// Of this thread alone, so that what else the machine does does not count.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
double seconds_since(double start) {
  return cpu_seconds() - start;
}

size_t heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

uint64_t next_random(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

struct Shape {
  const char* name;
  std::vector<RouteEdit> (*make)(size_t routes);
};

RouteSpec make_spec(std::string service, std::string instance, std::string host, std::string path,
                    size_t address) {
  RouteSpec spec;
  spec.service = std::move(service);
  spec.instance = std::move(instance);
  spec.host = std::move(host);
  spec.path = std::move(path);
  spec.destination.host = "10." + std::to_string(address >> 16 & 255) + "." +
                          std::to_string(address >> 8 & 255) + "." + std::to_string(address & 255);
  spec.destination.port = static_cast<uint16_t>(20000 + address % 10000);
  return spec;
}

std::vector<RouteEdit> all_distinct(size_t routes) {
  std::vector<RouteEdit> edits;
  for (size_t i = 0; i < routes; ++i) {
    const std::string n = std::to_string(i);
    RouteEdit edit{.key = "service-" + n};
    edit.routes.push_back(
        make_spec("service-" + n, "_service-" + n + "-1", "host-" + n + ".example.com", "/", i));
    edits.push_back(std::move(edit));
  }
  return edits;
}

std::vector<RouteEdit> services(size_t routes) {
  std::vector<RouteEdit> edits;
  for (size_t i = 0; i < routes / 8; ++i) {
    const std::string n = std::to_string(i);
    RouteEdit edit{.key = "service-" + n};
    for (size_t k = 0; k < 4; ++k) {
      for (const char* path : {"/", "/api"}) {
        edit.routes.push_back(make_spec("service-" + n, "_service-" + n + "-" + std::to_string(k),
                                        "host-" + n + ".example.com", path, i * 4 + k));
      }
    }
    edits.push_back(std::move(edit));
  }
  return edits;
}

std::vector<RouteEdit> one_host(size_t routes) {
  std::vector<RouteEdit> edits;
  for (size_t i = 0; i < routes; ++i) {
    const std::string n = std::to_string(i);
    RouteEdit edit{.key = "service-" + n};
    edit.routes.push_back(make_spec("service-" + n, "", "www.example.com",
                                    "/team-" + std::to_string(i % 100) + "/app-" + n, i % 1000));
    edits.push_back(std::move(edit));
  }
  return edits;
}

/// The text of every node: what the table would cost if structure were free.
size_t string_bytes(const std::vector<RouteEdit>& edits, const RouteTable& table) {
  size_t bytes = 0;
  for (const RouteEdit& edit : edits) {
    bytes += edit.key.size();
    if (!edit.routes.empty()) bytes += edit.routes[0].service.size();
    for (const RouteSpec& spec : edit.routes) bytes += spec.host.size() + spec.path.size() + 3;
  }
  std::vector<const Endpoint*> endpoints;
  std::vector<const Instance*> instances;
  table.for_each_host([&](const Host& host) {
    bytes += host.pattern().size();
    host.for_each_route([&](const Route& route) {
      bytes += route.path().size();
      for (const Target* target : route.targets()) {
        endpoints.push_back(target->endpoint());
        instances.push_back(target->parts().instance.get());
      }
      return true;
    });
  });
  const auto distinct = [](auto& list) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  };
  distinct(endpoints);
  distinct(instances);
  for (const Endpoint* endpoint : endpoints) bytes += endpoint->host().size();
  for (const Instance* instance : instances) {
    if (instance != nullptr) bytes += instance->id().size();
  }
  return bytes;
}

void run_lookups(const std::vector<RouteEdit>& edits, const RouteTable& table) {
  constexpr size_t kLookups = 2'000'000;
  // One after another, as hot as the bytes of a request that has just been read.
  struct Request {
    std::array<char, 40> host;
    std::array<char, 56> path;
  };
  std::vector<Request> requests(16384);
  uint64_t random = 88172645463325252;
  for (Request& request : requests) {
    const RouteEdit& edit = edits[next_random(random) % edits.size()];
    const RouteSpec& spec = edit.routes[next_random(random) % edit.routes.size()];
    std::snprintf(request.host.data(), request.host.size(), "%s", spec.host.c_str());
    std::snprintf(request.path.data(), request.path.size(), "%s/index.html", spec.path.c_str());
  }
  size_t found = 0;
  const double start = cpu_seconds();
  for (size_t i = 0; i < kLookups; ++i) {
    const Request& request = requests[i % requests.size()];
    HostName host;
    if (!parse_host(request.host.data(), false, host)) continue;
    RouteCursor cursor(table, host, request.path.data());
    found += cursor.next() != nullptr;
  }
  const double lookup = seconds_since(start) / kLookups * 1e9;
  const double again = cpu_seconds();
  for (size_t i = 0; i < kLookups; ++i) {
    const Request& request = requests[i % requests.size()];
    HostName host;
    std::array<char, 256> room;
    if (!parse_host(request.host.data(), false, host)) continue;
    RouteCursor cursor(table, host, normalise_path(request.path.data(), room.data()).path);
    const Route* route = cursor.next();
    if (route == nullptr) continue;
    const Pick picked = pick(*route, {.random = next_random(random)});
    found += picked.target->endpoint()->port() != 0;
  }
  const double whole = seconds_since(again) / kLookups * 1e9;
  std::printf(
      "  lookup %.0f ns (host and route), %.0f ns with path, pick and endpoint; %zu found\n",
      lookup, whole, found);
}

void run(const Shape& shape, size_t routes) {
  std::printf("%s, %zu routes\n", shape.name, routes);
  const std::vector<RouteEdit> edits = shape.make(routes);
  std::vector<RouteEdit> copy = edits;
  const size_t before = heap_bytes();
  std::vector<Publisher::Closure> posted;
  Publisher publisher(
      {}, [&](Publisher::Closure closure) { posted.push_back(std::move(closure)); }, nullptr);
  const auto run_posted = [&] {
    while (!posted.empty()) {
      std::vector<Publisher::Closure> now = std::move(posted);
      posted.clear();
      for (Publisher::Closure& each : now) each();
    }
  };
  double start = cpu_seconds();
  publisher.apply(std::move(copy));
  const double build = seconds_since(start);
  run_posted();
  // `copy` was counted before and has been used up: another one in its place makes it cancel out.
  const std::vector<RouteEdit> in_its_place = edits;
  const auto bytes = static_cast<double>(heap_bytes() - before);
  const auto strings = static_cast<double>(string_bytes(edits, publisher.table()));
  const auto count = static_cast<double>(routes);
  std::printf("  build %.0f ms\n", build * 1e3);
  std::printf("  %.0f bytes a route, %.0f of them strings, %.0f beside them\n", bytes / count,
              strings / count, (bytes - strings) / count);
  run_lookups(edits, publisher.table());

  // One service gets another instance, and loses it again: the edit of every deployment.
  constexpr int kEdits = 2000;
  std::vector<double> times;
  uint64_t random = 1;
  for (int i = 0; i < kEdits; ++i) {
    const RouteEdit& edit = edits[next_random(random) % edits.size()];
    for (const bool add : {true, false}) {
      std::vector<RouteEdit> one = {edit};
      if (add) {
        RouteSpec spec = edit.routes[0];
        spec.instance += "-new";
        spec.destination.port = 7;
        one[0].routes.push_back(std::move(spec));
      }
      start = cpu_seconds();
      publisher.apply(std::move(one));
      run_posted();
      times.push_back(seconds_since(start));
    }
  }
  std::sort(times.begin(), times.end());
  std::printf("  edit %.1f us (median), %.1f us (99 %%), %.1f us (worst)\n",
              times[times.size() / 2] * 1e6, times[times.size() * 99 / 100] * 1e6,
              times.back() * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  const size_t routes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
  for (const Shape& shape : {Shape{"every route its own service and host", all_distinct},
                             Shape{"services of 4 instances, 2 paths", services},
                             Shape{"one host, every route a path", one_host}}) {
    run(shape, routes);
  }
  return 0;
}
