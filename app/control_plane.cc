#include "app/control_plane.h"

#include <limits.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "app/agent_catalog.h"
#include "app/agent_drivers.h"
#include "app/api_tls.h"
#include "app/balancer_meter.h"
#include "app/consul_overrides.h"
#include "core/http_server.h"
#include "core/scope.h"
#include "core/tls/network.h"
#include "core/tls/trust.h"
#include "drivers/consul/catalog.h"
#include "drivers/consul/reach.h"
#include "drivers/embedded/catalog.h"
#include "drivers/exec/isolate.h"
#include "drivers/sqlite/store.h"
#include "orchestrator/api/api.h"
#include "orchestrator/autoscale.h"
#include "orchestrator/canary_judge.h"
#include "orchestrator/node/node_agent.h"
#include "orchestrator/route_source.h"
#include "orchestrator/server.h"

namespace sluice {

using namespace orchestrator;

namespace {

constexpr int64_t kStopTimeoutMs = 25'000;  // of -dev: for all tasks to end

}  // namespace

/// In the order in which they are made; taken down in the reverse.
struct ControlPlane::Parts {
  explicit Parts(const ControlPlaneBase& base) : on(base) {}
  ~Parts() {
    if (scaler) on.balancer->set_on_wake({});
    scope.reset();  // the tasks of all parts first, then the parts
  }

  const ControlPlaneBase on;
  std::shared_ptr<const tls::ClientContext> tls;           // of https checks and artifacts
  const bool exec_enabled = drivers::exec::may_isolate();  // never without isolation
  tls::Keyrings api_tickets;                               // of the API's TLS
  std::vector<std::string> api_names;                      // that its callers may know it by
  tls::TlsListener* api_tls = nullptr;                     // in api_listener, then in api_server
  std::unique_ptr<Listener> api_listener;                  // until the API takes it
  Metrics metrics{on.loop};
  std::unique_ptr<Store> store;
  std::unique_ptr<Server> server;
  std::unique_ptr<Catalog> catalog;
  drivers::EmbeddedCatalog* embedded = nullptr;  // the same, without Consul
  std::unique_ptr<CatalogDoors> catalog_doors;   // with it
  std::unique_ptr<RouteSource> routes;
  std::unique_ptr<drivers::ConsulApi> consul;  // these three with Consul and a balancer
  std::unique_ptr<drivers::ConsulKv> consul_kv;
  std::unique_ptr<ConsulOverrides> overrides;
  std::unique_ptr<drivers::exec::SupervisorClient> supervisor;
  std::unique_ptr<BalancerMeter> meter;  // these three with a balancer
  std::unique_ptr<Autoscaler> scaler;
  std::unique_ptr<CanaryJudge> judge;
  std::unique_ptr<NodeAgent> node;
  std::unique_ptr<Api> api;
  std::unique_ptr<HttpServer> api_server;
  std::unique_ptr<Scope> scope = std::make_unique<Scope>(on.loop);
  std::unique_ptr<Scope> accepting = std::make_unique<Scope>(on.loop);  // new connections

