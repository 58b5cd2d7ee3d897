// Micro benchmarks of what runs once a request, once a route change and once a job: each a line of
// JSON with the CPU of one call.
//
//   micro [-quick] [NAME]        only those whose name has NAME in it
//
// One thread; its own CPU time, so that what else the machine does counts little. A figure is the
// median of kRuns runs of at least kRunNs each; the spread is half of the distance between the
// quartiles.
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <time.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "The headers of OpenSSL stand before BoringSSL's"
#endif

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/http1.h"
#include "orchestrator/job_hcl.h"
#include "orchestrator/state.h"
#include "proxy/client_hello.h"
#include "proxy/exchange.h"
#include "proxy/headers.h"
#include "proxy/host_path.h"
#include "proxy/pick.h"
#include "proxy/publish.h"

namespace {

using namespace sluice;

constexpr int kRuns = 11;
int64_t run_ns = 50'000'000;
std::string only;

int64_t cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// Keeps the compiler from leaving out what nobody looks at.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

/// `each` is called with the number of the call.
template <class Each>
void bench(const char* name, Each each) {
  if (!only.empty() && std::strstr(name, only.c_str()) == nullptr) return;
  uint64_t calls = 1;
  uint64_t number = 0;
  const auto run = [&] {
    const int64_t start = cpu_ns();
    for (uint64_t i = 0; i < calls; ++i) each(number++);
    return cpu_ns() - start;
  };
  while (run() < run_ns) calls *= 2;
  std::array<double, kRuns> times;
  for (double& time : times) time = static_cast<double>(run()) / static_cast<double>(calls);
  std::sort(times.begin(), times.end());
  const double middle = times[kRuns / 2];
  const double spread = (times[kRuns * 3 / 4] - times[kRuns / 4]) / 2;
  std::printf("{\"name\": \"%s\", \"ns\": %.6g, \"spread_percent\": %.3g}\n", name, middle,
              spread / middle * 100);
  std::fflush(stdout);
}

uint64_t next_random(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

void exchange() {
  using namespace proxy;
  bench("exchange: the five steps of a GET", [](uint64_t) {
    Exchange x;
    x.idempotent = true;
    keep(step(x, {.kind = EventKind::kRequestHead, .end = true}));
    keep(step(x, {.kind = EventKind::kUpstreamReady}));
    keep(step(x, {.kind = EventKind::kResponseHead}));
    keep(step(x, {.kind = EventKind::kResponseData}));
    keep(step(x, {.kind = EventKind::kResponseEnd}));
    CHECK(x.over());
  });
}

constexpr std::string_view kShortHead = "GET / HTTP/1.1\r\nHost: bench.example.com\r\n\r\n";
constexpr std::string_view kBrowserHead =
    "GET /products/shoes/1234?colour=red&size=42 HTTP/1.1\r\n"
    "Host: shop.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://shop.example.com/products/shoes\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; basket=98765; consent=all\r\n"
    "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n"
    "Upgrade-Insecure-Requests: 1\r\nConnection: keep-alive\r\n\r\n";
constexpr std::string_view kResponseHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 44\r\n\r\n";

void heads() {
  using namespace proxy;
  static http1::Head head;
  static std::array<char, 8192> room;
  const http1::Limits limits;
  const HeaderPolicy policy;
  ClientFacts client;
  client.peer = *SocketAddress::make("127.0.0.1", 50'000);
  client.listener_port = 9999;
  client.trusted = true;
  const auto read = [&](std::string_view text) {
    http1::HeadReader reader;
    CHECK(reader.read_request(text, limits, head).state == http1::ReadState::kDone);
    keep(head);
  };
  const auto rewrite = [&](std::string_view text) {
    read(text);
    HeadWriter writer(room.data(), room.size());
    CHECK(write_request_head(writer, head, {.path = head.path}, client, policy));
    keep(room);
  };
  bench("request head of two lines: read", [&](uint64_t) { read(kShortHead); });
  bench("request head of two lines: read and written", [&](uint64_t) { rewrite(kShortHead); });
  bench("request head of a browser: read", [&](uint64_t) { read(kBrowserHead); });
  bench("request head of a browser: read and written", [&](uint64_t) { rewrite(kBrowserHead); });
  bench("response head: read and written", [&](uint64_t) {
    http1::HeadReader reader;
    const http1::ReadResult got =
        reader.read_response(kResponseHead, limits, http1::Method::kGet, head);
    CHECK(got.state == http1::ReadState::kDone);
    HeadWriter writer(room.data(), room.size());
    CHECK(write_response_head(writer, head, {}));
    keep(room);
  });
}

proxy::RouteEdit service(uint64_t n, uint64_t instances, uint64_t change) {
  const std::string name = "service-" + std::to_string(n);
  proxy::RouteEdit edit{.key = name};
  for (uint64_t i = 0; i < instances; ++i) {
    proxy::RouteSpec spec;
    spec.service = name;
    spec.instance = "_" + name + "-" + std::to_string(i + change);
    spec.host = "host-" + std::to_string(n) + ".example.com";
    spec.path = "/";
    spec.destination.host = "10." + std::to_string(n >> 16 & 255) + "." +
                            std::to_string(n >> 8 & 255) + "." + std::to_string(n & 255);
    spec.destination.port = static_cast<uint16_t>(20000 + (i + change) % 40000);
    edit.routes.push_back(std::move(spec));
  }
  return edit;
}

/// A publisher whose control loop is this thread.
struct Published {
  std::vector<proxy::Publisher::Closure> posted;
  proxy::Publisher publisher;

  Published(uint64_t services, uint64_t instances)
      : publisher(
            {}, [this](proxy::Publisher::Closure closure) { posted.push_back(std::move(closure)); },
            nullptr) {
    std::vector<proxy::RouteEdit> edits;
    for (uint64_t n = 0; n < services; ++n) edits.push_back(service(n, instances, 0));
    apply(std::move(edits));
  }
  void apply(std::vector<proxy::RouteEdit> edits) {
    publisher.apply(std::move(edits));
    while (!posted.empty()) {
      std::vector<proxy::Publisher::Closure> now = std::move(posted);
      posted.clear();
      for (proxy::Publisher::Closure& each : now) each();
    }
  }
};

const proxy::Route* find(const proxy::RouteTable& table, std::string_view host_text) {
  proxy::HostName host;
  CHECK(proxy::parse_host(host_text, false, host));
  return proxy::RouteCursor(table, host, "/index.html").next();
}

void routes() {
  constexpr uint64_t kMany = 100'000;
  for (const uint64_t services : {uint64_t{1}, kMany}) {
    Published published(services, 1);
    const bool many = services == kMany;
    std::vector<std::string> hosts;
    uint64_t random = 88172645463325252;
    for (int i = 0; i < 4096; ++i) {
      hosts.push_back("host-" + std::to_string(next_random(random) % services) + ".example.com");
    }
    bench(
        many ? "route lookup, 100,000 routes, hosts at random" : "route lookup, 1 route",
        [&](uint64_t i) { CHECK(find(published.publisher.table(), hosts[i % 4096]) != nullptr); });
    bench(many ? "route change until it is live, 100,000 routes"
               : "route change until it is live, 1 route",
          [&](uint64_t i) {
            std::vector<proxy::RouteEdit> one;
            one.push_back(service(next_random(random) % services, 1, 1 + i % 2));
            published.apply(std::move(one));
          });
  }
  Published published(1, 16);
  const proxy::Route* route = find(published.publisher.table(), "host-0.example.com");
  CHECK(route != nullptr);
  uint64_t random = 1;
  bench("pick among 16 endpoints", [&](uint64_t) {
    const proxy::Pick picked = proxy::pick(*route, {.random = next_random(random)});
    CHECK(picked.outcome == proxy::PickOutcome::kPicked);
    keep(picked);
  });
}

/// A library's own hello, as clients send it: GREASE, TLS 1.3, a server name.
std::string make_hello(const char* name) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_method()),
                                                                  SSL_CTX_free);
  SSL_CTX_set_grease_enabled(context.get(), 1);
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  CHECK(SSL_set_tlsext_host_name(ssl.get(), name) == 1);
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl.get());
  CHECK(SSL_do_handshake(ssl.get()) == -1);
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  CHECK(BIO_mem_contents(out, &bytes, &size) == 1);
  return {reinterpret_cast<const char*>(bytes), size};
}

