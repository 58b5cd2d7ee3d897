#include "agent.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "balancer.h"
#include "consul_overrides.h"
#include "core/http_server.h"
#include "core/loop.h"
#include "core/tls/trust.h"
#include "core/uv_network.h"
#include "core/uv_process.h"
#include "data_folder.h"
#include "drivers/consul/catalog.h"
#include "drivers/consul/reach.h"
#include "drivers/docker/driver.h"
#include "drivers/embedded/catalog.h"
#include "drivers/exec/exec.h"
#include "drivers/exec/isolate.h"
#include "drivers/exec/raw_exec.h"
#include "drivers/sqlite/store.h"
#include "lb_reload.h"
#include "orchestrator/api/api.h"
#include "orchestrator/node/node_agent.h"
#include "orchestrator/route_source.h"
#include "orchestrator/server.h"

namespace sluice {

using namespace orchestrator;

namespace {

/// Docker's own: $DOCKER_CONFIG/config.json, else ~/.docker/config.json.
std::string docker_config_file() {
  if (const char* folder = std::getenv("DOCKER_CONFIG")) {
    return std::string(folder) + "/config.json";
  }
  const char* home = std::getenv("HOME");
  return home != nullptr ? std::string(home) + "/.docker/config.json" : "";
}

constexpr int64_t kStopTimeoutMs = 25'000;  // of -dev: for all tasks to end

}  // namespace

Result<LogLevel> agent_log_level(const AgentConfig& config) {
  std::string text = config.log_level;
  if (const auto set = config.proxy_properties.find("log.level");
      set != config.proxy_properties.end()) {
    text = set->second;
  }
  const std::optional<LogLevel> level = parse_log_level(text);
  if (level) return *level;
  return fail(Code::kInvalid, "log level '{}': want TRACE, DEBUG, INFO, WARN or ERROR", text);
}

/// In the order in which they are made; taken down in the reverse.
struct Agent::Parts {
  AgentConfig config;
  Properties properties;  // of the balancer
  Log& log;
  std::function<Result<AgentConfig>()> read_again;
  std::optional<DataFolder> folder;
  UvLoop loop;
  UvNetwork network{loop};
  PosixDisk disk;
  SystemRandom random;
  UvProcesses processes{loop};
  Env env{loop, network, disk, random, &processes};

  std::shared_ptr<const tls::ClientContext> tls;           // of https checks and artifacts
  const bool exec_enabled = drivers::exec::may_isolate();  // never without isolation
  std::unique_ptr<Listener> api_listener;                  // until the API takes it
  std::unique_ptr<Balancer> balancer;
  std::unique_ptr<Store> store;
  std::unique_ptr<Server> server;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<RouteSource> routes;
  std::unique_ptr<drivers::ConsulApi> consul;  // these three with Consul and a balancer
  std::unique_ptr<drivers::ConsulKv> consul_kv;
  std::unique_ptr<ConsulOverrides> overrides;
  std::unique_ptr<drivers::exec::SupervisorClient> supervisor;
  std::unique_ptr<NodeAgent> node;
  std::unique_ptr<Api> api;
  std::unique_ptr<HttpServer> api_server;
  std::unique_ptr<Scope> scope;
  int exit_code = 0;
  bool stopping = false;

  Parts(AgentConfig agent_config, Log& agent_log, std::function<Result<AgentConfig>()> again)
      : config(std::move(agent_config)),
        log(agent_log),
        read_again(std::move(again)),
        scope(std::make_unique<Scope>(loop)) {}

