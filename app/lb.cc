#include "app/lb.h"

#include <fmt/core.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "app/balancer.h"
#include "app/end_signals.h"
#include "app/lb_config.h"
#include "app/lb_fetch.h"
#include "app/lb_registry.h"
#include "app/lb_reload.h"
#include "app/upgrade.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/scope.h"
#include "core/uv_network.h"

namespace sluice {

namespace {

/// In the order in which they are made; taken down in the reverse.
struct LoadBalancer {
  LoadBalancer(LbConfig from, Origin at, Log& to)
      : config(std::move(from)), origin(std::move(at)), log(to) {}
  ~LoadBalancer() {
    upgrading.abandon();
    scope.reset();
  }

  /// Null: there is no predecessor.
  Result<void> start(std::unique_ptr<Predecessor> before);
  Result<Balancer::Inheritance> inherit();
  Task<void> serve();
  void on_reload();
  Task<void> reload();
  void take_settings(Result<LbConfig> read);
  void upgrade();
  void begin_end();
  Task<void> stop();
  void give_way();
  Task<void> leave();

  LbConfig config;
  const Origin origin;
  Log& log;
  UvLoop loop;
  UvNetwork network{loop};
  PosixDisk disk;
  SystemRandom random;
  Env env{loop, network, disk, random};
  std::unique_ptr<Balancer> balancer;
  std::unique_ptr<Registry> registry;
  std::unique_ptr<Scope> scope = std::make_unique<Scope>(loop);
  std::unique_ptr<Predecessor> predecessor;
  Upgrade upgrading{loop, log, {.served = [this] { give_way(); }, .failed = [] {}}};
  EndSignals end_signals{loop, log, [this] { begin_end(); }};
  bool reloading = false;
  bool reload_wanted = false;
};

Result<Balancer::Inheritance> LoadBalancer::inherit() {
  if (!predecessor) return Balancer::Inheritance();
  Result<Balancer::Inheritance> from = take_over(*predecessor, network);
  if (!from) return from;
  // The routes of another registry are not ours.
  if (from->state.get_string("backend") != config.properties.get("registry.backend")) {
    from->state.erase("table");
  }
  return from;
}

Result<void> LoadBalancer::start(std::unique_ptr<Predecessor> before) {
  predecessor = std::move(before);
  for (const std::string& warning : config.warnings) log.warn("{}", warning);
  Result<Balancer::Inheritance> from = inherit();
  if (!from) return pass(from);
  Result<std::unique_ptr<Balancer>> started =
      Balancer::start(loop, network, log, config.properties, std::move(*from));
  if (!started) return pass(started);
  balancer = std::move(*started);
  Result<std::unique_ptr<Registry>> made = make_registry(env, log, *balancer, config.properties);
  if (!made) return pass(made);
  registry = std::move(*made);
  scope->spawn(balancer->run());
  scope->spawn(registry->run());
  scope->spawn(serve());
  return {};
}

Task<void> LoadBalancer::serve() {
  // The predecessor serves meanwhile, and has a limit for it.
  if (predecessor) co_await balancer->wait_certificates();
  balancer->accept();
  balancer->say_addresses(log);
  if (!predecessor) co_return;
  Result<void> said = predecessor->say_ready();
  predecessor.reset();
  if (!said) log.error("{}", said.error().message);
}

/// SIGHUP.
void LoadBalancer::on_reload() {
  if (end_signals.ending() || std::exchange(reload_wanted, true)) return;
  if (!reloading) scope->spawn(reload());
}

/// Once more where the signal came again meanwhile: what was read then may be old.
Task<void> LoadBalancer::reload() {
  reloading = true;
  while (!end_signals.ending() && std::exchange(reload_wanted, false)) {
    take_settings(
        co_await on_pool(loop, [arguments = origin.arguments, environment = origin.environment] {
          PosixDisk files;
          return load_lb_config(arguments, environment, files, fetch_config);
        }));
  }
  reloading = false;
}

/// All or nothing of the properties: a bad one leaves every one as it is.
void LoadBalancer::take_settings(Result<LbConfig> read) {
  if (end_signals.ending()) return;
  Result<LogLevel> level = read ? log_level(read->properties) : pass(read);
  if (!level) {
    log.error("SIGHUP: {}; everything stays as it is", level.error().message);
    return;
  }
  const Properties next = reload_properties(config.properties, read->properties, log);
  config.properties = next;
  log.set_level(*level);
  registry->reload(next);
  balancer->reload(next);
  log.info("SIGHUP: settings, routes and certificates were read again");
}

/// SIGUSR2.
void LoadBalancer::upgrade() {
  if (end_signals.ending() || upgrading.under_way() || predecessor) {
    log.warn("SIGUSR2: {}", end_signals.ending() ? "it is stopping" : "an upgrade is under way");
    return;
  }
  OfferedSockets sockets = balancer->listening();
  offer_control_sockets(network.listening(), sockets);
  std::string state;
  JsonWriter json(state);
  json.begin_object().member("backend", config.properties.get("registry.backend"));
  balancer->write_state(json);
  json.end_object();
  upgrading.start(origin, sockets, state);
}

void LoadBalancer::give_way() {
  end_signals.end_has_begun();
  scope->spawn(leave());
}

/// The successor is the registry's service now, under the same name.
Task<void> LoadBalancer::leave() {
  co_await balancer->hand_over();
  loop.stop();
}

void LoadBalancer::begin_end() {
  upgrading.abandon();
  scope->spawn(stop());
}

Task<void> LoadBalancer::stop() {
  balancer->fail_health();
  co_await registry->deregister();
  co_await sleep_for(loop, config.properties.get_duration_ms("proxy.deregistergraceperiod"));
  co_await balancer->drain();
  loop.stop();
}

}  // namespace

int run_lb(const std::vector<std::string>& arguments) {
  PosixDisk disk;
  Result<Origin> origin = own_origin("lb", arguments);
  if (!origin) {
    std::fprintf(stderr, "sluice lb: %s\n", origin.error().message.c_str());
    return 1;
  }
  Result<LbConfig> config = load_lb_config(arguments, origin->environment, disk, fetch_config);
  if (!config) {
    std::fprintf(stderr, "sluice lb: %s\n", config.error().message.c_str());
    return 1;
  }
  if (config->help || config->version) {
    const std::string text = config->help ? lb_usage() : fmt::format("sluice {}\n", SLUICE_VERSION);
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  Result<LogLevel> level = log_level(config->properties);
  Result<std::unique_ptr<Predecessor>> predecessor = Predecessor::find();
  std::optional<Error> wrong;
  if (!level) wrong = level.error();
  if (!predecessor) wrong = predecessor.error();
  if (wrong) {
    std::fprintf(stderr, "sluice lb: %s\n", wrong->message.c_str());
    return 1;
  }
  Log log(STDERR_FILENO, Log::Options{.level = *level});
  LoadBalancer balancer(*std::move(config), *std::move(origin), log);
  balancer.end_signals.watch();
  balancer.loop.watch_signal(SIGHUP, [&balancer] { balancer.on_reload(); });
  balancer.loop.watch_signal(SIGUSR2, [&balancer] { balancer.upgrade(); });
  Result<void> started = balancer.start(std::move(*predecessor));
  if (!started) {
    log.error("{}", started.error().message);
    return 1;
  }
  balancer.loop.run();
  return balancer.end_signals.cut_short() ? 1 : 0;
}

}  // namespace sluice
