#include "lb.h"

#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "balancer.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/scope.h"
#include "core/uv_network.h"
#include "lb_config.h"
#include "lb_registry.h"

extern char** environ;

namespace sluice {

namespace {

/// In the order in which they are made; taken down in the reverse.
struct LoadBalancer {
  LoadBalancer(LbConfig from, Log& to) : config(std::move(from)), log(to) {}
  ~LoadBalancer() { scope.reset(); }

  Result<void> start();
  void on_signal(const char* name);
  Task<void> stop();

  LbConfig config;
  Log& log;
  UvLoop loop;
  UvNetwork network{loop};
  PosixDisk disk;
  SystemRandom random;
  Env env{loop, network, disk, random};
  std::unique_ptr<Balancer> balancer;
  std::unique_ptr<Registry> registry;
  std::unique_ptr<Scope> scope = std::make_unique<Scope>(loop);
  bool stopping = false;
  int exit_code = 0;
};

Result<void> LoadBalancer::start() {
  for (const std::string& warning : config.warnings) log.warn("{}", warning);
  Result<std::unique_ptr<Balancer>> started =
      Balancer::start(loop, network, log, config.properties);
  if (!started) return pass(started);
  balancer = std::move(*started);
  Result<std::unique_ptr<Registry>> made = make_registry(env, log, *balancer, config.properties);
  if (!made) return pass(made);
  registry = std::move(*made);
  scope->spawn(balancer->run());
  scope->spawn(registry->run());
  balancer->say_addresses(log);
  return {};
}

void LoadBalancer::on_signal(const char* name) {
  if (std::exchange(stopping, true)) {
    log.warn("{} again: ending at once", name);
    exit_code = 1;
    loop.stop();
    return;
  }
  log.info("{}: stopping", name);
  scope->spawn(stop());
}

Task<void> LoadBalancer::stop() {
  balancer->fail_health();
  co_await registry->deregister();
  co_await sleep_for(loop, config.properties.get_duration_ms("proxy.deregistergraceperiod"));
  co_await balancer->drain();
  loop.stop();
}

/// fabio has FATAL too, above what we ever log.
std::optional<LogLevel> log_level(const std::string& text) {
  return text == "FATAL" ? LogLevel::kError : parse_log_level(text);
}

}  // namespace

int run_lb(const std::vector<std::string>& arguments) {
  PosixDisk disk;
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  Result<LbConfig> config = load_lb_config(arguments, environment, disk);
  if (!config) {
    std::fprintf(stderr, "sluice lb: %s\n", config.error().message.c_str());
    return 1;
  }
  if (config->help || config->version) {
    const std::string text = config->help ? lb_usage() : fmt::format("sluice {}\n", SLUICE_VERSION);
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  const std::string level_text = config->properties.get("log.level");
  const std::optional<LogLevel> level = log_level(level_text);
  if (!level) {
    std::fprintf(stderr,
                 "sluice lb: -log.level %s: want TRACE, DEBUG, INFO, WARN, ERROR or FATAL\n",
                 level_text.c_str());
    return 1;
  }
  Log log(STDERR_FILENO, Log::Options{.level = *level});
  LoadBalancer balancer(*std::move(config), log);
  balancer.loop.watch_signal(SIGTERM, [&balancer] { balancer.on_signal("SIGTERM"); });
  balancer.loop.watch_signal(SIGINT, [&balancer] { balancer.on_signal("SIGINT"); });
  Result<void> started = balancer.start();
  if (!started) {
    log.error("{}", started.error().message);
    return 1;
  }
  balancer.loop.run();
  return balancer.exit_code;
}

}  // namespace sluice
