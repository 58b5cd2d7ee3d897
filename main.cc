// sluice: what the first word asks for, and the process's own set-up. The parts are wired in
// agent.cc and balancer.cc; the verbs are orchestrator/cli.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "app/agent.h"
#include "app/agent_config.h"
#include "app/lb.h"
#include "app/lb_config.h"
#include "core/log.h"
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
  const Result<LogLevel> level = agent_log_level(*config);
  if (!level) {
    std::fprintf(stderr, "sluice agent: %s\n", level.error().message.c_str());
    return 1;
  }
  Result<Origin> origin = own_origin("agent", arguments);
  Result<std::unique_ptr<Predecessor>> predecessor = Predecessor::find();
  if (!origin || !predecessor) {
    std::fprintf(stderr, "sluice agent: %s\n",
                 (origin ? predecessor.error() : origin.error()).message.c_str());
    return 1;
  }
  Log log(STDERR_FILENO, Log::Options{.level = *level});
  Agent agent(std::move(*config), std::move(*origin), log, [&arguments] {
    bool no_help = false;
    return load_agent_config(arguments, no_help);
  });
  return agent.run(std::move(*predecessor));
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
