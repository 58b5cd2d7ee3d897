#include "app/agent.h"

#include <csignal>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "app/balancer.h"
#include "app/control_plane.h"
#include "app/data_folder.h"
#include "app/end_signals.h"
#include "app/lb_reload.h"
#include "core/handover.h"
#include "core/loop.h"
#include "core/scope.h"
#include "core/uv_network.h"
#include "core/uv_process.h"

namespace sluice {

namespace {

constexpr int64_t kFinishCallsMs = 2'000;  // in an upgrade: for what the API is answering
/// For the catalog, whose checks start from nothing, to say the routes that came along itself.
constexpr int64_t kInheritedRoutesMs = 10'000;

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
  const Origin origin;
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
  std::unique_ptr<Predecessor> predecessor;
  Event predecessor_gone{loop};  // set also where there is none
  std::unique_ptr<Balancer> balancer;
  std::unique_ptr<ControlPlane> control;
  std::unique_ptr<Scope> scope = std::make_unique<Scope>(loop);
  /// While an upgrade is under way: what the control plane listened on.
  std::vector<std::pair<Address, Socket>> kept;
  Upgrade upgrading{
      loop, log, {.served = [this] { give_way(); }, .failed = [this] { take_back(); }}};
  EndSignals end_signals{loop, log, [this] { begin_end(); }};
  bool failed_to_start = false;
  bool started = false;
  bool replacing = false;

  Parts(AgentConfig agent_config, Origin at, Log& agent_log,
        std::function<Result<AgentConfig>()> again)
      : config(std::move(agent_config)),
        origin(std::move(at)),
        log(agent_log),
        read_again(std::move(again)) {}
  ~Parts() {
    upgrading.abandon();
    scope.reset();
  }

