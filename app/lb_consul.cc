#include "app/lb_consul.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "app/consul_overrides.h"
#include "core/scope.h"
#include "core/socket.h"
#include "drivers/consul/catalog.h"
#include "drivers/consul/kv.h"
#include "drivers/consul/reach.h"
#include "orchestrator/route_source.h"

namespace sluice {

namespace {

constexpr int64_t kDeregisterMs = 2'000;
constexpr int64_t kNamesLookMs = 500;  // it looks at every route, where any has changed
constexpr size_t kMaxFetches = 64;     // Consul allows 200 connections a client

/// The first address of an interface that others may reach; loopback if there is none.
std::string first_address() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return "127.0.0.1";
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owned(list, ::freeifaddrs);
  for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    if ((each->ifa_flags & IFF_LOOPBACK) != 0 || (each->ifa_flags & IFF_UP) == 0) continue;
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(each->ifa_addr);
    return SocketAddress::from_bytes(reinterpret_cast<const uint8_t*>(&v4->sin_addr), false, 0)
        .ip();
  }
  return "127.0.0.1";
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

bool is_any(const std::string& ip) {
  return ip == "0.0.0.0" || ip == "::";
}

/// The balancer as a service, checked by its own /health.
Result<orchestrator::ServiceRegistration> own_registration(const Properties& properties,
                                                           const Address& admin) {
  Address at = admin;
  if (properties.is_set("registry.consul.register.addr")) {
    Result<Address> given = parse_address(properties.get("registry.consul.register.addr"));
    if (!given) return pass(given, "-registry.consul.register.addr");
    at = *given;
  }
  if (is_any(at.ip)) {
    const std::string local = properties.get("proxy.localip");
    at.ip = local.empty() ? first_address() : local;
  }
  const bool v6 = at.ip.find(':') != std::string::npos;
  orchestrator::ServiceCheck check{.id = "health",
                                   .name = "Service check",
                                   .type = "http",
                                   .address = v6 ? "[" + at.ip + "]" : at.ip,
                                   .port = at.port,
                                   .path = "/health"};
  check.interval_ms = properties.get_duration_ms("registry.consul.register.checkInterval");
  check.timeout_ms = properties.get_duration_ms("registry.consul.register.checkTimeout");
  // The id is the registrar's prefix too, and must not begin that of a balancer on port 99980.
  orchestrator::ServiceRegistration own{
      .id = fmt::format("{}-{}-{}-lb", properties.get("registry.consul.register.name"), host_name(),
                        at.port),
      .name = properties.get("registry.consul.register.name"),
      .tags = properties.get_list("registry.consul.register.tags"),
      .meta = {},
      .address = at.ip,
      .port = at.port,
      .checks = {check}};
  if (own.name.empty()) return fail(Code::kInvalid, "-registry.consul.register.name is empty");
  return own;
}

class ConsulRegistry final : public Registry {
 public:
  struct Options {
    std::string kv_path;
    std::string no_route_path;
    std::optional<orchestrator::ServiceRegistration> own;
    drivers::ConsulOptions consul;
  };

  ConsulRegistry(Env env, Log& log, Balancer& balancer, Options options)
      : env_(env),
        log_(log),
        balancer_(balancer),
        options_(std::move(options)),
        routes_(env.executor, balancer.routes(), balancer.tag_prefix()),
        api_(env.executor, env.network, options_.consul.api),
        kv_(env, log, api_),
        catalog_(env, log, options_.consul),
        overrides_(kv_, balancer, options_.kv_path, [this] { note_known(); }) {}

  /// Nothing of it may change while it runs.
  void reload(const Properties&) override {}

  Task<void> run() override {
    catalog_.watch([this](std::vector<orchestrator::ServiceSnapshot> changed) {
      routes_.apply(std::move(changed));
      note_known();
    });
    Scope scope(env_.executor);
    if (options_.own) scope.spawn(register_self());
    scope.spawn(catalog_.run());
    scope.spawn(overrides_.run());
    if (!options_.no_route_path.empty()) {
      scope.spawn(kv_.follow(
          options_.no_route_path, false, [this](const std::vector<drivers::ConsulKvEntry>& found) {
            balancer_.set_no_route_page(found.empty() ? std::string() : found[0].value);
          }));
    }
    co_await scope.join();
  }

