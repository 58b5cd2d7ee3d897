// The docker driver against a real dockerd, of the test's own. Asked for by SLUICE_REAL_DOCKER=1,
// because it needs root and Debian's docker.io; test/e2e/docker_driver_test.py does that.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>

#include "core/log.h"
#include "core/loop.h"
#include "core/uv_network.h"
#include "drivers/docker/driver.h"
#include "test/drivers/real_server.h"
#include "test/drivers/run_to_end.h"
#include "test/drivers/temporary_folder.h"
#include "test/test.h"

namespace sluice::drivers {
namespace {

using orchestrator::TaskExit;
using orchestrator::TaskHandle;
using orchestrator::TaskSpec;

bool wanted() {
  return std::getenv("SLUICE_REAL_DOCKER") != nullptr;
}

/// A dockerd with its image, for the cases of this file.
class Daemon : public RealServer {
 public:
  Daemon() : RealServer(DOCKERD_SCRIPT, TASK_PROBE) {
    socket_ = command("start");
    (void)command("build probe:1");
  }
  const std::string& socket() const { return socket_; }

 private:
  std::string socket_;
};

Daemon& daemon() {
  static Daemon one;
  return one;
}

/// An agent as far as the driver sees one: loop, driver, a folder. `run` drives a coroutine to its
/// end.
class Agent {
 public:
  explicit Agent(const std::string& folder, const std::string& node = "node-a",
                 int64_t log_stall_ms = DockerOptions{}.log_stall_ms)
      : log_(2), network_(loop_), folder_(folder) {
    Env env{loop_, network_, disk_, random_};
    driver_ = std::make_unique<DockerDriver>(
        env, log_,
        DockerOptions{.socket = {.path = daemon().socket()},
                      .owner = {.cluster_id = "cluster-1", .node_id = node},
                      .log_stall_ms = log_stall_ms});
  }

  template <class T>
  T run(Task<T> task) {
    return run_to_end(loop_, std::move(task));
  }
  template <class T>
  T good(Task<Result<T>> task) {
    return run_good(loop_, std::move(task));
  }

  DockerDriver& driver() { return *driver_; }
  UvLoop& loop() { return loop_; }

  TaskSpec spec(const std::string& alloc, std::string_view config, uint64_t run = 1) {
    TaskSpec spec;
    spec.key = {alloc, "probe", run};
    spec.cluster_id = "cluster-1";
    spec.node_id = "node-a";
    spec.job_id = "job";
    spec.group = "group";
    auto json = parse_json(config);
    REQUIRE(json.has_value());
    spec.config = *std::move(json);
    spec.env = {{"GREETING", "hello"}};
    spec.alloc_folder = folder_ + "/" + alloc;
    spec.task_folder = spec.alloc_folder + "/probe";
    spec.log_folder = spec.alloc_folder + "/logs";
    for (const std::string& path :
         {spec.task_folder + "/local", spec.task_folder + "/secrets", spec.log_folder}) {
      std::filesystem::create_directories(path);
    }
    spec.memory_mb = 32;
    return spec;
  }
  orchestrator::TaskEvents events() {
    return [this](std::string text) { said_ += text + "\n"; };
  }
  const std::string& said() const { return said_; }
  /// Until the task's output is `text`: a process that has just started listens to no signal yet.
  void wait_for_output(const std::string& folder, const std::string& text) {
    auto look = [](UvLoop& on, const std::string& in, const std::string& wanted) -> Task<bool> {
      for (int i = 0; i < 3000 && content(in, "probe.stdout") != wanted; ++i) {
        co_await sleep_for(on, 10);
      }
      co_return content(in, "probe.stdout") == wanted;
    };
    REQUIRE(run(look(loop_, folder, text)));
  }

