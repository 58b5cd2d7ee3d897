#include "balancer.h"

#include <fmt/core.h>
#include <unistd.h>

#include <utility>

#include "core/http_server.h"
#include "core/line_writer.h"
#include "core/random.h"
#include "core/scope.h"
#include "orchestrator/ui/pages.h"
#include "proxy/access_log.h"
#include "proxy/proxy.h"
#include "proxy/publish.h"
#include "proxy/route_listing.h"

namespace sluice {

namespace {

constexpr std::string_view kJsonType = "application/json; charset=utf-8";
constexpr std::string_view kTextType = "text/plain; charset=utf-8";

Result<proxy::Strategy> parse_strategy(const std::string& text) {
  if (text == "rnd") return proxy::Strategy::kRandom;
  if (text == "rr") return proxy::Strategy::kRoundRobin;
  if (text == "leastconn") return proxy::Strategy::kLeastConnections;
  return fail(Code::kInvalid, "-proxy.strategy {}: want rnd, rr or leastconn", text);
}

Result<proxy::Matcher> parse_matcher(const std::string& text) {
  if (text == "prefix") return proxy::Matcher::kPrefix;
  if (text == "iprefix") return proxy::Matcher::kIprefix;
  if (text == "glob") return proxy::Matcher::kGlob;
  if (text == "segment") return proxy::Matcher::kSegment;
  if (text == "regex") return proxy::Matcher::kRegex;
  return fail(Code::kInvalid, "-proxy.matcher {}: want prefix, iprefix, glob, segment or regex",
              text);
}

/// One listener a comma; what stands behind a semicolon are its options.
Result<std::vector<proxy::ListenSpec>> parse_listeners(const std::string& text) {
  std::vector<proxy::ListenSpec> specs;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    std::string_view one = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    const size_t semicolon = one.find(';');
    const std::string_view options =
        semicolon == std::string_view::npos ? std::string_view() : one.substr(semicolon + 1);
    if (!options.empty() && options != "proto=http") {
      return fail(Code::kUnsupported, "-proxy.addr {}: only proto=http is supported", one);
    }
    Result<Address> address = parse_address(one.substr(0, semicolon));
    if (!address) return pass(address, "-proxy.addr");
    auto socket_address = SocketAddress::make(address->ip, address->port);
    if (!socket_address) return fail(Code::kInvalid, "-proxy.addr {}: not an IP address", one);
    specs.push_back({.address = *socket_address});
  }
  return specs;
}

}  // namespace

struct Balancer::Parts {
  UvLoop& loop;
  std::string tag_prefix;
  std::unique_ptr<proxy::AccessFormat> access_format;
  std::unique_ptr<LineWriter> access_writer;
  std::unique_ptr<proxy::Publisher> publisher;
  std::unique_ptr<proxy::Proxy> proxy;
  std::unique_ptr<HttpServer> admin;

  explicit Parts(UvLoop& on) : loop(on) {}
  ~Parts() {
    if (proxy) proxy->stop();
    proxy.reset();
  }

  Result<void> open_access_log(const Properties& properties);
  Task<void> answer(const HttpServerRequest& request, HttpResponseWriter& writer);
};

Result<void> Balancer::Parts::open_access_log(const Properties& properties) {
  const std::string target = properties.get("log.access.target");
  if (target.empty()) return {};
  if (target != "stdout") {
    return fail(Code::kInvalid, "-log.access.target {}: want stdout, or nothing", target);
  }
  Result<proxy::AccessFormat> format =
      proxy::AccessFormat::compile(properties.get("log.access.format"));
  if (!format) return pass(format, "-log.access.format");
  access_format = std::make_unique<proxy::AccessFormat>(std::move(*format));
  access_writer = std::make_unique<LineWriter>(STDOUT_FILENO);
  return {};
}

