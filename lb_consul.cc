#include "lb_consul.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "core/resolve.h"
#include "core/scope.h"
#include "core/socket.h"
#include "core/tls/client_files.h"
#include "drivers/consul/catalog.h"
#include "drivers/consul/kv.h"
#include "orchestrator/command_source.h"
#include "orchestrator/route_source.h"

namespace sluice {

namespace {

constexpr int64_t kResolveRetryMs = 1'000;
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

class ConsulRegistry final : public Registry, private ManualOverrides {
 public:
  struct Options {
    std::string address;
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
        routes_(env.executor, balancer.routes(), balancer.tag_prefix()) {
    balancer_.set_overrides(this);
  }
  ~ConsulRegistry() override { balancer_.set_overrides(nullptr); }

  /// Nothing of it may change while it runs.
  void reload(const Properties&) override {}

  Task<void> run() override {
    options_.consul.api.address = co_await find_consul();
    connection_.emplace(env_, log_, options_.consul);
    connection_->catalog.watch([this](std::vector<orchestrator::ServiceSnapshot> changed) {
      routes_.apply(std::move(changed));
      note_known();
    });
    Scope scope(env_.executor);
    if (options_.own) scope.spawn(register_self());
    scope.spawn(connection_->catalog.run());
    scope.spawn(connection_->kv.follow(
        options_.kv_path, true,
        [this](const std::vector<drivers::ConsulKvEntry>& entries) { take_overrides(entries); }));
    if (!options_.no_route_path.empty()) {
      scope.spawn(connection_->kv.follow(
          options_.no_route_path, false, [this](const std::vector<drivers::ConsulKvEntry>& found) {
            balancer_.set_no_route_page(found.empty() ? std::string() : found[0].value);
          }));
    }
    co_await scope.join();
  }

  Task<void> deregister() override {
    if (!options_.own || !connection_) co_return;
    leaving_ = true;
    connection_->catalog.set_registrations(options_.own->id, {});
    for (const orchestrator::ServiceRegistration& each : registrations()) {
      Result<void> done = co_await with_timeout(
          env_.executor, kDeregisterMs,
          connection_->api.put("/v1/agent/service/deregister/" + percent_encode(each.id), Json()));
      if (!done && done.error().code != Code::kNotFound) {
        log_.warn("deregister {}: {}", each.id, done.error().message);
      }
    }
  }

 private:
  struct Connection {
    Connection(Env env, Log& log, const drivers::ConsulOptions& options)
        : api(env.executor, env.network, options.api),
          kv(env, log, api),
          catalog(env, log, options) {}
    drivers::ConsulApi api;
    drivers::ConsulKv kv;
    drivers::ConsulCatalog catalog;
  };

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
        connection_->catalog.set_registrations(options_.own->id, registrations());
        registered = true;
      }
      co_await sleep_for(env_.executor, kNamesLookMs);
    }
  }

  Task<Address> find_consul() {
    std::string said;
    while (true) {
      Result<Address> found = co_await resolve(env_.executor, options_.address);
      if (found) co_return *std::move(found);
      if (std::exchange(said, found.error().message) != said) {
        log_.warn("-registry.consul.addr: {}; trying again", said);
      }
      co_await sleep_for(env_.executor, kResolveRetryMs);
    }
  }

  /// Not before both are there: services without their overrides would be other routes.
  void note_known() {
    if (connection_->catalog.complete() && overrides_known_) balancer_.routes_known();
  }

  void take_overrides(const std::vector<drivers::ConsulKvEntry>& entries) {
    std::string commands;
    const std::string place = drivers::consul_key(options_.kv_path);
    for (const drivers::ConsulKvEntry& entry : entries) {
      // "fabio/config" and "fabio/config/x", not "fabio/configuration".
      if (entry.key != place && !entry.key.starts_with(place + "/")) continue;
      commands += fmt::format("# --- {}\n{}\n", entry.key, entry.value);
    }
    balancer_.routes().apply({orchestrator::command_edit("overrides", std::move(commands),
                                                         orchestrator::kOverrideLayer)});
    overrides_known_ = true;
    note_known();
  }