  Task<void> deregister() override {
    if (!options_.own) co_return;
    leaving_ = true;
    catalog_.set_registrations(options_.own->id, {});
    for (const orchestrator::ServiceRegistration& each : registrations()) {
      Result<void> done = co_await with_timeout(
          env_.executor, kDeregisterMs,
          api_.put("/v1/agent/service/deregister/" + percent_encode(each.id), Json()));
      if (!done && done.error().code != Code::kNotFound) {
        log_.warn("deregister {}: {}", each.id, done.error().message);
      }
    }
  }

 private:
  /// The balancer under its own name, and under each that `register=` asks for.
  std::vector<orchestrator::ServiceRegistration> registrations() const {
    std::vector<orchestrator::ServiceRegistration> all = {*options_.own};
    for (const std::string& name : names_) {
      all.push_back(*options_.own);
      all.back().id = fmt::format("{}-{}", options_.own->id, name);
      all.back().name = name;
    }
    return all;
  }

  Task<void> register_self() {
    uint64_t version = UINT64_MAX;  // of the table that was looked at
    bool registered = false;
    while (!leaving_) {
      auto names = balancer_.register_names(version);
      if (names && (!registered || *names != names_)) {
        names_ = *std::move(names);
        catalog_.set_registrations(options_.own->id, registrations());
        registered = true;
      }
      co_await sleep_for(env_.executor, kNamesLookMs);
    }
  }

  /// Not before both are there: services without their overrides would be other routes.
  void note_known() {
    if (catalog_.complete() && overrides_.known()) balancer_.routes_known();
  }

  Env env_;
  Log& log_;
  Balancer& balancer_;
  Options options_;
  orchestrator::RouteSource routes_;
  drivers::ConsulApi api_;
  drivers::ConsulKv kv_;
  drivers::ConsulCatalog catalog_;
  ConsulOverrides overrides_;
  bool leaving_ = false;
  std::set<std::string> names_;  // of register=
};

}  // namespace

Result<std::unique_ptr<Registry>> make_consul_registry(Env env, Log& log, Balancer& balancer,
                                                       const Properties& properties) {
  ConsulRegistry::Options options;
  const drivers::ConsulReach reach{
      .address = properties.get("registry.consul.addr"),
      .files = {.ca_file = properties.get("registry.consul.tls.cafile"),
                .ca_folder = properties.get("registry.consul.tls.capath"),
                .certificate_file = properties.get("registry.consul.tls.certfile"),
                .key_file = properties.get("registry.consul.tls.keyfile")},
      .skip_verify = properties.get_bool("registry.consul.tls.insecureskipverify")};
  Result<void> reached = drivers::reach_consul(env.disk, reach, options.consul.api);
  if (!reached) return pass(reached, "-registry.consul.addr");
  Result<std::string> place = overrides_place(properties);
  if (!place) return pass(place);
  options.kv_path = *std::move(place);
  options.no_route_path = properties.get("registry.consul.noroutehtmlpath");
  if (properties.get_bool("registry.consul.register.enabled")) {
    auto own = own_registration(properties, balancer.admin_address());
    if (!own) return pass(own);
    options.own = *std::move(own);
  }
  drivers::ConsulOptions& consul = options.consul;
  consul.api.token = properties.get("registry.consul.token");
  consul.api.ns = properties.get("registry.consul.namespace");
  consul.api.allow_stale = properties.get_bool("registry.consul.allowStale");
  consul.api.consistent = properties.get_bool("registry.consul.requireConsistent");
  if (consul.api.allow_stale && consul.api.consistent) {
    return fail(Code::kInvalid,
                "-registry.consul.allowStale and -registry.consul.requireConsistent exclude each "
                "other");
  }
  consul.view.tag_prefix = balancer.tag_prefix();
  consul.health.statuses = properties.get_list("registry.consul.service.status");
  const std::string required = properties.get("registry.consul.checksRequired");
  if (required != "one" && required != "all") {
    return fail(Code::kInvalid, "-registry.consul.checksRequired {}: want one or all", required);
  }
  consul.health.all_checks = required == "all";
  consul.fetches_at_once = std::clamp<size_t>(
      static_cast<size_t>(properties.get_int("registry.consul.serviceMonitors")), 1, kMaxFetches);
  return std::make_unique<ConsulRegistry>(env, log, balancer, std::move(options));
}

}  // namespace sluice