Task<void> Balancer::Parts::answer(const HttpServerRequest& request, HttpResponseWriter& writer) {
  if (request.method != "GET" && request.method != "HEAD") {
    (void)co_await writer.respond(405, kTextType, "only GET is answered here\n");
  } else if (request.path == "/health") {
    (void)co_await writer.respond(200, kTextType, "OK\n");
  } else if (request.path == "/" || request.path == "/routes") {
    (void)co_await writer.respond(200, "text/html; charset=utf-8", orchestrator::kRoutesPage);
  } else if (request.path == "/api/routes" && request.find_query("raw") != nullptr) {
    (void)co_await writer.respond(200, kTextType, proxy::routes_text(publisher->table()));
  } else if (request.path == "/api/routes") {
    const int indent = request.find_query("pretty") != nullptr ? 4 : 0;
    (void)co_await writer.respond(200, kJsonType, proxy::routes_json(publisher->table(), indent));
  } else if (request.path == "/api/version") {
    (void)co_await writer.respond(200, kJsonType, "\"" SLUICE_VERSION "\"\n");
  } else {
    (void)co_await writer.respond(404, kTextType, "not found\n");
  }
}

Balancer::Balancer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Balancer::~Balancer() = default;

Result<std::unique_ptr<Balancer>> Balancer::start(UvLoop& loop, Network& network, Log& log,
                                                  const Properties& properties) {
  auto parts = std::make_unique<Parts>(loop);
  parts->tag_prefix = properties.get("registry.consul.tagprefix");
  Result<proxy::Strategy> strategy = parse_strategy(properties.get("proxy.strategy"));
  if (!strategy) return pass(strategy);
  Result<proxy::Matcher> matcher = parse_matcher(properties.get("proxy.matcher"));
  if (!matcher) return pass(matcher);
  Result<std::vector<proxy::ListenSpec>> listeners = parse_listeners(properties.get("proxy.addr"));
  if (!listeners) return pass(listeners);
  Result<int64_t> threads = properties.get_int("proxy.threads");
  if (!threads) return pass(threads);
  Result<int64_t> no_route = properties.get_int("proxy.noroutestatus");
  if (!no_route) return pass(no_route);

  Result<void> access = parts->open_access_log(properties);
  if (!access) return pass(access);

  // The admin page first: it is the cheaper one to give up when an address is in use.
  Result<Address> ui = parse_address(properties.get("ui.addr"));
  if (!ui) return pass(ui, "-ui.addr");
  Result<std::unique_ptr<Listener>> admin = network.listen(*ui);
  if (!admin) return pass(admin, "routes page (-ui.addr)");
  parts->publisher = std::make_unique<proxy::Publisher>(
      proxy::PublisherOptions{.strategy = *strategy, .matcher = *matcher},
      [&loop](Closure closure) { loop.post_from_any_thread(std::move(closure)); }, &log);
  proxy::ProxyOptions options;
  options.listeners = std::move(*listeners);
  options.reactors = static_cast<uint32_t>(*threads);
  options.router.no_route_status = static_cast<uint16_t>(*no_route);
  options.router.log = &log;
  options.worker.access_format = parts->access_format.get();
  options.worker.access_writer = parts->access_writer.get();
  Result<std::unique_ptr<proxy::Proxy>> started =
      proxy::Proxy::start(std::move(options), *parts->publisher, SystemRandom().next());
  if (!started) return pass(started, "balancer (-proxy.addr)");
  parts->proxy = std::move(*started);
  Parts* borrowed = parts.get();
  parts->admin = std::make_unique<HttpServer>(
      loop, std::move(*admin),
      [borrowed](const HttpServerRequest& request, HttpResponseWriter& writer) {
        return borrowed->answer(request, writer);
      });
  return std::unique_ptr<Balancer>(new Balancer(std::move(parts)));
}

Task<void> Balancer::run() {
  co_await parts_->admin->run();
}

Task<void> Balancer::drain() {
  parts_->proxy->drain();
  co_return;
}

proxy::RouteSink& Balancer::routes() {
  return *parts_->publisher;
}

const std::string& Balancer::tag_prefix() const {
  return parts_->tag_prefix;
}

std::vector<Address> Balancer::addresses() const {
  std::vector<Address> all;
  for (const SocketAddress& at : parts_->proxy->addresses()) {
    Result<Address> address = parse_address(at.text());
    if (address) all.push_back(std::move(*address));
  }
  all.push_back(parts_->admin->local());
  return all;
}

void Balancer::say_addresses(Log& log) const {
  for (const SocketAddress& at : parts_->proxy->addresses()) log.info("traffic on {}", at.text());
  log.info("routes page on http://{}/", to_string(parts_->admin->local()));
}

}  // namespace sluice