  // ManualOverrides
  Task<Result<std::vector<std::string>>> paths() override {
    if (!connection_) co_return away();
    auto entries = co_await connection_->kv.list(options_.kv_path);
    if (!entries) co_return pass(entries);
    const std::string place = drivers::consul_key(options_.kv_path);
    std::vector<std::string> keys;
    for (const drivers::ConsulKvEntry& entry : *entries) {
      if (entry.key == place || entry.key.starts_with(place + "/")) {
        keys.push_back(entry.key.substr(place.size()));
      }
    }
    co_return keys;
  }
  Task<Result<Value>> read(std::string key) override {
    if (!connection_) co_return away();
    auto entry = co_await connection_->kv.read(options_.kv_path + key);
    if (!entry) co_return pass(entry);
    if (!*entry) co_return Value{};
    co_return Value{.value = (*entry)->value, .version = (*entry)->index};
  }
  Task<Result<bool>> write(std::string key, Value value) override {
    if (!connection_) co_return away();
    co_return co_await connection_->kv.write(options_.kv_path + key, std::move(value.value),
                                             value.version);
  }
  std::unexpected<Error> away() const {
    return fail(Code::kUnavailable, "Consul's address, {}, is not known yet", options_.address);
  }

  Env env_;
  Log& log_;
  Balancer& balancer_;
  Options options_;
  orchestrator::RouteSource routes_;
  std::optional<Connection> connection_;
  bool overrides_known_ = false;
  bool leaving_ = false;
  std::set<std::string> names_;  // of register=
};

/// Where Consul is, and how it is spoken to.
Result<void> reach_consul(Disk& disk, const Properties& properties,
                          ConsulRegistry::Options& options) {
  std::string address = properties.get("registry.consul.addr");
  const bool https = address.starts_with("https://");
  if (https) address.erase(0, 8);
  if (address.starts_with("http://")) address.erase(0, 7);
  options.address = address.substr(0, address.find('/'));
  const size_t after_v6 = options.address.starts_with('[') ? options.address.find(']') : 0;
  const size_t colon = options.address.find(':', std::min(after_v6, options.address.size()));
  const std::string host = options.address.substr(0, colon);
  if (colon == std::string::npos) options.address += https ? ":8501" : ":8500";
  const tls::ClientFiles files{
      .ca_file = properties.get("registry.consul.tls.cafile"),
      .ca_folder = properties.get("registry.consul.tls.capath"),
      .certificate_file = properties.get("registry.consul.tls.certfile"),
      .key_file = properties.get("registry.consul.tls.keyfile"),
  };
  if (!https) {
    if (files.ca_file.empty() && files.ca_folder.empty() && files.certificate_file.empty()) {
      return {};
    }
    return fail(Code::kInvalid, "-registry.consul.tls.*: want -registry.consul.addr=https://{}",
                options.address);
  }
  auto context = tls::load_client(disk, files);
  if (!context) return pass(context, "-registry.consul.tls");
  drivers::ConsulApiOptions& api = options.consul.api;
  api.tls = *std::move(context);
  api.tls_server_name = host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
  api.tls_skip_verify = properties.get_bool("registry.consul.tls.insecureskipverify");
  return {};
}

}  // namespace

Result<std::unique_ptr<Registry>> make_consul_registry(Env env, Log& log, Balancer& balancer,
                                                       const Properties& properties) {
  ConsulRegistry::Options options;
  Result<void> reached = reach_consul(env.disk, properties, options);
  if (!reached) return pass(reached);
  options.kv_path = properties.get("registry.consul.kvpath");
  while (options.kv_path.ends_with('/')) options.kv_path.pop_back();
  if (options.kv_path.empty()) return fail(Code::kInvalid, "-registry.consul.kvpath is empty");
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