void hello() {
  using proxy::ClientHelloReader;
  const std::string bytes = make_hello("shop.example.com");
  bench("ClientHello: server name found", [&](uint64_t) {
    ClientHelloReader::Scratch scratch;
    ClientHelloReader reader;
    CHECK(reader.read(bytes, scratch) == ClientHelloReader::State::kDone);
    keep(reader.server_name());
  });
}

constexpr std::string_view kJobFile = R"(
variable "version" { default = "v1" }
locals { name = "web-${var.version}" }
job "web" {
  datacenters = ["dc1"]
  group "web" {
    count = 3
    update { max_parallel = 1 }
    network {
      port "http" { to = 8080 }
    }
    service {
      name = "web"
      port = "http"
      tags = ["urlprefix-www.example.com/", "urlprefix-/api strip=/api"]
      check {
        type = "http"
        path = "/health"
        interval = "10s"
        timeout = "2s"
      }
    }
    task "web" {
      driver = "docker"
      config {
        image = "example/web:${var.version}"
        ports = ["http"]
      }
      env { NAME = local.name }
      resources {
        cpu = 100
        memory = 128
      }
    }
  }
}
)";

void job_file() {
  bench("job file of 37 lines to JSON", [](uint64_t) {
    const Result<Json> job = orchestrator::parse_job_hcl("web.nomad", std::string(kJobFile));
    CHECK(job.has_value());
    keep(*job);
  });
}