  Task<Result<void>> start();
  Task<Result<void>> start_server();
  void load_authorities();
  void take_names(std::vector<std::string> of_certificate);
  Result<void> make_catalog();
  Task<Result<void>> start_node();
  void start_api();
  void follow_requests();
  Task<void> rotate_tickets();
  std::vector<ReservedPort> own_ports() const;
  Task<void> stop_tasks();
};

Task<Result<void>> ControlPlane::Parts::start_server() {
  if (on.config.dev) {
    // What an earlier -dev agent left running in this folder, if it was killed, is ended by this
    // one.
    Result<LocalCluster> left = LocalState(on.env, client_folder(on.folder)).load_cluster();
    if (!left) co_return pass(left);
    store = std::make_unique<MemoryStore>(ClusterMeta{left->cluster_id, left->term}, left->index);
  } else {
    store = std::make_unique<drivers::SqliteStore>(on.loop, server_folder(on.folder));
  }
  ServerOptions options;
  options.region = on.config.region;
  options.datacenter = on.config.datacenter;
  options.drivers = {"docker", "exec"};
  if (on.config.raw_exec_enabled) options.drivers.push_back("raw_exec");
  for (const std::string_view kind : catalog->check_kinds()) options.check_kinds.emplace_back(kind);
  options.validate_config = [this](std::string_view driver, const Json& block) -> Result<void> {
    TaskDriver* found = node ? node->context().driver(std::string(driver)) : nullptr;
    return found != nullptr ? found->validate(block) : Result<void>();
  };
  options.metrics = &metrics;
  server = std::make_unique<Server>(on.env, on.log, *store, std::move(options));
  co_return co_await server->start();
}

/// As other programs have it: SSL_CERT_FILE, else the system's bundle.
void ControlPlane::Parts::load_authorities() {
  const char* named = std::getenv("SSL_CERT_FILE");
  auto authorities = tls::system_authorities(on.env.disk, named ? named : "");
  if (!authorities) {
    on.log.warn("SSL_CERT_FILE: {}: no https server is trusted", authorities.error().message);
    authorities = tls::Authorities::load_bundle("");
  }
  tls = tls::ClientContext::make(*std::move(authorities));
}

Result<void> ControlPlane::Parts::make_catalog() {
  if (on.config.consul) {
    const ConsulConfig& of = *on.config.consul;
    drivers::ConsulOptions options;
    Result<void> reached = drivers::reach_consul(on.env.disk,
                                                 {.address = of.address,
                                                  .tls = of.ssl,
                                                  .files = {.ca_file = of.ca_file,
                                                            .ca_folder = {},
                                                            .certificate_file = of.cert_file,
                                                            .key_file = of.key_file},
                                                  .skip_verify = !of.verify_ssl},
                                                 options.api);
    if (!reached) return pass(reached, "consul");
    options.api.token = of.token;
    options.api.datacenter = of.datacenter;
    options.api.ns = of.ns;
    options.api.allow_stale = of.allow_stale;
    if (on.balancer != nullptr) {
      Result<std::string> place = overrides_place(on.properties);
      if (!place) return pass(place);
      consul = std::make_unique<drivers::ConsulApi>(on.loop, on.network, options.api);
      consul_kv = std::make_unique<drivers::ConsulKv>(on.env, on.log, *consul);
      overrides =
          std::make_unique<ConsulOverrides>(*consul_kv, *on.balancer, *std::move(place), [] {});
    }
    catalog = std::make_unique<drivers::ConsulCatalog>(on.env, on.log, std::move(options));
  } else {
    auto own = std::make_unique<drivers::EmbeddedCatalog>(
        on.env, on.log,
        drivers::EmbeddedOptions{
            .datacenter = on.config.datacenter, .node_name = on.config.name, .tls = tls});
    embedded = own.get();
    catalog = std::move(own);
  }
  if (on.balancer == nullptr) return {};
  routes = std::make_unique<RouteSource>(on.loop, on.balancer->routes(), on.balancer->tag_prefix());
  routes->inherit(on.balancer->take_inherited(), on.predecessor_gone);
  catalog->watch(
      [this](std::vector<ServiceSnapshot> changed) { routes->apply(std::move(changed)); });
  return {};
}

/// Our own listeners, and what the configuration names: nothing scheduled takes these ports.
std::vector<ReservedPort> ControlPlane::Parts::own_ports() const {
  std::vector<ReservedPort> ports;
  ports.push_back(
      {.address = on.config.bind_addr, .port = on.config.http_port, .reason = "jobs API"});
  if (on.balancer != nullptr) {
    for (const Address& at : on.balancer->addresses()) {
      ports.push_back({.address = at.ip, .port = at.port, .reason = "balancer"});
    }
  }
  for (const Address& at : catalog_doors ? catalog_doors->addresses() : std::vector<Address>()) {
    ports.push_back({.address = at.ip, .port = at.port, .reason = "catalog"});
  }
  const std::vector<uint16_t> named =
      *parse_port_list(on.config.reserved_ports);  // checked at start
  for (const uint16_t port : named) {
    ports.push_back({.address = "", .port = port, .reason = "reserved in the configuration"});
  }
  return ports;
}

Task<Result<void>> ControlPlane::Parts::start_node() {
  if (!on.config.client_enabled) co_return Result<void>();
  LocalState local(on.env, client_folder(on.folder));
  Result<std::string> node_id = local.load_node_id();
  if (!node_id) co_return pass(node_id);
  Result<LocalCluster> own = local.load_cluster();
  if (!own) co_return pass(own);
  // What runs here carries the mark of the cluster that the node is of, whatever the store says.
  const std::string cluster_id =
      own->cluster_id.empty() ? server->snapshot().meta().cluster_id : own->cluster_id;
  NodeContext context{.env = on.env,
                      .log = on.log,
                      .catalog = *catalog,
                      .drainer = routes.get(),
                      .options = {.data_folder = on.folder.path(),
                                  .region = on.config.region,
                                  .drain_timeout_ms = on.config.drain_timeout_ms,
                                  .gc = on.config.gc,
                                  .reservable_cores = *parse_cpu_list(on.config.reservable_cores),
                                  .reserved_cores = *parse_cpu_list(on.config.reserved_cores),
                                  .metrics = &metrics},
                      .tls = tls,
                      .cluster_id = {},
                      .node = {},
                      .drivers = make_drivers(on, exec_enabled, cluster_id, *node_id, supervisor)};
  Node& node_facts = context.node;
  node_facts.name = on.config.name;
  if (!exec_enabled) {
    // It is never asked, but jobs wait for it and `node status` says why.
    node_facts.drivers["exec"] = {.description = std::string(kNoExec),
                                  .attributes = {},
                                  .update_time = TimeStamp{on.env.executor.wall_ns()}};
  }
  node_facts.datacenter = on.config.datacenter;
  node_facts.node_class = on.config.node_class;
  node_facts.meta = on.config.meta;
  node_facts.host_volumes = on.config.host_volumes;
  node_facts.ip = on.config.advertise_ip;
  node_facts.min_dynamic_port = on.config.min_dynamic_port;
  node_facts.max_dynamic_port = on.config.max_dynamic_port;
  node_facts.reserved_cpu_mhz = on.config.reserved_cpu_mhz;
  node_facts.reserved_memory_mb = on.config.reserved_memory_mb;
  node_facts.reserved_disk_mb = on.config.reserved_disk_mb;
  node_facts.reserved_ports = own_ports();
  node = std::make_unique<NodeAgent>(std::move(context), server->node_link());
  co_return co_await node->start();
}

void ControlPlane::Parts::start_api() {
  api = std::make_unique<Api>(on.env, on.log, *server, node.get(),
                              ApiOptions{.name = on.config.name,
                                         .address = on.config.bind_addr,
                                         .port = on.config.http_port,
                                         .hosts = api_names,
                                         .dev = on.config.dev,
                                         .acl_enabled = on.config.acl_enabled,
                                         .metrics = &metrics});
  api_server = std::make_unique<HttpServer>(
      on.loop, std::move(api_listener),
      [this](const HttpServerRequest& request, HttpResponseWriter& writer) {
        return api->handle(request, writer);
      });
}

/// The certificate's, this agent's and its machine's: a page from elsewhere comes by none of them.
void ControlPlane::Parts::take_names(std::vector<std::string> of_certificate) {
  api_names = std::move(of_certificate);
  if (!on.config.name.empty()) api_names.push_back(on.config.name);
  char host[HOST_NAME_MAX + 1] = {};
  if (::gethostname(host, sizeof host - 1) == 0) api_names.emplace_back(host);
}

Task<void> ControlPlane::Parts::rotate_tickets() {
  for (;;) {
    co_await sleep_for(on.loop, tls::Keyring::kRotateMs);
    api_tickets.rotate(on.loop.now_ms());
  }
}

Task<Result<void>> ControlPlane::Parts::start() {
  load_authorities();
  Result<void> done = make_catalog();
  if (done) done = co_await start_server();
  if (done) done = co_await start_node();
  if (!done) co_return done;
  start_api();
  if (on.config.tls.http) scope->spawn(rotate_tickets());
  scope->spawn(server->run());
  if (routes) follow_requests();
  scope->spawn(catalog->run());
  if (overrides) scope->spawn(overrides->run());
  if (node) scope->spawn(node->run());
  accepting->spawn(api_server->run());
  on.log.info("jobs API on {}://{}:{}", on.config.tls.http ? "https" : "http", on.config.bind_addr,
              on.config.http_port);
  if (catalog_doors) {
    catalog_doors->serve(embedded->table(), read_node(on.config, *server, node.get()), *scope);
  }
  co_return Result<void>();
}

/// What is measured of requests changes counts and ends deployments.
void ControlPlane::Parts::follow_requests() {
  meter = std::make_unique<BalancerMeter>(*on.balancer, *routes);
  scaler = std::make_unique<Autoscaler>(
      on.env, on.log, *server, *meter,
      [this](std::vector<GroupService> services) { routes->set_sleeping(std::move(services)); });
  on.balancer->set_on_wake([this](const std::string& service) { scaler->wake(service); });
  judge = std::make_unique<CanaryJudge>(on.env, on.log, *server, *meter);
  scope->spawn(scaler->run());
  scope->spawn(judge->run());
}

Task<void> ControlPlane::Parts::stop_tasks() {
  if (!node) co_return;
  auto all = [](NodeAgent& agent) -> Task<Result<void>> {
    co_await agent.stop_all_tasks();
    co_return Result<void>();
  };
  Result<void> ended = co_await with_timeout(on.loop, kStopTimeoutMs, all(*node));
  if (!ended) on.log.warn("tasks are still running after {} ms", kStopTimeoutMs);
  if (supervisor) {
    Result<void> left = co_await supervisor->leave();
    if (!left) on.log.warn("supervisor: {}", left.error().message);
  }
  Result<void> forgotten = on.env.disk.remove_tree(client_folder(on.folder));
  if (!forgotten) on.log.warn("{}", forgotten.error().message);
}

ControlPlane::ControlPlane(const ControlPlaneBase& on) : parts_(std::make_unique<Parts>(on)) {}

ControlPlane::~ControlPlane() = default;

Result<void> ControlPlane::listen() {
  const ControlPlaneBase& on = parts_->on;
  Result<std::unique_ptr<Listener>> listener =
      on.network.listen(Address{.ip = on.config.bind_addr, .port = on.config.http_port});
  if (!listener) return pass(listener, "jobs API");
  parts_->api_listener = std::move(*listener);
  parts_->take_names({});
  if (on.config.tls.http) {
    Result<ApiTlsContext> tls =
        load_api_tls(on.env.disk, on.config.tls, parts_->api_tickets, on.loop.now_ms());
    if (!tls) return pass(tls);
    parts_->take_names(std::move(tls->names));
    auto secured = std::make_unique<tls::TlsListener>(std::move(parts_->api_listener),
                                                      std::move(tls->context));
    parts_->api_tls = secured.get();
    parts_->api_listener = std::move(secured);
  }
  return CatalogDoors::open(on.env, on.log, on.config, parts_->catalog_doors);
}

Task<Result<void>> ControlPlane::start() {
  return parts_->start();
}

Task<void> ControlPlane::finish_calls(int64_t limit_ms) {
  parts_->accepting.reset();
  if (!parts_->api_server) co_return;
  co_await parts_->api_server->close_listener();
  co_await parts_->api_server->finish(limit_ms);
}

void ControlPlane::reload_certificates(const ApiTls& files) {
  const ControlPlaneBase& on = parts_->on;
  if (files.http != (parts_->api_tls != nullptr)) {
    on.log.warn("SIGHUP: tls http has changed: only a new agent takes that");
    return;
  }
  if (!files.http) return;
  Result<ApiTlsContext> tls =
      load_api_tls(on.env.disk, files, parts_->api_tickets, on.loop.now_ms());
  if (!tls) {
    on.log.error("SIGHUP: {}; the jobs API keeps the certificate that it has", tls.error().message);
    return;
  }
  parts_->api_tls->set_context(std::move(tls->context));
  parts_->take_names(std::move(tls->names));
  if (parts_->api) parts_->api->set_hosts(parts_->api_names);
}

void ControlPlane::forget_inherited_routes() {
  if (parts_->routes) parts_->routes->forget_inherited();
}

Task<void> ControlPlane::stop_tasks() {
  return parts_->stop_tasks();
}

}  // namespace sluice
