// sluice: what the first word asks for, and the process's own set-up. The parts are wired in
// agent.cc and balancer.cc; the verbs are orchestrator/cli.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "agent.h"
#include "agent_config.h"
#include "core/log.h"
#include "lb.h"
#include "lb_config.h"
#include "orchestrator/cli/cli.h"

namespace sluice {

namespace {

int run_agent(const std::vector<std::string>& arguments) {
  bool help = false;
  Result<AgentConfig> config = load_agent_config(arguments, help);
  if (help) {
    std::fputs(agent_usage().c_str(), stdout);
    return 0;
  }
  if (!config) {
    std::fprintf(stderr, "sluice agent: %s\n", config.error().message.c_str());
    return 1;
  }
  // fabio's name for it, too: the balancer and the rest of the agent share one log.
  if (const auto set = config->proxy_properties.find("log.level");
      set != config->proxy_properties.end()) {
    config->log_level = set->second;
  }
  const std::optional<LogLevel> level = parse_log_level(config->log_level);
  if (!level) {
    std::fprintf(stderr, "sluice agent: log level '%s': want TRACE, DEBUG, INFO, WARN or ERROR\n",
                 config->log_level.c_str());
    return 1;
  }
  Log log(STDERR_FILENO, Log::Options{.level = *level});
  Agent agent(std::move(*config), log);
  return agent.run();
}

}  // namespace

}  // namespace sluice

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0] == "agent") {
    words.erase(words.begin());
    return sluice::run_agent(words);
  }
  if (!words.empty() && words[0] == "lb") {
    words.erase(words.begin());
    return sluice::run_lb(words);
  }
  if (!words.empty() && sluice::is_lb_flag(words[0])) return sluice::run_lb(words);
  return sluice::orchestrator::cli::run_cli(words);
}