 private:
  UvLoop loop_;
  Log log_;
  UvNetwork network_;
  PosixDisk disk_;
  SystemRandom random_;
  std::string folder_;
  std::string said_;
  std::unique_ptr<DockerDriver> driver_;
};

/// What is wrong with numbered lines from 1 to count, each once and in order; "" if nothing.
std::string difference(const std::string& text, int count) {
  std::string wrong;
  int next = 1, faults = 0;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line) && faults < 10;) {
    if (line == fmt::format("line {:08}", next)) {
      ++next;
      continue;
    }
    wrong += fmt::format("after {}: {}; ", next - 1, line);
    ++faults;
    if (line.size() == 13) next = std::atoi(line.c_str() + 5) + 1;
  }
  if (next != count + 1) wrong += fmt::format("ends with {} of {}", next - 1, count);
  return wrong;
}

TEST_CASE("docker real: a run from start to removal") {
  if (!wanted()) return;
  TemporaryFolder folder;
  Agent agent(folder.path());
  auto health = agent.run(agent.driver().fingerprint());
  CAPTURE(health.description);
  REQUIRE(health.healthy);
  EXPECT(!health.attributes["driver.docker.version"].empty());

  TaskSpec spec = agent.spec("a1", R"({"image":"probe:1","args":["env"],"labels":[{"x":"y"}]})");
  TaskHandle handle = agent.good(agent.driver().start(spec, agent.events()));
  TaskHandle again = agent.good(agent.driver().start(spec, agent.events()));
  EXPECT(handle.state == again.state);
  TaskExit exit = agent.good(agent.driver().wait(handle));
  EXPECT(exit.success());
  EXPECT(exit.finished_at_ns > 1'600'000'000'000'000'000);
  std::string out = content(spec.log_folder, "probe.stdout");
  EXPECT(out.find("GREETING=hello\n") != std::string::npos);
  EXPECT(out.find("NOMAD_ALLOC_DIR=/alloc\n") != std::string::npos);

  auto found = agent.good(agent.driver().list());
  REQUIRE(found.size() == 1);
  EXPECT(found[0].handle.key == spec.key);
  EXPECT(!found[0].running);
  agent.good(agent.driver().remove(handle));
  agent.good(agent.driver().remove(handle));
  EXPECT(agent.good(agent.driver().list()).empty());
}