  Task<void> start_or_fail();
  Task<Result<void>> start();
  Result<void> open_folder();
  Result<void> start_balancer();
  Result<void> make_control();
  Task<void> forget_inherited_routes();
  static Properties balancer_properties(const AgentConfig& of);
  void reload();
  void begin_end();
  Task<void> stop();
  void upgrade();
  Task<void> hand_over();
  void give_way();
  Task<void> leave();
  void take_back();
  Task<void> restart_control();
};

Result<void> Agent::Parts::open_folder() {
  Result<DataFolder> opened =
      config.data_dir.empty() ? DataFolder::make_temporary() : DataFolder::open(config.data_dir);
  if (!opened) return pass(opened);
  folder.emplace(std::move(*opened));
  if (config.dev && disk.exists(ControlPlane::server_folder(*folder))) {
    return fail(Code::kInvalid,
                "data_dir {} holds the state of an agent without -dev, whose tasks -dev would end: "
                "give -dev another one, or none",
                folder->path());
  }
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
  Balancer::Inheritance from;
  if (predecessor) {
    Result<Balancer::Inheritance> taken = take_over(*predecessor, network);
    if (!taken) return pass(taken);
    from = std::move(*taken);
  }
  Result<std::unique_ptr<Balancer>> started =
      Balancer::start(loop, network, log, properties, std::move(from));
  if (!started) return pass(started);
  balancer = std::move(*started);
  return {};
}

Result<void> Agent::Parts::make_control() {
  control = std::make_unique<ControlPlane>(ControlPlaneBase{.config = config,
                                                            .properties = properties,
                                                            .log = log,
                                                            .loop = loop,
                                                            .network = network,
                                                            .env = env,
                                                            .folder = *folder,
                                                            .balancer = balancer.get(),
                                                            .predecessor_gone = predecessor_gone});
  return control->listen();
}

Task<Result<void>> Agent::Parts::start() {
  Result<void> done = open_folder();
  if (done) done = start_balancer();
  if (done) done = make_control();
  if (done) done = co_await control->start();
  if (!done) co_return done;
  if (balancer) {
    scope->spawn(balancer->run());
    // The predecessor serves meanwhile, and has a limit for it.
    if (predecessor) co_await balancer->wait_certificates();
    balancer->accept();
    balancer->say_addresses(log);
  }
  log.info("data in {}{}", folder->path(),
           config.data_dir.empty() ? " (removed when this agent ends)" : "");
  for (const std::string& warning : config.warnings) log.warn("{}", warning);
  started = true;
  if (!predecessor) co_return Result<void>();
  Result<void> said = predecessor->say_ready();
  if (!said) log.error("{}", said.error().message);
  co_await forget_inherited_routes();
  co_return Result<void>();
}

Task<void> Agent::Parts::forget_inherited_routes() {
  co_await sleep_for(loop, kInheritedRoutesMs);
  if (control) control->forget_inherited_routes();
}

Task<void> Agent::Parts::start_or_fail() {
  Result<void> started = co_await start();
  if (started) co_return;
  log.error("{}", started.error().message);
  failed_to_start = true;
  loop.stop();
}

/// SIGHUP: the log's level, the balancer's properties that may change, certificates. What else has
/// changed in the configuration waits for the next agent, which takes the tasks over.
void Agent::Parts::reload() {
  if (end_signals.ending()) return;
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
  if (control) control->reload_certificates(read->tls);
  log.info("SIGHUP: the log's level, the balancer's settings and certificates were read again");
}

void Agent::Parts::begin_end() {
  upgrading.abandon();
  scope->spawn(stop());
}

/// -dev ends its tasks; otherwise they run on, for the next agent to take over.
Task<void> Agent::Parts::stop() {
  if (balancer) balancer->fail_health();
  if (config.dev && control) co_await control->stop_tasks();
  if (balancer) co_await balancer->drain();
  loop.stop();
}

/// SIGUSR2.
void Agent::Parts::upgrade() {
  if (config.dev) {
    log.warn("SIGUSR2: a -dev agent keeps nothing that a successor could go on from");
    return;
  }
  if (end_signals.ending() || replacing || !started) {
    log.warn("SIGUSR2: {}", end_signals.ending() ? "it is stopping"
                            : replacing          ? "an upgrade is under way"
                                                 : "it has not started yet");
    return;
  }
  // The successor reads it anew: what it would refuse does not get that far.
  Result<AgentConfig> read = read_again();
  if (!read) {
    log.error("SIGUSR2: {}; everything stays as it is", read.error().message);
    return;
  }
  replacing = true;
  scope->spawn(hand_over());
}

/// The control plane ends before the successor starts: one process at a time has the data folder.
/// The balancer goes on meanwhile with the routes that it has, and callers of the API wait in the
/// queue of its socket.
Task<void> Agent::Parts::hand_over() {
  OfferedSockets sockets;
  if (balancer) sockets = balancer->listening();
  std::vector<std::pair<Address, int>> listening;
  for (const auto& [at, fd] : network.listening()) {
    Result<Socket> copy = copy_of(fd);
    if (!copy) {
      log.error("upgrade: {}: {}", to_string(at), copy.error().message);
      continue;
    }
    listening.emplace_back(at, copy->fd());
    kept.emplace_back(at, std::move(*copy));
  }
  offer_control_sockets(listening, sockets);
  co_await control->finish_calls(kFinishCallsMs);
  control.reset();
  Event quiet(loop);
  loop.when_pool_idle([&quiet] { quiet.set(); });
  co_await quiet.wait();
  folder.reset();
  std::string state;
  JsonWriter json(state);
  json.begin_object();
  if (balancer) balancer->write_state(json);
  json.end_object();
  if (!end_signals.ending()) upgrading.start(origin, sockets, state);
}

void Agent::Parts::give_way() {
  end_signals.end_has_begun();
  kept.clear();
  scope->spawn(leave());
}

/// A predecessor of its own may have longer to go, and the successor knows this process alone.
Task<void> Agent::Parts::leave() {
  if (balancer) co_await balancer->hand_over();
  co_await predecessor_gone.wait();
  loop.stop();
}

/// There is no successor: the control plane starts again here.
void Agent::Parts::take_back() {
  if (end_signals.ending()) return;
  std::map<std::string, int> open;
  for (const auto& [at, fd] : network.listening()) open[to_string(at)] = fd;
  for (auto& [at, socket] : kept) {
    if (!open.contains(to_string(at))) network.inherit(at, std::move(socket));
  }
  kept.clear();
  scope->spawn(restart_control());
}

Task<void> Agent::Parts::restart_control() {
  if (balancer) balancer->inherit_own_routes();
  Result<void> done = open_folder();
  if (done) done = make_control();
  if (done) done = co_await control->start();
  if (!done) {
    // Ending would end the traffic too, which needs no control plane.
    log.error(
        "{}; the balancer serves the routes that it has, and nothing looks after the tasks "
        "until the agent is started again",
        done.error().message);
    control.reset();
    co_return;
  }
  replacing = false;
  co_await forget_inherited_routes();
}

Agent::Agent(AgentConfig config, Origin origin, Log& log,
             std::function<Result<AgentConfig>()> read_again)
    : parts_(std::make_unique<Parts>(std::move(config), std::move(origin), log,
                                     std::move(read_again))) {}

Agent::~Agent() = default;

int Agent::run(std::unique_ptr<Predecessor> predecessor) {
  Parts& p = *parts_;
  p.predecessor = std::move(predecessor);
  if (p.predecessor) {
    p.predecessor->when_gone(p.loop, [&p] { p.predecessor_gone.set(); });
  } else {
    p.predecessor_gone.set();
  }
  p.end_signals.watch();
  p.loop.watch_signal(SIGHUP, [&p] { p.reload(); });
  p.loop.watch_signal(SIGUSR2, [&p] { p.upgrade(); });
  p.scope->spawn(p.start_or_fail());
  p.loop.run();
  return p.failed_to_start || p.end_signals.cut_short() ? 1 : 0;
}

}  // namespace sluice
