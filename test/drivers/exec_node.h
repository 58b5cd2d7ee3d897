// The exec drivers with their real supervisor, in a folder of the test's own.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "core/loop.h"
#include "core/uv_network.h"
#include "drivers/exec/exec.h"
#include "drivers/exec/raw_exec.h"
#include "test/drivers/run_to_end.h"
#include "test/test.h"

namespace sluice::drivers::exec::test {

using orchestrator::TaskExit;
using orchestrator::TaskHandle;
using orchestrator::TaskSpec;

/// One node's folder, as an agent sees it; a second one over the same folder is the agent
/// restarted.
struct Agent {
  explicit Agent(const std::string& folder)
      : env{loop, network, disk, random},
        log(2, Log::Options{.level = LogLevel::kError}),
        client(env, log, folder + "/supervisor"),
        driver(env, client, "cluster", "node"),
        exec(env, client, "cluster", "node") {}

  template <class T>
  T get(Task<T> task) {
    return run_to_end(loop, std::move(task));
  }
  template <class T>
  T must(Task<Result<T>> task) {
    Result<T> result = get(std::move(task));
    INFO((result ? std::string() : result.error().message));
    REQUIRE(result.has_value());
    return std::move(*result);
  }
  TaskExit wait(const TaskHandle& handle) { return must(driver.wait(handle)); }
  Result<TaskHandle> start(const TaskSpec& spec) {
    return get(driver.start(spec, [](std::string) {}));
  }
  pid_t supervisor_pid() {
    return static_cast<pid_t>(
        must(client.call(Message().add("op", "hello"), 5'000)).get_int("pid"));
  }

  UvLoop loop;
  UvNetwork network{loop};
  PosixDisk disk;
  SystemRandom random;
  Env env;
  Log log;
  SupervisorClient client;
  RawExecDriver driver;
  ExecDriver exec;
};

struct Node {
  Node() {
    char name[] = "/tmp/sluice-test-XXXXXX";
    folder = mkdtemp(name);
    agent.emplace(folder);
  }
  ~Node() {
    for (RawExecDriver* driver : {&agent->driver, static_cast<RawExecDriver*>(&agent->exec)}) {
      for (const orchestrator::FoundTask& found : agent->must(driver->list())) {
        agent->get(driver->stop(found.handle, "SIGKILL", 0));
        agent->get(driver->remove(found.handle));
      }
    }
    // So that no supervisor outlives its test.
    Result<void> left = agent->get(agent->client.leave());
    EXPECT(left.has_value());
    agent.reset();
    [[maybe_unused]] int ignored = system(("rm -rf " + folder).c_str());
  }
  void restart_agent() {
    agent.reset();
    agent.emplace(folder);
  }
  TaskSpec spec(const std::string& script, uint64_t run = 1, const std::string& alloc = "alloc-1") {
    TaskSpec spec;
    spec.key = {alloc, "web", run};
    spec.config = Json::object({{"command", "/bin/sh"}, {"args", Json::array({"-c", script})}});
    spec.env = {{"PATH", "/usr/bin:/bin"}, {"SECRET", "hidden value"}};
    spec.task_folder = folder + "/" + alloc + "/web";
    spec.log_folder = folder + "/" + alloc + "/logs";
    return spec;
  }
  std::string logs(const std::string& stream, const std::string& alloc = "alloc-1") {
    std::string all;
    for (int number = 0; number < 1000; ++number) {
      std::string path =
          folder + "/" + alloc + "/logs/web." + stream + "." + std::to_string(number);
      all += read_small_file(AT_FDCWD, path.c_str(), 1 << 26).value_or("");
    }
    return all;
  }

  std::string folder;
  std::optional<Agent> agent;
};

inline bool gone(pid_t pid, uint64_t start_ticks) {
  std::optional<ProcStat> stat = read_proc_stat(pid);
  return !stat || stat->start_ticks != start_ticks || stat->state == 'Z';
}

/// Polls, because nobody tells: processes of others.
template <class F>
bool comes_true(F condition) {
  for (int i = 0; i < 3'000; ++i) {  // half a minute: the machine may be busy
    if (condition()) return true;
    usleep(10'000);
  }
  return false;
}

inline std::string numbered(int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += "line " + std::to_string(i) + "\n";
  return all;
}

}  // namespace sluice::drivers::exec::test