void state() {
  using namespace orchestrator;
  constexpr uint64_t kAllocs = 100'000;
  State state;
  auto job = std::make_shared<Job>();
  job->id = job->name = "web";
  job->namespace_ = "default";
  job->groups.push_back({.name = "web"});
  Commit first;
  first.jobs.push_back(job);
  std::vector<std::string> ids;
  uint64_t random = 88172645463325252;
  for (uint64_t i = 0; i < kAllocs; ++i) {
    auto alloc = std::make_shared<Allocation>();
    std::array<char, 40> id;
    std::snprintf(id.data(), id.size(), "%016llx-%08llx",
                  static_cast<unsigned long long>(next_random(random)),
                  static_cast<unsigned long long>(i));
    alloc->id = id.data();
    alloc->name = "web.web[" + std::to_string(i) + "]";
    alloc->job = job;
    alloc->group = "web";
    alloc->node_id = "node-" + std::to_string(i % 500);
    ids.push_back(alloc->id);
    first.allocs.push_back(std::move(alloc));
  }
  state.apply(first);
  bench("snapshot of 100,000 allocations", [&](uint64_t) { keep(state.snapshot()); });
  bench("commit of one allocation among 100,000, snapshot before it", [&](uint64_t i) {
    const Snapshot before = state.snapshot();
    auto changed = std::make_shared<Allocation>(*before.alloc(ids[i * 7919 % kAllocs]));
    changed->client_status = ClientStatus::kRunning;
    Commit commit;
    commit.allocs.push_back(std::move(changed));
    state.apply(commit);
    keep(before);
  });
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "-quick") == 0) {
      run_ns = 5'000'000;
    } else {
      only = argv[i];
    }
  }
  exchange();
  heads();
  hello();
  routes();
  job_file();
  state();
  return 0;
}
