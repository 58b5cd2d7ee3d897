// raw_exec with its real supervisor and real processes: what is killed when, and what is known
// after.
#include <sys/stat.h>

#include "drivers/exec/launch.h"
#include "test/drivers/exec_node.h"

using namespace sluice;
using namespace sluice::drivers::exec;
using namespace sluice::drivers::exec::test;

namespace {

PidRecord pids_of(Node& node, const std::string& run) {
  std::string path = node.folder + "/supervisor/runs/" + run + "/pid";
  auto record = parse_pid_record(read_small_file(AT_FDCWD, path.c_str()).value_or(""));
  REQUIRE(record.has_value());
  return *record;
}

}  // namespace

TEST_CASE("raw_exec runs a command with its own environment and folder, and tells its exit code") {
  Node node;
  Agent& agent = *node.agent;
  auto handle =
      agent.start(node.spec("env | grep -v ^_= | sort; pwd; umask; echo oops >&2; exit 7"));
  REQUIRE(handle);
  TaskExit exit = agent.wait(*handle);
  EXPECT_EQ(exit.exit_code, 7);
  EXPECT_EQ(exit.signal, 0);
  EXPECT_EQ(exit.error, "");
  EXPECT(exit.finished_at_ns > 0);
  std::string folder = node.folder + "/alloc-1/web";
  EXPECT_EQ(node.logs("stdout"),
            "PATH=/usr/bin:/bin\nPWD=" + folder + "\nSECRET=hidden value\n" + folder + "\n0022\n");
  EXPECT_EQ(node.logs("stderr"), "oops\n");
  EXPECT(agent.must(agent.driver.list()).size() == 1);
  EXPECT(agent.get(agent.driver.remove(*handle)).has_value());
  EXPECT(agent.get(agent.driver.remove(*handle)).has_value());  // again
  EXPECT(agent.must(agent.driver.list()).empty());
  EXPECT(agent.get(agent.driver.stop(*handle, "SIGTERM", 100)).has_value());
}

TEST_CASE("A task sees no descriptor but the standard ones, default signals and its own session") {
  Node node;
  Agent& agent = *node.agent;
  auto handle =
      agent.start(node.spec("ls /proc/self/fd | wc -l; grep -E 'Sig(Blk|Ign)' /proc/self/status;"
                            "cut -d' ' -f1,5,6 /proc/$$/stat; echo $$"));
  REQUIRE(handle);
  EXPECT_EQ(agent.wait(*handle).exit_code, 0);
  std::string out = node.logs("stdout");
  std::string pid = std::to_string(handle->state.get_int("pid"));
  // ls has its own descriptor for the folder beside the three.
  EXPECT_EQ(out, "4\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n" + pid + " " + pid +
                     " " + pid + "\n" + pid + "\n");
}

TEST_CASE("A command that cannot be executed is the task's error, by name, and leaves nothing") {
  Node node;
  Agent& agent = *node.agent;
  TaskSpec spec = node.spec("");
  spec.config = Json::object({{"command", "no-such-command"}});
  auto handle = agent.start(spec);
  REQUIRE(!handle);
  EXPECT(handle.error().code == Code::kNotFound);
  EXPECT(handle.error().message == "raw_exec: command no-such-command: No such file or directory");
  spec.config = Json::object({{"command", "/etc/passwd"}});
  handle = agent.start(spec);
  REQUIRE(!handle);
  EXPECT(handle.error().code == Code::kDenied);
  spec.user = "no-such-user";
  handle = agent.start(spec);
  REQUIRE(!handle);
  EXPECT(handle.error().message == "no such user: no-such-user");
  EXPECT(agent.must(agent.driver.list()).empty());
}