TEST_CASE("docker real: an end waits for its output while more of it comes, and says if not") {
  if (!wanted()) return;
  constexpr int64_t kStallMs = 2'000;
  TemporaryFolder folder;
  Agent agent(folder.path(), "node-a", kStallMs);
  // What Docker takes longer to give than that, and has in its files when the agent comes.
  TaskSpec much =
      agent.spec("s1", R"({"image":"probe:1","args":["lines","300000","0"],"logging":{"type":)"
                       R"("json-file","config":{"max-size":"1g"}}})");
  much.log_folder = folder.path() + "/later/logs";
  TaskHandle handle = agent.good(agent.driver().start(much, agent.events()));
  TaskExit exit = agent.good(agent.driver().wait(handle));
  EXPECT(exit.success());
  EXPECT(exit.output_missing.find("may be missing") != std::string::npos);
  std::filesystem::create_directories(much.log_folder);

  Agent next(folder.path(), "node-a", kStallMs);
  next.good(next.driver().recover(handle, much));
  exit = next.good(next.driver().wait(handle));
  EXPECT_EQ(exit.output_missing, "");
  EXPECT_EQ(difference(content(much.log_folder, "probe.stdout"), 300'000), "");
  EXPECT_EQ(difference(content(much.log_folder, "probe.stderr"), 300'000), "");
  next.good(next.driver().remove(handle));
}

TEST_CASE("docker real: exit codes, start errors, oom") {
  if (!wanted()) return;
  TemporaryFolder folder;
  Agent agent(folder.path());
  auto outcome = [&](const std::string& alloc, std::string_view config) {
    TaskSpec spec = agent.spec(alloc, config);
    TaskHandle handle = agent.good(agent.driver().start(spec, agent.events()));
    TaskExit exit = agent.good(agent.driver().wait(handle));
    agent.good(agent.driver().remove(handle));
    return exit;
  };
  EXPECT_EQ(outcome("e1", R"({"image":"probe:1","args":["exit","3"]})").exit_code, 3);
  TaskExit oom = outcome("e2", R"({"image":"probe:1","args":["starve","200"]})");
  EXPECT_EQ(oom.exit_code, 137);
  EXPECT(oom.oom_killed);

  TaskSpec bad = agent.spec("e3", R"({"image":"probe:1","entrypoint":["/nothing"]})");
  auto failed = agent.run(agent.driver().start(bad, agent.events()));
  REQUIRE(!failed.has_value());
  CAPTURE(failed.error().message);
  EXPECT(failed.error().message.starts_with("start container probe-e3: "));
  EXPECT(failed.error().code != Code::kUnavailable);
  TaskSpec unknown = agent.spec("e4", R"({"image":"probe:1","imag":"x"})");
  EXPECT(agent.run(agent.driver().start(unknown, agent.events())).error().code == Code::kInvalid);
  EXPECT(agent.good(agent.driver().list()).empty());
}

TEST_CASE("docker real: stop, by signal and by force") {
  if (!wanted()) return;
  TemporaryFolder folder;
  Agent agent(folder.path());
  TaskSpec spec = agent.spec("s1", R"({"image":"probe:1","args":["stay"]})");
  TaskHandle handle = agent.good(agent.driver().start(spec, agent.events()));
  agent.wait_for_output(spec.log_folder, "staying\n");
  agent.good(agent.driver().signal(handle, "SIGUSR1"));
  agent.wait_for_output(spec.log_folder, "staying\nsignal\n");
  agent.good(agent.driver().stop(handle, "", 10'000));
  EXPECT_EQ(agent.good(agent.driver().wait(handle)).exit_code, 0);
  EXPECT_EQ(content(spec.log_folder, "probe.stdout"), "staying\nsignal\nending\n");
  agent.good(agent.driver().stop(handle, "", 10'000));
  agent.good(agent.driver().remove(handle));
  agent.good(agent.driver().stop(handle, "", 10'000));

  TaskSpec deaf = agent.spec("s2", R"({"image":"probe:1","args":["deaf"]})");
  handle = agent.good(agent.driver().start(deaf, agent.events()));
  agent.wait_for_output(deaf.log_folder, "staying\n");
  int64_t begun = agent.loop().now_ms();
  agent.good(agent.driver().stop(handle, "SIGTERM", 300));
  EXPECT(agent.loop().now_ms() - begun >= 300);
  EXPECT_EQ(agent.good(agent.driver().wait(handle)).exit_code, 137);
  agent.good(agent.driver().remove(handle));
}

TEST_CASE("docker real: a command in a running container") {
  if (!wanted()) return;
  TemporaryFolder folder;
  Agent agent(folder.path());
  TaskSpec spec = agent.spec("x1", R"({"image":"probe:1","args":["stay"]})");
  TaskHandle handle = agent.good(agent.driver().start(spec, agent.events()));
  const auto run = [&](std::vector<std::string> command, std::string_view input, bool terminal,
                       std::string& output, std::string& errors) {
    command.insert(command.begin(), "/task_probe");  // as what the image names it
    auto session = agent.good(
        agent.driver().exec(handle, spec, {.command = std::move(command), .terminal = terminal}));
    if (!input.empty()) agent.good(session->write(input));
    if (!terminal) REQUIRE(session->end_input());
    while (auto piece = agent.good(session->read())) {
      (piece->errors ? errors : output) += piece->bytes;
    }
    return agent.good(session->wait());
  };
  std::string output, errors;
  const std::string text(100'000, 'x');
  EXPECT_EQ(run({"copy"}, text, false, output, errors), 0);
  EXPECT(output == text);
  EXPECT(errors == text);
  output.clear();
  EXPECT_EQ(run({"exit", "3"}, "", false, output, errors), 3);
  EXPECT_EQ(output, "");
  EXPECT_EQ(run({"env"}, "", true, output, errors), 0);
  EXPECT(output.find("GREETING=hello\r\n") != std::string::npos);
  auto absent = agent.run(agent.driver().exec(handle, spec, {.command = {"/absent"}}));
  // Docker says so in the answer, or as the command's end.
  if (absent) {
    const int64_t code = agent.good((*absent)->wait());
    EXPECT(code >= 126);
    EXPECT(code <= 127);
  }
  agent.good(agent.driver().remove(handle));
}

TEST_CASE("docker real: a name that is taken") {
  if (!wanted()) return;
  TemporaryFolder folder;
  Agent agent(folder.path());
  // Left behind by an earlier start of the same task: it goes.
  TaskSpec first = agent.spec("n1", R"({"image":"probe:1","args":["deaf"]})", 1);
  (void)agent.good(agent.driver().start(first, agent.events()));
  TaskSpec second = agent.spec("n1", R"({"image":"probe:1","args":["stay"]})", 2);
  TaskHandle handle = agent.good(agent.driver().start(second, agent.events()));
  EXPECT(agent.said().find("Removing the container of an earlier start") != std::string::npos);
  auto found = agent.good(agent.driver().list());
  REQUIRE(found.size() == 1);
  EXPECT_EQ(found[0].handle.key.run, 2u);
  // Somebody else's: it stays.
  Agent other(folder.path(), "node-b");
  EXPECT(other.good(other.driver().list()).empty());
  TaskSpec third = other.spec("n1", R"({"image":"probe:1","args":["stay"]})", 3);
  third.node_id = "node-b";
  auto refused = other.run(other.driver().start(third, other.events()));
  REQUIRE(!refused.has_value());
  EXPECT(refused.error().message.find("which is not ours") != std::string::npos);
  EXPECT_EQ(agent.good(agent.driver().list()).size(), 1u);
  agent.good(agent.driver().remove(handle));
}

TEST_CASE("docker real: numbered lines over restarts of the agent") {
  if (!wanted()) return;
  TemporaryFolder folder;
  constexpr int kLines = 20'000;
  TaskHandle handle;
  TaskSpec spec;
  {
    Agent agent(folder.path());
    spec = agent.spec("l1", R"({"image":"probe:1","args":["lines","20000","50"]})");
    spec.log_max_file_bytes = 64 * 1024;
    spec.log_max_files = 100;
    handle = agent.good(agent.driver().start(spec, agent.events()));
  }
  for (int restart = 0; restart < 8; ++restart) {
    Agent agent(folder.path());
    agent.good(agent.driver().recover(handle, spec));
    auto pause = [](UvLoop& loop, int64_t delay_ms) -> Task<Result<void>> {
      co_await sleep_for(loop, delay_ms);
      co_return Result<void>();
    };
    agent.good(pause(agent.loop(), 20 + restart * 30));
  }
  Agent agent(folder.path());
  agent.good(agent.driver().recover(handle, spec));
  EXPECT(agent.good(agent.driver().wait(handle)).success());
  EXPECT_EQ(difference(content(spec.log_folder, "probe.stdout"), kLines), "");
  EXPECT_EQ(difference(content(spec.log_folder, "probe.stderr"), kLines), "");
  agent.good(agent.driver().remove(handle));
}

TEST_CASE("docker real: what others do to our containers") {
  if (!wanted()) return;
  TemporaryFolder folder;
  Agent agent(folder.path());
  TaskSpec spec = agent.spec("o1", R"({"image":"probe:1","args":["stay"]})");
  TaskHandle handle = agent.good(agent.driver().start(spec, agent.events()));
  // Removed while we wait for it: by the API, as `docker rm -f` does.
  TaskExit exit = agent.good([](Agent& on, TaskHandle of) -> Task<Result<TaskExit>> {
    Scope scope(on.loop());
    UvNetwork network(on.loop());
    DockerApi api(on.loop(), network, {.path = daemon().socket()});
    auto remove = [](UvLoop& loop, DockerApi& docker, std::string id) -> Task<void> {
      co_await sleep_for(loop, 100);
      (void)co_await docker.call(
          {.method = "DELETE", .target = "/containers/" + id + "?force=true", .doing = "remove"});
    };
    scope.spawn(remove(on.loop(), api, std::string(of.state.get_string("container_id"))));
    co_return co_await on.driver().wait(of);
  }(agent, handle));
  EXPECT(!exit.success());
  agent.good(agent.driver().remove(handle));
  EXPECT(agent.run(agent.driver().recover(handle, spec)).error().code == Code::kNotFound);
}

TEST_CASE("docker real: dockerd restarts, and the same run goes on") {
  if (!wanted()) return;
  TemporaryFolder folder;
  Agent agent(folder.path());
  TaskSpec lines = agent.spec("r1", R"({"image":"probe:1","args":["lines","0","200"]})");
  TaskSpec deaf = agent.spec("r2", R"({"image":"probe:1","args":["deaf"]})");
  TaskSpec done = agent.spec("r3", R"({"image":"probe:1","args":["exit","0"]})");
  TaskHandle a = agent.good(agent.driver().start(lines, agent.events()));
  TaskHandle b = agent.good(agent.driver().start(deaf, agent.events()));
  TaskHandle c = agent.good(agent.driver().start(done, agent.events()));
  std::optional<Result<TaskExit>> exits[3];
  Scope scope(agent.loop());
  auto wait = [](DockerDriver& driver, TaskHandle handle,
                 std::optional<Result<TaskExit>>& out) -> Task<void> {
    out.emplace(co_await driver.wait(handle));
  };
  scope.spawn(wait(agent.driver(), a, exits[0]));
  scope.spawn(wait(agent.driver(), b, exits[1]));
  scope.spawn(wait(agent.driver(), c, exits[2]));
  auto turn = [](UvLoop& loop, std::future<void> ready) -> Task<Result<void>> {
    while (ready.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      co_await sleep_for(loop, 5);
    }
    co_return Result<void>();
  };
  auto pause = [](UvLoop& loop, int64_t ms) -> Task<Result<void>> {
    co_await sleep_for(loop, ms);
    co_return Result<void>();
  };
  agent.good(pause(agent.loop(), 500));
  // The loop turns while dockerd goes and comes, as the agent's does.
  agent.good(turn(agent.loop(), std::async(std::launch::async, [] {
                    (void)daemon().command("stop");
                    (void)daemon().command("start");
                  })));
  auto running = [](DockerDriver& driver, UvLoop& loop) -> Task<Result<size_t>> {
    for (int i = 0; i < 400; ++i) {
      auto found = co_await driver.list();
      size_t count = 0;
      if (found) {
        for (const auto& one : *found) count += one.running;
      }
      if (count == 2) co_return count;
      co_await sleep_for(loop, 50);
    }
    co_return size_t{0};
  };
  EXPECT_EQ(agent.good(running(agent.driver(), agent.loop())), 2u);
  EXPECT(!exits[0].has_value());
  EXPECT(!exits[1].has_value());
  REQUIRE(exits[2].has_value());
  EXPECT((*exits[2])->success());
  agent.good(pause(agent.loop(), 500));
  agent.good(agent.driver().stop(a, "SIGKILL", 5'000));
  agent.good(agent.driver().stop(b, "SIGKILL", 5'000));
  agent.good(pause(agent.loop(), 500));
  REQUIRE(exits[0].has_value());
  EXPECT_EQ((*exits[0])->exit_code, 137);
  // Two stretches of lines from 1 on, nothing lost or doubled in either.
  std::string out = content(lines.log_folder, "probe.stdout");
  size_t second = out.find("line 00000001\n", 1);
  REQUIRE(second != std::string::npos);
  for (std::string part : {out.substr(0, second), out.substr(second)}) {
    if (size_t end = part.find("ending\n"); end != std::string::npos) part.erase(end);
    EXPECT_EQ(difference(part, static_cast<int>(part.size() / 14)), "");
    EXPECT(part.size() > 140u);
  }
  for (const TaskHandle& handle : {a, b, c}) agent.good(agent.driver().remove(handle));
}

}  // namespace
}  // namespace sluice::drivers