  Task<void> start_or_fail();
  Task<Result<void>> start();
  Result<void> open_folder();
  std::string state_folder() const { return folder->path() + "/server"; }
  Result<void> listen_for_api();
  Result<void> start_balancer();
  Task<Result<void>> start_server();
  void load_authorities();
  Result<void> make_catalog();
  Task<Result<void>> start_node();
  void start_api();
  DriverMap make_drivers(const std::string& cluster_id, const std::string& node_id);
  std::vector<ReservedPort> own_ports() const;
  static Properties balancer_properties(const AgentConfig& of);
  void reload();
  void on_signal(const char* name);
  Task<void> stop();
};

Result<void> Agent::Parts::open_folder() {
  Result<DataFolder> opened =
      config.data_dir.empty() ? DataFolder::make_temporary() : DataFolder::open(config.data_dir);
  if (!opened) return pass(opened);
  folder.emplace(std::move(*opened));
  if (config.dev && disk.exists(state_folder())) {
    return fail(Code::kInvalid,
                "data_dir {} holds the state of an agent without -dev, whose tasks -dev would end: "
                "give -dev another one, or none",
                folder->path());
  }
  return {};
}

/// Before anything is written or started: a port in use changes nothing.
Result<void> Agent::Parts::listen_for_api() {
  Result<std::unique_ptr<Listener>> listener =
      network.listen(Address{.ip = config.bind_addr, .port = config.http_port});
  if (!listener) return pass(listener, "jobs API");
  api_listener = std::move(*listener);
  return {};
}

Properties Agent::Parts::balancer_properties(const AgentConfig& of) {
  Properties all;
  for (const auto& [name, value] : of.proxy_properties) all.set(name, value);
  // It is no service itself: register= has no effect.
  all.set("registry.consul.register.enabled", "false");
  return all;
}

Result<void> Agent::Parts::start_balancer() {
  if (!config.proxy_enabled) return {};
  properties = balancer_properties(config);
  Result<std::unique_ptr<Balancer>> started = Balancer::start(loop, network, log, properties);
  if (!started) return pass(started);
  balancer = std::move(*started);
  return {};
}

Task<Result<void>> Agent::Parts::start_server() {
  if (config.dev) {
    // What an earlier -dev agent left running in this folder, if it was killed, is ended by this
    // one.
    Result<LocalCluster> left = LocalState(env, folder->path() + "/client").load_cluster();
    if (!left) co_return pass(left);
    store = std::make_unique<MemoryStore>(ClusterMeta{left->cluster_id, left->term});
  } else {
    store = std::make_unique<drivers::SqliteStore>(loop, state_folder());
  }
  ServerOptions options;
  options.region = config.region;
  options.datacenter = config.datacenter;
  options.drivers = {"docker"};
  if (exec_enabled) options.drivers.push_back("exec");
  if (config.raw_exec_enabled) options.drivers.push_back("raw_exec");
  for (const std::string_view kind : catalog->check_kinds()) options.check_kinds.emplace_back(kind);
  options.validate_config = [this](std::string_view driver, const Json& block) -> Result<void> {
    TaskDriver* found = node ? node->context().driver(std::string(driver)) : nullptr;
    return found != nullptr ? found->validate(block) : Result<void>();
  };
  server = std::make_unique<Server>(env, log, *store, std::move(options));
  co_return co_await server->start();
}

/// As other programs have it: SSL_CERT_FILE, else the system's bundle.
void Agent::Parts::load_authorities() {
  const char* named = std::getenv("SSL_CERT_FILE");
  auto authorities = tls::system_authorities(disk, named ? named : "");
  if (!authorities) {
    log.warn("SSL_CERT_FILE: {}: no https server is trusted", authorities.error().message);
    authorities = tls::Authorities::load_bundle("");
  }
  tls = tls::ClientContext::make(*std::move(authorities));
}

Result<void> Agent::Parts::make_catalog() {
  if (config.consul) {
    const ConsulConfig& of = *config.consul;
    drivers::ConsulOptions options;
    Result<void> reached = drivers::reach_consul(disk,
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
    if (balancer) {
      Result<std::string> place = overrides_place(properties);
      if (!place) return pass(place);
      consul = std::make_unique<drivers::ConsulApi>(loop, network, options.api);
      consul_kv = std::make_unique<drivers::ConsulKv>(env, log, *consul);
      overrides =
          std::make_unique<ConsulOverrides>(*consul_kv, *balancer, *std::move(place), [] {});
    }
    catalog = std::make_unique<drivers::ConsulCatalog>(env, log, std::move(options));
  } else {
    catalog = std::make_unique<drivers::EmbeddedCatalog>(
        env, log,
        drivers::EmbeddedOptions{
            .datacenter = config.datacenter, .node_name = config.name, .tls = tls});
  }
  if (!balancer) return {};
  routes = std::make_unique<RouteSource>(loop, balancer->routes(), balancer->tag_prefix());
  catalog->watch(
      [this](std::vector<ServiceSnapshot> changed) { routes->apply(std::move(changed)); });
  return {};
}

DriverMap Agent::Parts::make_drivers(const std::string& cluster_id, const std::string& node_id) {
  DriverMap drivers;
  const bool named = !config.docker_auth_file.empty();
  drivers::CredentialsOptions credentials{
      .config_file = named ? config.docker_auth_file : docker_config_file(),
      .config_file_named = named,
      .helper = config.docker_auth_helper};
  drivers.emplace(
      "docker", std::make_unique<drivers::DockerDriver>(
                    env, log,
                    drivers::DockerOptions{.socket = {.path = config.docker_socket},
                                           .owner = {.cluster_id = cluster_id, .node_id = node_id},
                                           .policy = {},
                                           .credentials = std::move(credentials),
                                           // With the server on this machine there is no other node
                                           // that could have Docker.
                                           .expected = config.server_enabled}));
  if (!config.raw_exec_enabled && !exec_enabled) return drivers;
  supervisor =
      std::make_unique<drivers::exec::SupervisorClient>(env, log, folder->path() + "/supervisor");
  if (exec_enabled) {
    drivers.emplace(
        "exec", std::make_unique<drivers::exec::ExecDriver>(env, *supervisor, cluster_id, node_id));
  }
  if (config.raw_exec_enabled) {
    drivers.emplace("raw_exec", std::make_unique<drivers::exec::RawExecDriver>(
                                    env, *supervisor, cluster_id, node_id));
  }
  return drivers;
}

/// Our own listeners, and what the configuration names: nothing scheduled takes these ports.
std::vector<ReservedPort> Agent::Parts::own_ports() const {
  std::vector<ReservedPort> ports;
  ports.push_back({.address = config.bind_addr, .port = config.http_port, .reason = "jobs API"});
  if (balancer) {
    for (const Address& at : balancer->addresses()) {
      ports.push_back({.address = at.ip, .port = at.port, .reason = "balancer"});
    }
  }
  const std::vector<uint16_t> named = *parse_port_list(config.reserved_ports);  // checked at start
  for (const uint16_t port : named) {
    ports.push_back({.address = "", .port = port, .reason = "reserved in the configuration"});
  }
  return ports;
}

Task<Result<void>> Agent::Parts::start_node() {
  if (!config.client_enabled) co_return Result<void>();
  LocalState local(env, folder->path() + "/client");
  Result<std::string> node_id = local.load_node_id();
  if (!node_id) co_return pass(node_id);
  NodeContext context{.env = env,
                      .log = log,
                      .catalog = *catalog,
                      .drainer = routes.get(),
                      .options = {.data_folder = folder->path(),
                                  .region = config.region,
                                  .drain_timeout_ms = config.drain_timeout_ms},
                      .tls = tls,
                      .cluster_id = {},
                      .node = {},
                      .drivers = make_drivers(server->snapshot().meta().cluster_id, *node_id)};
  Node& node_facts = context.node;
  node_facts.name = config.name;
  node_facts.datacenter = config.datacenter;
  node_facts.node_class = config.node_class;
  node_facts.meta = config.meta;
  node_facts.host_volumes = config.host_volumes;
  node_facts.ip = config.advertise_ip;
  node_facts.min_dynamic_port = config.min_dynamic_port;
  node_facts.max_dynamic_port = config.max_dynamic_port;
  node_facts.reserved_cpu_mhz = config.reserved_cpu_mhz;
  node_facts.reserved_memory_mb = config.reserved_memory_mb;
  node_facts.reserved_disk_mb = config.reserved_disk_mb;
  node_facts.reserved_ports = own_ports();
  node = std::make_unique<NodeAgent>(std::move(context), server->node_link());
  co_return co_await node->start();
}

void Agent::Parts::start_api() {
  api = std::make_unique<Api>(env, log, *server, node.get(),
                              ApiOptions{.name = config.name,
                                         .address = config.bind_addr,
                                         .port = config.http_port,
                                         .hosts = {},
                                         .dev = config.dev,
                                         .acl_enabled = config.acl_enabled});
  api_server = std::make_unique<HttpServer>(
      loop, std::move(api_listener),
      [this](const HttpServerRequest& request, HttpResponseWriter& writer) {
        return api->handle(request, writer);
      });
}

Task<Result<void>> Agent::Parts::start() {
  Result<void> done = open_folder();
  if (done) done = listen_for_api();
  if (done) done = start_balancer();
  load_authorities();
  if (done) done = make_catalog();
  if (done) done = co_await start_server();
  if (done) done = co_await start_node();
  if (!done) co_return done;
  start_api();

  if (balancer) scope->spawn(balancer->run());
  if (balancer) balancer->accept();
  scope->spawn(server->run());
  scope->spawn(catalog->run());
  if (overrides) scope->spawn(overrides->run());
  if (node) scope->spawn(node->run());
  scope->spawn(api_server->run());
  log.info("jobs API on http://{}:{}", config.bind_addr, config.http_port);
  if (balancer) balancer->say_addresses(log);
  log.info("data in {}{}", folder->path(),
           config.data_dir.empty() ? " (removed when this agent ends)" : "");
  for (const std::string& warning : config.warnings) log.warn("{}", warning);
  co_return Result<void>();
}

Task<void> Agent::Parts::start_or_fail() {
  Result<void> started = co_await start();
  if (started) co_return;
  log.error("{}", started.error().message);
  exit_code = 1;
  loop.stop();
}

void Agent::Parts::on_signal(const char* name) {
  if (std::exchange(stopping, true)) {
    log.warn("{} again: ending at once", name);
    exit_code = 1;
    loop.stop();
    return;
  }
  log.info("{}: stopping", name);
  scope->spawn(stop());
}

/// SIGHUP: the log's level, the balancer's properties that may change, certificates. What else has
/// changed in the configuration waits for the next agent, which takes the tasks over.
void Agent::Parts::reload() {
  if (stopping) return;
  Result<AgentConfig> read = read_again();
  Result<LogLevel> level = read ? agent_log_level(*read) : pass(read);
  if (!level) {
    log.error("SIGHUP: {}; everything stays as it is", level.error().message);
    return;
  }
  if (*level != log.level()) log.info("SIGHUP: log.level has changed");
  log.set_level(*level);
  properties = reload_properties(properties, balancer_properties(*read), log);
  if (balancer) balancer->reload(properties);
  log.info("SIGHUP: the log's level, the balancer's settings and certificates were read again");
}

/// -dev ends its tasks; otherwise they run on, for the next agent to take over.
Task<void> Agent::Parts::stop() {
  if (balancer) balancer->fail_health();
  if (config.dev && node) {
    auto all = [](NodeAgent& agent) -> Task<Result<void>> {
      co_await agent.stop_all_tasks();
      co_return Result<void>();
    };
    Result<void> ended = co_await with_timeout(loop, kStopTimeoutMs, all(*node));
    if (!ended) log.warn("tasks are still running after {} ms", kStopTimeoutMs);
    if (supervisor) {
      Result<void> left = co_await supervisor->leave();
      if (!left) log.warn("supervisor: {}", left.error().message);
    }
    Result<void> forgotten = disk.remove_tree(folder->path() + "/client");
    if (!forgotten) log.warn("{}", forgotten.error().message);
  }
  if (balancer) co_await balancer->drain();
  loop.stop();
}

Agent::Agent(AgentConfig config, Log& log, std::function<Result<AgentConfig>()> read_again)
    : parts_(std::make_unique<Parts>(std::move(config), log, std::move(read_again))) {}

Agent::~Agent() {
  // The tasks of all parts first, then the parts.
  parts_->scope.reset();
}

int Agent::run() {
  Parts& p = *parts_;
  p.loop.watch_signal(SIGTERM, [&p] { p.on_signal("SIGTERM"); });
  p.loop.watch_signal(SIGINT, [&p] { p.on_signal("SIGINT"); });
  p.loop.watch_signal(SIGHUP, [&p] { p.reload(); });
  p.loop.watch_signal(SIGUSR2, [&p] {
    p.log.warn("SIGUSR2: an agent is replaced by a restart, which stops no task");
  });
  p.scope->spawn(p.start_or_fail());
  p.loop.run();
  return p.exit_code;
}

}  // namespace sluice