TEST_CASE("raw_exec's configuration: unknown and wrong options are refused by name") {
  Node node;
  const RawExecDriver& driver = node.agent->driver;
  EXPECT(driver.validate(Json::object({{"command", "x"}})).has_value());
  auto message = [&](Json config) {
    Result<void> result = driver.validate(config);
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(message(Json::object({{"args", Json::array()}})), "raw_exec: command is missing");
  EXPECT_EQ(message(Json::object({{"command", "x"}, {"image", "y"}})),
            "raw_exec: unknown option \"image\" (known: command, args)");
  EXPECT_EQ(message(Json::object({{"command", "x"}, {"args", "y"}})),
            "raw_exec: args is a string, not a list");
  EXPECT_EQ(message(Json::object({{"command", 3}})), "raw_exec: command is a number, not a string");
}

TEST_CASE("start is idempotent by alloc, task and run") {
  Node node;
  Agent& agent = *node.agent;
  auto first = agent.start(node.spec("sleep 1000"));
  auto again = agent.start(node.spec("sleep 1000"));
  REQUIRE(first);
  REQUIRE(again);
  EXPECT((first->state == again->state));
  auto second = agent.start(node.spec("sleep 1000", 2));
  REQUIRE(second);
  EXPECT(!(second->state == first->state));
  EXPECT_EQ(agent.must(agent.driver.list()).size(), 2u);
}

TEST_CASE("stop sends the signal to the whole group, and SIGKILL after the timeout") {
  Node node;
  Agent& agent = *node.agent;
  auto polite =
      agent.start(node.spec("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done"));
  REQUIRE(polite);
  REQUIRE(comes_true([&] { return node.logs("stdout") == "up\n"; }));
  EXPECT(agent.get(agent.driver.stop(*polite, "SIGTERM", 60'000)).has_value());
  EXPECT_EQ(agent.wait(*polite).exit_code, 3);
  EXPECT_EQ(node.logs("stdout"), "up\nbye\n");

  auto deaf =
      agent.start(node.spec("trap '' TERM; echo up; while :; do sleep 1000; done", 1, "alloc-2"));
  REQUIRE(deaf);
  REQUIRE(comes_true([&] { return node.logs("stdout", "alloc-2") == "up\n"; }));
  EXPECT(agent.get(agent.driver.stop(*deaf, "SIGTERM", 50)).has_value());
  EXPECT_EQ(agent.wait(*deaf).signal, SIGKILL);
  Result<void> bad = agent.get(agent.driver.stop(*deaf, "SIGWHAT", 50));
  EXPECT(!bad);
}

TEST_CASE("What a task leaves running is killed, also what took a session of its own") {
  Node node;
  Agent& agent = *node.agent;
  auto handle =
      agent.start(node.spec("sleep 1001 & echo $!; setsid sh -c 'sleep 1002 & echo $!; : > up; "
                            "exec sleep 1003' & echo $!; until [ -e up ]; do sleep 0.01; done; "
                            "exit 5"));
  REQUIRE(handle);
  EXPECT_EQ(agent.wait(*handle).exit_code, 5);
  std::string out = node.logs("stdout");
  int seen = 0;
  while (!out.empty()) {
    pid_t pid = std::stoi(out);
    EXPECT(comes_true([&] { return kill(pid, 0) != 0; }));
    out.erase(0, out.find('\n') + 1);
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

TEST_CASE("signal reaches the task alone") {
  Node node;
  Agent& agent = *node.agent;
  auto handle = agent.start(
      node.spec("trap 'echo usr1; exit 0' USR1; echo up; while :; do sleep 0.01; done"));
  REQUIRE(handle);
  REQUIRE(comes_true([&] { return node.logs("stdout") == "up\n"; }));
  EXPECT(agent.get(agent.driver.signal(*handle, "SIGUSR1")).has_value());
  EXPECT_EQ(agent.wait(*handle).exit_code, 0);
  EXPECT_EQ(node.logs("stdout"), "up\nusr1\n");
}

TEST_CASE("A task outlives its supervisor, and its exit code and output are known afterwards") {
  Node node;
  constexpr int kLines = 100'000;
  TaskSpec spec = node.spec(
      "i=0; while [ $i -lt 100000 ]; do echo line $i; i=$((i+1));"
      "[ $((i % 500)) -eq 0 ] && sleep 0.01; done; exit 42");
  spec.log_max_file_bytes = 200'000;
  spec.log_max_files = 100;
  auto handle = node.agent->start(spec);
  REQUIRE(handle);
  int kills = 0;
  // Killed again and again while the task writes: no line is lost or doubled.
  while (node.logs("stdout").size() < numbered(kLines).size() / 2 && kills < 200) {
    pid_t pid = node.agent->supervisor_pid();
    REQUIRE(kill(pid, SIGKILL) == 0);
    ++kills;
  }
  EXPECT(kills > 2);
  TaskExit exit = node.agent->wait(*handle);
  EXPECT_EQ(exit.exit_code, 42);
  EXPECT_EQ(exit.error, "");
  std::string got = node.logs("stdout");
  EXPECT_EQ(got.size(), numbered(kLines).size());
  EXPECT((got == numbered(kLines)));
}

TEST_CASE(
    "A task that ends while neither agent nor supervisor is there is known when they are back") {
  Node node;
  auto handle = node.agent->start(node.spec(
      "echo first; until [ -p go ]; do sleep 0.01; done; read x < go; echo last; exit 9"));
  REQUIRE(handle);
  std::string go = node.folder + "/alloc-1/web/go";
  REQUIRE(mkfifo(go.c_str(), 0600) == 0);
  pid_t supervisor = node.agent->supervisor_pid();
  node.agent.reset();  // as kill -9: it tells nobody
  REQUIRE(kill(supervisor, SIGKILL) == 0);
  auto pid = static_cast<pid_t>(handle->state.get_int("pid"));
  auto start = static_cast<uint64_t>(handle->state.get_int("start_ticks"));
  int fd = open(go.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(write(fd, "x\n", 2) == 2);
  REQUIRE(comes_true([&] { return gone(pid, start); }));
  close(fd);
  node.agent.emplace(node.folder);
  EXPECT(node.agent->get(node.agent->driver.recover(*handle, node.spec(""))).has_value());
  EXPECT_EQ(node.agent->wait(*handle).exit_code, 9);
  EXPECT_EQ(node.logs("stdout"), "first\nlast\n");
}

TEST_CASE("A restarted agent takes the task over, by boot id, pid and start time") {
  Node node;
  auto handle = node.agent->start(node.spec("sleep 1000"));
  REQUIRE(handle);
  node.restart_agent();
  EXPECT(node.agent->get(node.agent->driver.recover(*handle, node.spec(""))).has_value());
  TaskHandle stale = *handle;
  stale.state.set("start_ticks", handle->state.get_int("start_ticks") + 1);
  Result<void> wrong = node.agent->get(node.agent->driver.recover(stale, node.spec("")));
  REQUIRE(!wrong);
  EXPECT(wrong.error().code == Code::kNotFound);
  EXPECT(node.agent->get(node.agent->driver.stop(*handle, "SIGTERM", 1000)).has_value());
  EXPECT_EQ(node.agent->wait(*handle).signal, SIGTERM);
}

TEST_CASE("A record that names a reused process number touches nobody") {
  Node node;
  auto handle = node.agent->start(node.spec("sleep 1000"));
  REQUIRE(handle);
  pid_t supervisor = node.agent->supervisor_pid();
  PidRecord record = pids_of(node, "alloc-1.1.web");
  node.agent.reset();
  kill(supervisor, SIGKILL);
  kill(record.keeper, SIGKILL);
  kill(record.pid, SIGKILL);
  REQUIRE(comes_true(
      [&] { return gone(record.pid, record.start) && gone(record.keeper, record.keeper_start); }));
  // As if the numbers had come to this process.
  record.pid = record.keeper = getpid();
  REQUIRE(replace_file(AT_FDCWD, node.folder + "/supervisor/runs/alloc-1.1.web/pid",
                       format_pid_record(record), 0600));
  node.agent.emplace(node.folder);
  TaskExit exit = node.agent->wait(*handle);
  EXPECT(exit.error.find("not known") != std::string::npos);
  EXPECT(node.agent->get(node.agent->driver.stop(*handle, "SIGKILL", 0)).has_value());
}

TEST_CASE("A task whose keeper was killed is watched by the supervisor itself") {
  Node node;
  Agent& agent = *node.agent;
  TaskSpec spec = node.spec("until [ -e go ]; do sleep 0.01; done; echo after; exit 6");
  auto handle = agent.start(spec);
  REQUIRE(handle);
  PidRecord record = pids_of(node, "alloc-1.1.web");
  REQUIRE(kill(record.keeper, SIGKILL) == 0);
  REQUIRE(comes_true([&] { return gone(record.keeper, record.keeper_start); }));
  REQUIRE(replace_file(AT_FDCWD, spec.task_folder + "/go", "", 0644));
  TaskExit exit = agent.wait(*handle);
  EXPECT_EQ(exit.exit_code, 6);
  EXPECT_EQ(exit.error, "");
  EXPECT_EQ(node.logs("stdout"), "after\n");
}

TEST_CASE("A supervisor of another build is replaced in place; tasks and their output go on") {
  Node node;
  auto handle = node.agent->start(
      node.spec("i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; exit 11"));
  REQUIRE(handle);
  pid_t before = node.agent->supervisor_pid();
  // The same file under another name of build: what an agent of that build would ask.
  Message upgrade;
  std::string image = node.folder + "/supervisor/bin/other";
  REQUIRE(system(("cp " + node.folder + "/supervisor/bin/sluice-supervisor-* " + image).c_str()) ==
          0);
  upgrade.add("op", "upgrade").add("path", image).add("build", "other");
  // The connection ends with the old program; asked again, the new one executes itself once more.
  node.agent->get(node.agent->client.call(upgrade, 5'000));
  EXPECT_EQ(
      node.agent->must(node.agent->client.call(Message().add("op", "hello"), 5'000)).get("build"),
      "other");
  EXPECT_EQ(node.agent->supervisor_pid(), before);
  node.restart_agent();  // finds the other build and puts its own there
  EXPECT_EQ(node.agent->wait(*handle).exit_code, 11);
  EXPECT_EQ(node.agent->supervisor_pid(), before);
  EXPECT(
      node.agent->must(node.agent->client.call(Message().add("op", "hello"), 5'000)).get("build") !=
      "other");
  EXPECT((node.logs("stdout") == numbered(5000)));
}

#if !__has_feature(address_sanitizer)
/// VmRSS or the like of a process, in KiB.
int64_t memory_kb(pid_t pid, const std::string& what) {
  std::string path = "/proc/" + std::to_string(pid) + "/status";
  std::string text = read_small_file(AT_FDCWD, path.c_str()).value_or("");
  size_t at = text.find(what + ":");
  REQUIRE(at != std::string::npos);
  return std::stoll(text.substr(at + what.size() + 1));
}

TEST_CASE(
    "The supervisor takes under 4 MB, and a task under 100 KB, its keeper and page tables "
    "included") {
  Node node;
  Agent& agent = *node.agent;
  constexpr int kTasks = 50;
  pid_t supervisor = agent.supervisor_pid();
  auto start = [&](int i) {
    std::string alloc = "alloc-" + std::to_string(i);
    REQUIRE(agent.start(node.spec("echo hi; exec sleep 1000", 1, alloc)));
    return pids_of(node, alloc + ".1.web").keeper;
  };
  start(0);
  int64_t before_kb = memory_kb(supervisor, "VmRSS");
  int64_t keepers_kb = 0;
  for (int i = 1; i <= kTasks; ++i) {
    pid_t keeper = start(i);
    keepers_kb += memory_kb(keeper, "VmRSS") + memory_kb(keeper, "VmPTE");
  }
  int64_t after_kb = memory_kb(supervisor, "VmRSS");
  INFO("supervisor ", before_kb, " KiB, then ", after_kb, "; keepers ", keepers_kb);
  EXPECT(after_kb < 4096);
  EXPECT(after_kb - before_kb + keepers_kb < 100 * kTasks);
}
#endif

TEST_CASE("Tasks started and stopped by the dozen leave no process, descriptor or folder") {
  Node node;
  Agent& agent = *node.agent;
  constexpr int kTasks = 50;
  pid_t supervisor = agent.supervisor_pid();
  auto descriptors = [&] {
    return agent.disk.list("/proc/" + std::to_string(supervisor) + "/fd")->size();
  };
  size_t before = descriptors();
  for (int round = 0; round < 2; ++round) {
    std::vector<TaskHandle> handles;
    for (int i = 0; i < kTasks; ++i) {
      auto handle =
          agent.start(node.spec("echo hi; exec sleep 1000", 1, "alloc-" + std::to_string(i)));
      REQUIRE(handle);
      handles.push_back(std::move(*handle));
    }
    for (const TaskHandle& handle : handles) {
      REQUIRE(agent.get(agent.driver.stop(handle, "SIGTERM", 10'000)).has_value());
      REQUIRE(agent.get(agent.driver.remove(handle)).has_value());
    }
  }
  EXPECT(comes_true([&] { return descriptors() <= before; }));
  EXPECT_EQ(agent.supervisor_pid(), supervisor);
  EXPECT(agent.disk.list(node.folder + "/supervisor/runs")->empty());
  EXPECT(agent.must(agent.driver.list()).empty());
}

TEST_CASE("A folder whose path is too long for a socket works all the same") {
  Node node;
  std::string deep = node.folder + "/" + std::string(120, 'd');
  Agent agent(deep);
  auto handle = agent.start(node.spec("exit 4", 1, "alloc-9"));
  REQUIRE(handle);
  EXPECT_EQ(agent.wait(*handle).exit_code, 4);
  EXPECT(agent.get(agent.client.leave()).has_value());
}
